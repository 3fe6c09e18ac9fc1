"""The commands `token NAME` and `token revoke`."""

from __future__ import annotations

import hashlib
import re
import secrets
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadster_server.cli.group import CommandGroup, Group
from roadster_server.cli.options import Config, exit_on_mistakes, load_settings, print_notice, run_async
from roadster_server.settings.errors import ConfigurationError

if TYPE_CHECKING:
    from roadster_server.settings.settings import Settings


class _TokenGroup(Group):
    """The group in which `token NAME` means `token make NAME`. Tokens are made more often than revoked."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["make", *args])


token = CommandGroup("Make and revoke the tokens of callers: `token NAME` makes one.", cls=_TokenGroup)

_LONGEST = 16 * 1024
"""Characters of a token on stdin."""


@token.command()
def make(name: Annotated[str, typer.Argument(help="The caller that it is for.")]) -> None:
    """Make a token for a caller. It is shown once: the configuration holds only its hash."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name) is None:
        raise typer.BadParameter("a caller's name has letters, digits, - and _ alone")
    new = secrets.token_urlsafe(32)
    typer.echo(f"token for {name}, shown once: {new}")
    typer.echo(f'in [callers.{name}]: token_sha256 = ["{hashlib.sha256(new.encode()).hexdigest()}"]')


@token.command()
def revoke(
    sha256: Annotated[str | None, typer.Option(metavar="HASH", help="The hash of the token.")] = None,
    caller: Annotated[str | None, typer.Option(help="All tokens of this caller.")] = None,
    person: Annotated[
        str | None,
        typer.Option(metavar="PROVIDER:SUBJECT", help="All tokens that this person has now."),
    ] = None,
    config: Config = None,
) -> None:
    """Revoke tokens: every server of this configuration refuses them within two seconds, and ends their streams.

    Without an option it asks for the token, or reads it from stdin. A token is never an argument, where others of this
    machine would see it. A revoked token is never good again. Take its hash out of the configuration when you next edit
    it, and make a new one.

    A person can sign in again half a minute later. To keep them out, close their account at the identity provider.

    Exit codes: 0 done; 2 nobody has such a token, or the store cannot be used. Then nothing was revoked.
    """
    from .revoke import revoke_subjects, subjects_of_caller, subjects_of_hash, subjects_of_person

    with exit_on_mistakes():
        settings = load_settings(config)
        match (sha256, caller, person):
            case (None, None, None):
                targets = subjects_of_hash(settings, _hash_of_token(settings))
            case (str(), None, None):
                targets = subjects_of_hash(settings, sha256)
            case (None, str(), None):
                targets = subjects_of_caller(settings, caller)
            case (None, None, str()):
                targets = subjects_of_person(settings, person)
            case _:
                raise ConfigurationError(["--sha256, --caller and --person exclude each other; give one of them"])
        is_on_record = run_async(revoke_subjects, settings, targets)
    typer.echo(f"revoked: {targets.noun}; servers refuse it within two seconds")
    if not is_on_record:
        print_notice(f"the audit has no record of {person}; check the spelling")


def _hash_of_token(settings: Settings) -> str:
    text = typer.prompt("Token", hide_input=True) if sys.stdin.isatty() else sys.stdin.read(_LONGEST)
    bearer = text.strip().removeprefix("Bearer ")
    if not bearer:
        raise ConfigurationError(["there is no token on stdin; type it, or give --sha256, --caller or --person"])
    digest = hashlib.sha256(bearer.encode("utf-8", "surrogateescape")).hexdigest()
    if bearer.count(".") == 2 and digest not in settings.rights.token_owners:  # noqa: PLR2004 - as a JWT has
        raise ConfigurationError(["this is a token of an identity provider; revoke its person, with --person"])
    return digest
