"""`people open`: a link that signs somebody at this machine in to the pages for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from roadster_server.settings.errors import ConfigurationError

from .group import CommandGroup
from .options import Config, Sandbox, exit_on_mistakes, open_backend, print_notice

app = CommandGroup("Open the pages for people.")


@app.command("open")
def print_link(
    host: Annotated[str, typer.Option(help="The loopback address that the server listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port that the server listens on.")] = 8000,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Print a link that signs you in to the pages for people, at the computer of the server.

    The link is good once, for five minutes, and signs in as the caller that [people] local_caller names. Open it in a
    browser, and press the button there. A server over stdio has a port of its own: its sign-in page says which.
    """
    from roadster_client import is_loopback
    from roadster_server.calls.keys import Keys
    from roadster_server.people.local_links import LIFETIME, make_local_key
    from roadster_server.transports.http.application import origin_of

    with exit_on_mistakes(), open_backend(config, sandbox=sandbox) as backend:
        settings = backend.settings
        caller = settings.people.local_caller
        if caller is None:
            mend = "name a caller whose role may approve, or sign in at the pages with [identity.NAME]"
            raise ConfigurationError([f"people.local_caller: is missing, so no link signs anybody in; {mend}"])
        if not is_loopback(host):
            raise ConfigurationError([f"--host {host}: links are for the computer of the server; give 127.0.0.1"])
        key = make_local_key(
            Keys.derive(settings.roadster.api_key.get_secret_value()).people, caller, datetime.now(UTC)
        )
    typer.echo(f"{origin_of(host, port)}{settings.http.path_prefix}/people/link?key={key}")
    print_notice(f"it signs in as {caller}, once, within {LIFETIME.total_seconds() / 60:.0f} minutes")
