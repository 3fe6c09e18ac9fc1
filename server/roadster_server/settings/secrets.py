"""Secrets: the configuration holds references to them, never a secret itself."""

from __future__ import annotations

import os
import re
import stat
from base64 import b64encode
from collections.abc import Collection, Mapping
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, SecretStr, ValidationInfo

from roadster_server.plain_files import FileTooLarge, NotPlain, read_plain_file, reading_problem

if TYPE_CHECKING:
    from dotenv.parser import Binding

_MAX_SECRET_BYTES = 64 * 1024
"""A secret has some hundred bytes, and a secrets_file has a few of them."""

_FORMS = "a secret is a reference: env:NAME, file:PATH or keyring:SERVICE/NAME"


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_REFERENCE = re.compile(r"\$(?:\w+|\{.*\}|\(.*\))")


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

    Raises ValueError where it cannot be read, where others may read it, where a line has no value, or where the value
    can be read in more than one way.
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
    if key is None and not binding.error:
        return None  # a comment
    if key is None or binding.value is None or _NAME.fullmatch(key) is None:
        return "is not written as NAME=value; correct it"
    if not binding.value:
        return f"has no value for {key}; write one, or remove the line"
    if key in earlier:
        return f"names {key} again; remove one of them"
    doubt = _doubt(binding.original.string.partition("=")[2].strip(), binding.value)
    return doubt and f"has {doubt.format(key)}"


def _doubt(source: str, value: str) -> str | None:
    """Returns why a value may be meant in another way than dotenv reads it, with a place for the name, or None.

    Shells, containers, systemd and dotenv disagree about these.
    """
    quote = source[0] if source[0] in "'\"" else ""
    if "\n" in source or "\r" in source:
        return "a value of {} that goes on in the next line; close its quotes, or use file:PATH"
    if not quote and source != value:
        return "a # after a blank in the value of {}, which would end there; put quotes around the value"
    if not quote and ("'" in value or '"' in value):
        return "a quote inside of the value of {}; put the other kind of quotes around the whole value"
    if quote == '"' and "\\" in source.rpartition('"')[0]:
        return "a backslash in double quotes in the value of {}, which would be an escape; use single quotes"
    if quote == "'" and not source.startswith(f"'{value}'"):
        return "an escape in single quotes in the value of {}; write the value without quotes, or use file:PATH"
    if quote != "'" and _REFERENCE.fullmatch(value):
        return "a $ before all of the value of {}, and nothing is filled in; write the value, or use single quotes"
    return None


def _line(binding: Binding) -> int:
    text = binding.original.string
    empty_lines = text[: len(text) - len(text.lstrip())].count("\n")  # dotenv counts from the first of them
    return binding.original.line + empty_lines


def _read_plain_file(path: Path) -> str:
    try:
        return read_plain_file(path, max_bytes=_MAX_SECRET_BYTES).decode("utf-8-sig")
    except (OSError, NotPlain, FileTooLarge, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {reading_problem(error)}") from None


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
    return SecretStr(_stand_in(value) if info.context == UNREVEALED else reveal(value, info.context or {}))


def _stand_in(reference: str) -> str:
    """Returns another text for each reference, so that accounts stay apart. It is base64, as some keys must be."""
    return b64encode(reference.encode()).decode()


Secret = Annotated[SecretStr, BeforeValidator(_resolve)]
