"""The encrypted customer link, taken apart by a program that shares no code with it: openssl."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from urllib.parse import parse_qsl, unquote_plus, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_client import customer_link

VIN = "JM1NDAM77K0306400"
CONTACT = {"email": "testing@roadster.com", "fname": "Testing", "lname": "Bot", "phone": "800-505-1000"}
PLAINTEXT = "email=testing%40roadster.com&fname=Testing&lname=Bot&phone=800-505-1000"


def token_of(link: str) -> str:
    return unquote_plus(urlsplit(link).query.removeprefix("mem="))


def opened(link: str, key: bytes) -> str:
    """The plaintext, by openssl; the key is used as it is if it has 32 bytes, else its SHA-256."""
    sealed = base64.b64decode(token_of(link))
    used = key if len(key) == 32 else hashlib.sha256(key).digest()
    command = ["openssl", "enc", "-d", "-aes-256-cbc", "-K", used.hex(), "-iv", sealed[:16].hex()]
    return subprocess.run(command, input=sealed[16:], capture_output=True, check=True).stdout.decode()


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")


@needs_openssl
@pytest.mark.parametrize("length", [1, 16, 31, 32, 33, 64])
def test_openssl_reads_what_any_length_of_key_wrote(length: int) -> None:
    key = "k" * length
    assert opened(customer_link("express.umazda.com", VIN, CONTACT, key=key), key.encode()) == PLAINTEXT


@needs_openssl
@pytest.mark.parametrize("length", [16, 31, 32, 33])
def test_a_base64_key_is_decoded_first_where_the_setting_says_so(length: int) -> None:
    key = bytes(range(length))
    link = customer_link("express.umazda.com", VIN, CONTACT, key=base64.b64encode(key).decode(), key_encoding="base64")
    assert opened(link, key) == PLAINTEXT


@pytest.mark.parametrize(("key", "encoding"), [("", "raw"), ("", "base64"), ("not base64!", "base64")])
def test_an_unusable_key_is_refused(key: str, encoding: str) -> None:
    with pytest.raises(ValueError, match=r"empty|base64|Only"):
        customer_link("express.umazda.com", VIN, CONTACT, key=key, key_encoding=encoding)  # type: ignore[arg-type]


@needs_openssl
@pytest.mark.parametrize("name_length", [*range(1, 18), 31, 32, 33])
def test_plaintexts_around_a_block_boundary_survive(name_length: int) -> None:
    contact = {"email": "a@b.example", "fname": "x" * name_length}
    link = customer_link("express.umazda.com", VIN, contact, key="k" * 32)
    assert opened(link, b"k" * 32) == f"email=a%40b.example&fname={'x' * name_length}"


@needs_openssl
def test_names_beyond_ascii_are_percent_encoded_utf_8() -> None:
    contact = {"email": "jose@example.com", "fname": "José Ñandú", "lname": "李"}
    link = customer_link("express.umazda.com", VIN, contact, key="k" * 32)
    assert opened(link, b"k" * 32) == "email=jose%40example.com&fname=Jos%C3%A9+%C3%91and%C3%BA&lname=%E6%9D%8E"


def test_the_token_is_rubys_base64_escaped_for_a_query() -> None:
    link = customer_link("express.umazda.com", VIN, CONTACT, key="k" * 32)
    token = token_of(link)
    assert token.endswith("\n")
    assert all(len(line) == 60 for line in token.split("\n")[:-2])
    assert link.startswith(f"https://express.umazda.com/express/{VIN}?mem=")
    assert "\n" not in link
    assert "%0A" in link


def test_no_two_links_are_equal() -> None:
    links = {customer_link("express.umazda.com", VIN, CONTACT, key="k" * 32) for _ in range(50)}
    assert len(links) == 50


@needs_openssl
def test_absent_contact_data_is_left_out() -> None:
    with_none = {**CONTACT, "custid": None, "phone": ""}
    link = customer_link("express.umazda.com", VIN, with_none, key="k" * 32)
    assert opened(link, b"k" * 32) == "email=testing%40roadster.com&fname=Testing&lname=Bot"


@needs_openssl
@given(
    st.dictionaries(st.sampled_from(["email", "fname", "lname", "phone", "custid"]), st.text(min_size=1, max_size=40)),
    st.text(min_size=1, max_size=40),
)
def test_what_goes_in_comes_out_sorted_by_key(contact: dict[str, str], key: str) -> None:
    """A property over any text that UTF-8 can carry."""
    try:
        used = key.encode()
        for value in contact.values():
            value.encode()
    except UnicodeEncodeError:
        return
    link = customer_link("express.umazda.com", VIN, contact, key=key)
    assert parse_qsl(opened(link, used), keep_blank_values=True) == sorted(contact.items())
