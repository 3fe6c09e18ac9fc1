"""Commands for the person who operates a server: doctor, install, forget, token, policy, audit, store."""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roadster_server.cli.group import CommandGroup
from roadster_server.cli.options import (
    USAGE_ERROR,
    Config,
    Host,
    Sandbox,
    exit_on_mistakes,
    load_settings,
    open_backend,
    run_async,
)
from roadster_server.settings.defaults import DEFAULT_CONFIG
from roadster_server.settings.errors import ConfigurationError
from roadster_server.telemetry.logs import configure_logs

from .token import token

if TYPE_CHECKING:
    from roadster_server.backend import Backend

app = CommandGroup("Operate a server.")
app.add_typer(token, name="token")
policy = CommandGroup("Show who may do what.")
app.add_typer(policy, name="policy")
audit = CommandGroup("Read and check the record of all calls.")
app.add_typer(audit, name="audit")
store = CommandGroup("Back up the store, and delete old events.")
app.add_typer(store, name="store")


@app.command()
def doctor(config: Config = None, sandbox: Sandbox = False) -> None:
    """Check the configuration, files, secrets, link keys, callers, the store, the upstreams and the clock.

    Each finding is one line: "ok", or "problem" with what to do. Upstreams are only read from. The store is made
    or migrated, as by serve.

    Exit codes: 0 all is well; 1 a problem on this machine or with a dealer's ids; 2 the configuration cannot be used;
    4 an upstream cannot be reached, or does not accept the credentials.
    """
    from roadster_server.cli.doctor.examination import examine
    from roadster_server.cli.doctor.findings import Finding

    configure_logs(logging.ERROR)

    async def print_findings(backend: Backend) -> int:
        worst = 0
        async for finding in examine(backend, None if sandbox else config or DEFAULT_CONFIG):
            typer.echo(finding.line())
            worst = max(worst, finding.code)
        return worst

    try:
        with open_backend(config, sandbox=sandbox) as backend:
            code = run_async(print_findings, backend)
    except ConfigurationError as error:
        for problem in error.problems:
            typer.echo(Finding("configuration", problem, USAGE_ERROR).line())
        code = USAGE_ERROR
    raise typer.Exit(code)


@app.command()
def install(
    host: Annotated[
        Host,
        typer.Argument(
            show_choices=False,
            help="The application that is to start the server: claude-desktop, claude-code, vscode, cursor, codex, "
            "gemini-cli, copilot-cli, opencode, goose or zed.",
        ),
    ],
    only_print: Annotated[
        bool, typer.Option("--print", help="Print what to put into its file, and change nothing.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take our entry out again.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Change the file without asking.")] = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Put this server into an application's configuration, with --sandbox or with a configuration.

    It shows the change before it asks you, and keeps a copy of the file. Everything else in the file stays as it is.
    Claude Code's file is the .mcp.json of the current folder. The others' files are the user's.

    Exit codes: 0 done, or nothing to do; 1 you said no; 2 the file cannot be changed and kept whole.
    """
    from roadster_server.cli.install.hosts import entry_of, file_of, format_of
    from roadster_server.cli.install.install import add_entry, remove_entry

    with exit_on_mistakes():
        if only_print and undo:
            raise ConfigurationError(["--print and --undo exclude each other; leave out one"])
        entry = {} if undo else entry_of(host, _existing_config(config, sandbox=sandbox))
        if only_print:
            typer.echo(format_of(host).snippet(entry))
            return
        path = file_of(host, platform=sys.platform, home=Path.home(), environment=os.environ, folder=Path.cwd())
        change = remove_entry(path, host) if undo else add_entry(path, host, entry)
        if change is None:
            typer.echo(f"{path}: nothing to do")
            return
        typer.echo(change.diff())
        if not yes and not sys.stdin.isatty():
            raise ConfigurationError([f"{path}: is changed only after asking: needs a terminal, or --yes"])
        if not yes and not typer.confirm("Change the file?"):
            typer.echo("nothing was changed")
            raise typer.Exit(1)
        backup = change.apply()
    typer.echo(f"{path}: changed" + (f"; as it was: {backup}" if backup else ""))


def _existing_config(config: Path | None, *, sandbox: bool) -> Path | None:
    """Returns the configuration that a host is to start the server with, None for the sandbox."""
    if sandbox:
        if config is not None:
            raise ConfigurationError(["--sandbox takes no configuration; leave out --sandbox, or --config"])
        return None
    path = config or DEFAULT_CONFIG
    if not path.is_file():
        raise ConfigurationError([f"{path}: there is no such file; name one with --config, or try --sandbox"])
    return path


@app.command()
def forget(
    dealer: Annotated[str, typer.Option(help="The dealer's dpid.")],
    customer: Annotated[str, typer.Option(help="Roadster's id of the customer.")],
    config: Config = None,
) -> None:
    """Delete everything that events brought about one customer. The audit keeps the deletion, with the id hashed."""
    from .audit import forget_customer

    with exit_on_mistakes():
        counts = run_async(forget_customer, load_settings(config), dealer, customer)
    if not any((counts.events, counts.ids, counts.search_entries, counts.files, counts.approvals)):
        typer.echo(f"nothing was known of customer {customer} at {dealer}")
        return
    rows = f"{counts.events} events, {counts.ids} ids, {counts.search_entries} search entries"
    rows += f", {counts.files} files that waited" if counts.files else ""
    rows += f", {counts.approvals} approvals" if counts.approvals else ""
    typer.echo(f"deleted of customer {customer} at {dealer}: {rows}")


@policy.command()
def explain(
    caller: Annotated[str | None, typer.Option(help="A caller of the configuration.")] = None,
    token_claims: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="A person: the claims of a token, as a JSON object.")
    ] = None,
    tool: Annotated[str | None, typer.Option(help="A tool.")] = None,
    dealer: Annotated[str | None, typer.Option(help="A dealer's dpid.")] = None,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Say whether a caller or a person may use a tool at a dealer, and which setting decides.

    Without --tool and --dealer, it says all that they may do.

    A person is whom a token of [identity.NAME] identifies. Put the token's claims into a file, never the token: the
    file claims.json would hold, for instance,

    \b
    {"iss": "https://login.example.com",
     "aud": "https://mcp.example.com/mcp",
     "iat": 1789996400,
     "exp": 1790000000,
     "sub": "00u1a2b3c4",
     "scope": "roadster",
     "groups": ["roadster-sales-nw"]}

    Then this says which rule of people matches, or for each rule why it does not:

    \b
    roadster-mcp policy explain \\
      --token-claims claims.json

    Neither the signature nor the expiry is looked at. The exit code is 0 for either verdict.
    """  # noqa: D301 - \b keeps the lines below it as they are
    from roadster_server.identity.explanation import explain_caller, explain_claims

    from .claims import read_claims

    with exit_on_mistakes(), open_backend(config, sandbox=sandbox) as backend:
        if caller is not None and token_claims is None:
            lines = explain_caller(backend.settings, caller, tool, dealer)
        elif token_claims is not None and caller is None:
            lines = explain_claims(backend.settings, read_claims(token_claims, sys.stdin), tool, dealer)
        else:
            raise ConfigurationError(["this is about a caller or a person; name one, with --caller or --token-claims"])
        typer.echo("\n".join(lines))


@audit.command()
def verify(config: Config = None) -> None:
    """Check the chain of audit records. Exit 1 where one was changed, taken out or put in.

    Records that were cut off at the end leave no trace in the rest. Note the head's hash somewhere else, and compare.
    """
    from .audit import verify_audit

    with exit_on_mistakes():
        line, whole = run_async(verify_audit, load_settings(config))
    typer.echo(line)
    raise typer.Exit(0 if whole else 1)


AboutCustomer = Annotated[str, typer.Option("--customer", metavar="ID", help="Only records about this customer.")]
AtDealer = Annotated[str, typer.Option("--dealer", metavar="DPID", help="The customer's dealer.")]
OfPerson = Annotated[
    str | None,
    typer.Option("--person", metavar="PROVIDER:SUBJECT", help="Only records of this person."),
]
OfCaller = Annotated[
    str | None, typer.Option("--caller", help="Only records of this caller. All people of a role: PROVIDER:ROLE.")
]

OfApproval = Annotated[
    str | None,
    typer.Option("--approval", metavar="ID", help="Only records of this approval."),
]


@audit.command()
def tail(
    count: Annotated[int, typer.Option("--last", min=1, help="How many records.")] = 20,
    customer: AboutCustomer = "",
    dealer: AtDealer = "",
    person: OfPerson = None,
    caller: OfCaller = None,
    approval: OfApproval = None,
    config: Config = None,
) -> None:
    """Print the newest audit records, one JSON object a line.

    With --customer and --dealer: calls that name the customer, and forget. Records of an earlier API key are
    not among them.

    Exit codes: 0 done; 1 a record was changed so that it cannot be read, and the others are printed; 2 there is no
    store, or it cannot be read.
    """
    from .audit import Selection, print_audit

    with exit_on_mistakes():
        subject = _subject(dealer, customer)
        selection = Selection(last=count, subject=subject, caller=caller, person=person, approval=approval)
        is_readable = run_async(print_audit, load_settings(config), selection)
    raise typer.Exit(0 if is_readable else 1)


@audit.command()
def export(
    since: Annotated[str, typer.Option(metavar="TIME", help="An ISO 8601 time, UTC unless it says an offset.")] = "",
    customer: AboutCustomer = "",
    dealer: AtDealer = "",
    person: OfPerson = None,
    caller: OfCaller = None,
    approval: OfApproval = None,
    config: Config = None,
) -> None:
    """Print the audit records from a time on, one JSON object a line. All else is as for tail."""
    from .audit import Selection, print_audit

    with exit_on_mistakes():
        start = _parse_time(since) if since else None
        subject = _subject(dealer, customer)
        selection = Selection(since=start, subject=subject, caller=caller, person=person, approval=approval)
        is_readable = run_async(print_audit, load_settings(config), selection)
    raise typer.Exit(0 if is_readable else 1)


@store.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file where it exists.")] = False,
    config: Config = None,
) -> None:
    """Write a whole copy of the store, while servers use it.

    This is for a store in a SQLite file. For PostgreSQL use pg_dump. Do not copy the SQLite file itself: the copy would
    lack what is in its -wal. Nobody but you can read the new file.

    Exit codes: 0 done; 2 the file exists, the store is a PostgreSQL database, or the copy cannot be made.
    """
    from roadster_server.store import StoreError
    from roadster_server.store.backup import back_up_store

    with exit_on_mistakes():
        url = load_settings(config).store.url.get_secret_value()
        try:
            back_up_store(url, file, overwrite=force)
        except StoreError as error:
            raise ConfigurationError([str(error)]) from None
    typer.echo(f"{file}: the store as of now; check it with audit verify")


@store.command()
def prune(
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    config: Config = None,
) -> None:
    """Delete the events that are older than webhooks.retention_days by this machine's clock.

    A server over HTTP does that each hour, but only while an event of the last day confirms the clock. Use this where
    the clock is right and no event comes. It says what time it is and how many events are older, and asks before it
    deletes them.

    Exit codes: 0 done, or nothing to delete; 1 you said no; 2 it cannot ask, or the store cannot be used.
    """
    from .prune import count_old_events, forget_old_events

    with exit_on_mistakes():
        settings, now = load_settings(config), datetime.now(UTC)
        count = run_async(count_old_events, settings, now)
        days = settings.webhooks.retention_days
        typer.echo(f"it is {now:%Y-%m-%dT%H:%M:%SZ}; older than {days} days: {count} events")
        if not count:
            typer.echo("nothing to delete")
            return
        if not yes and not sys.stdin.isatty():
            raise ConfigurationError(["deletes only after asking: needs a terminal, or --yes"])
        if not yes and not typer.confirm("Is that the time, and shall they be deleted?"):
            typer.echo("nothing was deleted")
            raise typer.Exit(1)
        run_async(forget_old_events, settings, now)
    typer.echo(f"deleted: {count} events")


def _subject(dealer: str, customer: str) -> tuple[str, str] | None:
    if bool(dealer) != bool(customer):
        raise ConfigurationError(["--customer and --dealer belong together: an id is one dealer's; add the other"])
    return (dealer, customer) if dealer else None


def _parse_time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError([f"{text}: is no ISO 8601 time; write it as 2026-01-31T18:00:00Z"]) from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
