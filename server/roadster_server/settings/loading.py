"""Reads and checks roadster.toml, and reports each mistake with its place."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from roadster_client import operations_of, operations_with
from roadster_server.plain_files import FileTooLarge, NotPlain, read_plain_file
from roadster_server.store import StoreError
from roadster_tools import TOOLS, TOOLSETS, name_choices

from .errors import ConfigurationError
from .mistakes import describe_mistakes
from .secrets import UNREVEALED, read_secrets_file
from .sections import CallerSettings, DealerSettings, Settings

_MAX_BYTES = 2 * 1024 * 1024
"""Bytes of a configuration. Ten thousand dealers have about one million, which take two seconds to read."""


def load(path: Path, *, reveal_secrets: bool = True) -> Settings:
    """Returns the settings in `path`. A command that sends nothing needs no secrets. Raises ConfigurationError."""
    document = read_document(path)
    secrets_file = _absolute_secrets_file(path, document)
    try:
        context = read_secrets_file(secrets_file) if secrets_file and reveal_secrets else None
    except ValueError as error:
        raise ConfigurationError([f"{path}: secrets_file: {error}"]) from None
    try:
        settings = Settings.model_validate(document, context=context if reveal_secrets else UNREVEALED)
    except StoreError as error:  # there is no default place for the store
        raise ConfigurationError([f"{path}: store.url: {error}"]) from None
    except ValidationError as error:
        raise ConfigurationError([f"{path}: {problem}" for problem in describe_mistakes(error, Settings)]) from None
    problems = [f"{path}: {problem}" for problem in _contradictions(settings)]
    if problems:
        raise ConfigurationError(problems)
    return settings


def read_document(path: Path) -> dict[str, Any]:
    """Returns the TOML document in `path`, unchecked. Raises ConfigurationError."""
    try:
        return tomllib.loads(read_plain_file(path, max_bytes=_MAX_BYTES).decode("utf-8-sig"))
    except FileNotFoundError:
        problem = "there is no such file; name one with --config, or try --sandbox, which needs none"
    except NotPlain as error:
        problem = f"{error}; name one with --config"
    except FileTooLarge as error:
        problem = f"{error}; is it the right file?"
    except tomllib.TOMLDecodeError as error:
        problem = f"is not TOML: {error}"
    except UnicodeDecodeError:
        problem = "is not UTF-8; save the file in this encoding"
    except (OSError, ValueError, RecursionError) as error:  # such as an integer of 5,000 digits, or tables 3,000 deep
        problem = f"cannot be read ({type(error).__name__})"
    raise ConfigurationError([f"{path}: {problem}"])


def named_files(path: Path) -> list[Path]:
    """Returns the files of secrets that a configuration names, also one that cannot be used.

    A change of one of them may mend the configuration.
    """
    try:
        document = read_document(path)
        secrets_file = _absolute_secrets_file(path, document)
    except ConfigurationError:
        return []
    files = [Path(text.removeprefix("file:")) for text in _texts_in(document) if text.startswith("file:")]
    return [*([secrets_file] if secrets_file else []), *map(_without_tilde, files)]


def _texts_in(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for part in node.values() if isinstance(node, dict) else node:
            yield from _texts_in(part)


def _without_tilde(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        return path


def _absolute_secrets_file(path: Path, document: dict[str, Any]) -> Path | None:
    """Returns the path of the file of secrets, and puts it into the document where the document's is relative."""
    name = document.get("secrets_file")
    if not isinstance(name, str):  # there is none, or the models say what is wrong with it
        return None
    try:
        secrets_file = path.absolute().parent / Path(name).expanduser()
    except RuntimeError:
        raise ConfigurationError([f"{path}: secrets_file: there is no such user; write the path without ~"]) from None
    document["secrets_file"] = str(secrets_file)
    return secrets_file


def _contradictions(settings: Settings) -> Iterator[str]:
    """Finds mistakes that only show in several sections together."""
    for name, route in settings.roadster.operations.items():
        try:
            operations_with({name: route})
        except KeyError:
            choices = name_choices([*operations_of("roadster")], name)
            yield f"roadster.operations.{name}: unknown operation, expected {choices}"
        except ValueError as error:
            yield f"roadster.operations.{name}: {error}"
    anonymous = settings.http.anonymous_caller
    if anonymous is not None and anonymous not in settings.callers:
        choices = name_choices([*settings.callers], anonymous)
        yield f"http.anonymous_caller: unknown caller {anonymous!r}, expected {choices}; or add [callers.{anonymous}]"
    for name, caller in settings.callers.items():
        for dpid in set(caller.dealers) - settings.dealers.keys():
            choices = name_choices([*settings.dealers], dpid)
            yield f"callers.{name}.dealers: unknown dealer {dpid!r}, expected {choices}; or add [dealers.{dpid}]"
        for key in caller.access.keys() - TOOLS.keys() - set(TOOLSETS):
            choices = name_choices([*TOOLSETS, *TOOLS], key)
            yield (
                f"callers.{name}.access.{key}: unknown toolset or tool, expected {choices}; "
                "`roadster-mcp tools` lists them"
            )
    yield from _shared_by_dealers(settings.dealers)
    yield from _shared_tokens(settings.callers)
    yield from _shared_subjects(settings.callers)
    with_jwt = [name for name, caller in settings.callers.items() if caller.jwt]
    if with_jwt and settings.http.resource_url is None:
        yield (
            f"http.resource_url: is missing, and callers.{with_jwt[0]} has jwt; "
            "add the public URL of /mcp, such as https://mcp.example.com/mcp"
        )


def _shared_by_dealers(dealers: Mapping[str, DealerSettings]) -> Iterator[str]:
    """Finds ids and orders of more than one dealer: each must tell which dealer something belongs to."""
    owners: dict[tuple[str, str], str] = {}
    for dpid, dealer in dealers.items():
        orders = [] if dealer.orders == "any" else dealer.orders
        identifiers = [
            ("partner_id", dealer.partner_id),
            ("mykaarma_dealer_uuid", dealer.mykaarma_dealer_uuid),
            ("mykaarma_dealer_id", dealer.mykaarma_dealer_id and str(dealer.mykaarma_dealer_id)),
            *(("orders", order) for order in dict.fromkeys(orders)),
        ]
        for key, value in identifiers:
            # Capital letters make no other dealer: an upstream may not tell the two apart.
            owner = owners.setdefault((key, value.casefold()), dpid) if value else dpid
            if owner != dpid:
                problem = f"order {value} is also in" if key == "orders" else _same_as(str(value), key, dealers[owner])
                yield f"dealers.{dpid}.{key}: {problem} dealers.{owner}.{key}; leave it with the one whose it is"


def _same_as(value: str, key: str, owner: DealerSettings) -> str:
    return "the same as" if str(getattr(owner, key)) == value else "except for capital letters the same as"


def _shared_tokens(callers: Mapping[str, CallerSettings]) -> Iterator[str]:
    owners: dict[str, str] = {}
    for name, caller in callers.items():
        for digest in caller.token_sha256:
            if owners.setdefault(digest, name) != name:
                yield f"callers.{name}.token_sha256: the same token as callers.{owners[digest]}; give each its own"


def _shared_subjects(callers: Mapping[str, CallerSettings]) -> Iterator[str]:
    owners: dict[tuple[str, str], str] = {}
    for name, caller in callers.items():
        if caller.jwt is not None:
            owner = owners.setdefault((caller.jwt.issuer, caller.jwt.subject), name)
            if owner != name:
                yield f"callers.{name}.jwt: the same issuer and subject as callers.{owner}; give each its own"
