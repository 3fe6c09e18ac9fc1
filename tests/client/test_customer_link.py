"""The encrypted customer link, decrypted by a program that shares no code with it: openssl."""

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


def decrypt(link: str, key: bytes) -> str:
    """Returns the plaintext. A key of another length than 32 bytes counts as its SHA-256."""
    ciphertext = base64.b64decode(token_of(link))
    aes_key = key if len(key) == 32 else hashlib.sha256(key).digest()
    command = ["openssl", "enc", "-d", "-aes-256-cbc", "-K", aes_key.hex(), "-iv", ciphertext[:16].hex()]
    return subprocess.run(command, input=ciphertext[16:], capture_output=True, check=True).stdout.decode()


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")


@needs_openssl
@pytest.mark.parametrize("length", [1, 16, 31, 32, 33, 64])
def test_customer_link_opens_in_openssl_for_any_key_length(length: int) -> None:
    key = "k" * length
    assert decrypt(customer_link("express.umazda.com", VIN, CONTACT, key=key), key.encode()) == PLAINTEXT


@needs_openssl
@pytest.mark.parametrize("length", [16, 31, 32, 33])
def test_customer_link_decodes_a_base64_key(length: int) -> None:
    key = bytes(range(length))
    link = customer_link("express.umazda.com", VIN, CONTACT, key=base64.b64encode(key).decode(), key_encoding="base64")
    assert decrypt(link, key) == PLAINTEXT


@pytest.mark.parametrize(("key", "encoding"), [("", "raw"), ("", "base64"), ("not base64!", "base64")])
def test_customer_link_refuses_an_unusable_key(key: str, encoding: str) -> None:
    with pytest.raises(ValueError, match=r"empty|base64|Only"):
        customer_link("express.umazda.com", VIN, CONTACT, key=key, key_encoding=encoding)  # type: ignore[arg-type]


@needs_openssl
@pytest.mark.parametrize("name_length", [*range(1, 18), 31, 32, 33])
def test_customer_link_pads_around_a_block_boundary(name_length: int) -> None:
    contact = {"email": "a@b.example", "fname": "x" * name_length}
    link = customer_link("express.umazda.com", VIN, contact, key="k" * 32)
    assert decrypt(link, b"k" * 32) == f"email=a%40b.example&fname={'x' * name_length}"


@needs_openssl
def test_customer_link_percent_encodes_utf_8() -> None:
    contact = {"email": "jose@example.com", "fname": "José Ñandú", "lname": "李"}
    link = customer_link("express.umazda.com", VIN, contact, key="k" * 32)
    assert decrypt(link, b"k" * 32) == "email=jose%40example.com&fname=Jos%C3%A9+%C3%91and%C3%BA&lname=%E6%9D%8E"


def test_customer_link_escapes_rubys_base64_for_a_query() -> None:
    link = customer_link("express.umazda.com", VIN, CONTACT, key="k" * 32)
    token = token_of(link)
    assert token.endswith("\n")
    assert all(len(line) == 60 for line in token.split("\n")[:-2])
    assert link.startswith(f"https://express.umazda.com/express/{VIN}?mem=")
    assert "\n" not in link
    assert "%0A" in link


def test_customer_link_is_new_each_time() -> None:
    links = {customer_link("express.umazda.com", VIN, CONTACT, key="k" * 32) for _ in range(50)}
    assert len(links) == 50


@needs_openssl
def test_customer_link_leaves_absent_contact_data_out() -> None:
    with_none = {**CONTACT, "custid": None, "phone": ""}
    link = customer_link("express.umazda.com", VIN, with_none, key="k" * 32)
    assert decrypt(link, b"k" * 32) == "email=testing%40roadster.com&fname=Testing&lname=Bot"


@needs_openssl
@given(
    st.dictionaries(st.sampled_from(["email", "fname", "lname", "phone", "custid"]), st.text(min_size=1, max_size=40)),
    st.text(min_size=1, max_size=40),
)
def test_customer_link_holds_any_text_sorted_by_key(contact: dict[str, str], key: str) -> None:
    """Holds for any text that UTF-8 can encode."""
    try:
        key_bytes = key.encode()
        for value in contact.values():
            value.encode()
    except UnicodeEncodeError:
        return
    link = customer_link("express.umazda.com", VIN, contact, key=key)
    assert parse_qsl(decrypt(link, key_bytes), keep_blank_values=True) == sorted(contact.items())
