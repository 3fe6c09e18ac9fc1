"""Secrets: the configuration holds references to them, never a secret itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, SecretStr, ValidationInfo

from roadster_server.plain_files import FileTooLarge, NotPlain, read_plain_file

if TYPE_CHECKING:
    from dotenv.parser import Binding

_MAX_SECRET_BYTES = 64 * 1024
"""A secret has some hundred bytes, and a secrets_file has a few of them."""

_FORMS = "a secret is a reference: env:NAME, file:PATH or keyring:SERVICE/NAME"


def reveal(reference: str, secrets_file: Mapping[str, str] = MappingProxyType({})) -> str:
    """Returns the secret behind `reference`, without white space around it.

    `secrets_file` holds what `read_secrets_file` returned. Raises ValueError with a message that never holds the
    secret.
    """
    scheme, _, name = reference.partition(":")
    match scheme:
        case "env" if name:
            secret = os.environ.get(name)
            if not secret:
                secret = secrets_file.get(name, secret)
            if secret is None:
                raise ValueError(
                    f"the environment variable {name} is not set; set it before the server starts, "
                    f"or put {name}=… into secrets_file, which a running server reads at each reload"
                )
        case "file" if name:
            try:
                secret = _read_plain_file(Path(name).expanduser())
            except RuntimeError:
                raise ValueError(f"cannot read the file {name}: there is no such user") from None
        case "keyring" if "/" in name:
            secret = _from_keyring(*name.split("/", 1))
        case _:
            raise ValueError(f"a literal secret is refused; {_FORMS}")
    if not secret.strip():
        raise ValueError(f"{scheme}:{name} is empty")
    return secret.strip()


def read_secrets_file(path: Path) -> dict[str, str]:
    """Returns the values of a file with lines such as ROADSTER_API_KEY=…, which `env:` falls back to.

    Raises ValueError where it cannot be read, where others may read it, where a line has no value, or where a comment
    may be a part of its value.
    """
    from dotenv.parser import parse_stream  # noqa: PLC0415 - most configurations have no such file

    text = _read_plain_file(path)
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"{path} holds secrets, and others may read or change it; chmod 600 {path}")
    values: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        problem = _problem(binding, values)
        if problem is not None:
            raise ValueError(f"{path}: line {_line(binding)} {problem}")
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values


def _problem(binding: Binding, earlier: Collection[str]) -> str | None:
    """Returns what is wrong with a line of the file, without its value, or None."""
    key = binding.key
    if binding.error or (key is not None and not binding.value):
        return "is not written as NAME=value; correct it"
    if key in earlier:
        return f"names {key} again; remove one of them"
    if key is not None and _is_cut(binding):
        return f"has a # after a blank in the value of {key}, which would end there; put quotes around the value"
    return None


def _line(binding: Binding) -> int:
    text = binding.original.string
    empty_lines = text[: len(text) - len(text.lstrip())].count("\n")  # dotenv counts from the first of them
    return binding.original.line + empty_lines


def _is_cut(binding: Binding) -> bool:
    """Tells whether the value is not in quotes, and a comment ends it. The comment may be a part of the secret."""
    text = binding.original.string.partition("=")[2].strip()
    return text[:1] not in ("'", '"') and text != binding.value


def _read_plain_file(path: Path) -> str:
    try:
        return read_plain_file(path, max_bytes=_MAX_SECRET_BYTES).decode("utf-8-sig")
    except (NotPlain, FileTooLarge) as error:
        raise ValueError(f"{path} {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read the file {path} ({type(error).__name__})") from None


def _from_keyring(service: str, name: str) -> str:
    try:
        import keyring.errors  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise ValueError("keyring is not installed; install the server's extra, pip install '.[keyring]'") from None
    try:
        secret = keyring.get_password(service, name)
    except keyring.errors.KeyringError as error:
        mend = "unlock it, set one up, or use file:PATH instead"
        raise ValueError(f"the system's keyring cannot be used ({type(error).__name__}); {mend}") from None
    if secret is None:
        raise ValueError(f"the keyring holds no {name} of {service}; keyring set {service} {name}")
    return str(secret)


UNREVEALED = "unrevealed"
"""The context of a validation that reads no secrets, for a command that sends nothing."""


def _resolve(value: Any, info: ValidationInfo) -> Any:
    # A file can only hold strings, and those are references. A SecretStr comes from this program: the sandbox's key.
    if not isinstance(value, str):
        return value
    return SecretStr(_STAND_IN if info.context == UNREVEALED else reveal(value, info.context or {}))


_STAND_IN = "unrevealed00"
"""It is valid base64 too, for a key with that encoding."""


Secret = Annotated[SecretStr, BeforeValidator(_resolve)]
