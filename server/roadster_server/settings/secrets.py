"""Secrets: the configuration holds references to them, never a secret itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, SecretStr, ValidationInfo

_FORMS = "a secret is a reference: env:NAME, file:PATH or keyring:SERVICE/NAME"


def reveal(reference: str) -> str:
    """Returns the secret behind `reference`, without white space around it.

    Raises ValueError with a message that never holds the secret.
    """
    scheme, _, name = reference.partition(":")
    match scheme:
        case "env" if name:
            secret = os.environ.get(name)
            if secret is None:
                raise ValueError(f"the environment variable {name} is not set; set it before the server starts")
        case "file" if name:
            try:
                path = Path(name).expanduser()
                if path.exists() and not path.is_file():  # a pipe would hold up the server
                    raise ValueError(f"{name} is not a plain file")
                secret = path.read_text(encoding="utf-8")
            except (OSError, RuntimeError, UnicodeDecodeError) as error:  # RuntimeError: there is no such ~user
                raise ValueError(f"cannot read the file {name} ({type(error).__name__})") from None
        case "keyring" if "/" in name:
            secret = _from_keyring(*name.split("/", 1))
        case _:
            raise ValueError(f"a literal secret is refused; {_FORMS}")
    if not secret.strip():
        raise ValueError(f"{scheme}:{name} is empty")
    return secret.strip()


def _from_keyring(service: str, name: str) -> str:
    try:
        import keyring  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise ValueError("keyring is not installed; install the server's extra, pip install '.[keyring]'") from None
    secret = keyring.get_password(service, name)
    if secret is None:
        raise ValueError(f"the keyring holds no {name} of {service}; keyring set {service} {name}")
    return str(secret)


UNREVEALED = "unrevealed"
"""The context of a validation that reads no secrets, for a command that sends nothing."""


def _resolve(value: Any, info: ValidationInfo) -> Any:
    # A file can only hold strings, and those are references. A SecretStr comes from this program: the sandbox's key.
    if not isinstance(value, str):
        return value
    return SecretStr(_STAND_IN if info.context == UNREVEALED else reveal(value))


_STAND_IN = "unrevealed00"
"""It is valid base64 too, for a key with that encoding."""


Secret = Annotated[SecretStr, BeforeValidator(_resolve)]
