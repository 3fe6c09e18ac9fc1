"""The encrypted customer link: contact data passed to a dealer's Express Storefront in the browser.

From the API reference, "Browser-based Create Customer": the URL query of the contact data, sorted by
key with percent-encoded values (what Rails' `to_query` gives), AES-256-CBC with PKCS#7 padding under
a random IV, then Ruby's `encode64` of IV + ciphertext (a newline after every 60 characters and at the
end), escaped for a query. The reference's prose encodes the whole query and its shell sample makes
OpenSSL's salted format. Both contradict its code, which this module follows.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from roadster_client.dealer_ref import KeyEncoding

_BLOCK = 16
"""Bytes of an AES block, and so of the IV."""

_RUBY_LINE = 60
"""Characters after which Ruby's `encode64` ends a line."""


def customer_link(
    express_host: str,
    vin: str,
    contact: Mapping[str, str | None],
    *,
    key: str,
    key_encoding: KeyEncoding = "raw",
    random: Callable[[int], bytes] = os.urandom,
) -> str:
    """Returns the link that opens `vin` at the dealer's storefront, with the customer's account active.

    `contact` has `email`, which the upstream requires, and any of `fname`, `lname`, `phone`, `custid`. Those that are
    None or empty are left out. Each call draws a new IV, so no two links are equal, except where a sandbox
    passes a `random` that repeats. Raises ValueError for an empty key, and for one that is not base64 although
    `key_encoding` says so.
    """
    query = "&".join(
        f"{name}={quote_plus(value)}" for name, value in sorted(contact.items()) if value is not None and value != ""
    )
    ciphertext = _encrypt(_aes_key(key, key_encoding), random(_BLOCK), query.encode())
    return f"https://{express_host}/express/{quote(vin, safe='')}?mem={quote_plus(_encode64(ciphertext))}"


def _aes_key(key: str, encoding: KeyEncoding) -> bytes:
    material = base64.b64decode(key, validate=True) if encoding == "base64" else key.encode()
    if not material:
        raise ValueError("the link key is empty")
    return material if len(material) == 32 else hashlib.sha256(material).digest()  # noqa: PLR2004 - AES-256


def _encrypt(key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    padder = PKCS7(_BLOCK * 8).padder()
    encryptor = Cipher(AES256(key), CBC(iv)).encryptor()
    return iv + encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()


def _encode64(data: bytes) -> str:
    text = base64.b64encode(data).decode()
    return "".join(text[start : start + _RUBY_LINE] + "\n" for start in range(0, len(text), _RUBY_LINE))
