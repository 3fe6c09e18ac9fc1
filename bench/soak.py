"""What a server does over many calls while its upstreams fail at random: every outcome, every write, its memory.

    .venv/bin/python bench/soak.py --seconds 120            under faults, until the time is up
    .venv/bin/python bench/soak.py --calls 10000 --calm     without faults, for its memory

Starts a sandbox and a server in processes of their own, and calls the server over HTTP as several callers, in both
eras. Meanwhile every kind of fault of the sandbox strikes any operation. At the end:

- every call has ended in the time of the operations it makes, with an answer or one of the documented failures,
- every write that was reported done is in the sandbox once, every one reported as not done is not, and of the
  ones with an unknown outcome none was sent twice,
- the server's resident memory after a tenth of the calls, and after all of them.

Exits with 1 where one of these does not hold, or the memory has grown by more than `--most-growth` percent.
A seed makes the calls and the faults the same; which meets which depends on the machine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from roadster_client import OPERATIONS
from roadster_sandbox.http.faults import KINDS
from roadster_server.calls.results import FAILURE_META
from roadster_tools import FailureKind

CALLERS = ("amber", "beryl", "coral", "dusk")
DEALERS = ("umazda", "hyundaidemo")
VINS = {"umazda": "JM3KKBHA7R1194195", "hyundaidemo": "5NMP14GL1RH865270"}
CLIENTS = 8
FAULT_EVERY = 0.25
"""Seconds in the mean. With eight clients that is a fault for every ten to twenty calls."""

SLACK = 10.0
"""Seconds above the operations' deadlines, for a machine with other things to do."""

CONFIG = """
[roadster]
base_url = "{upstream}/v1"
api_key = "env:UPSTREAM_KEY"
[roadie]
base_url = "{upstream}/roadie/v1"
token = "env:UPSTREAM_KEY"
[store]
url = "sqlite:///{folder}/store.db"
[dealers.umazda]
partner_id = "51101"
orders = "any"
[dealers.hyundaidemo]
partner_id = "CA317"
orders = "any"
"""
CALLER = """
[callers.{name}]
token_sha256 = ["{digest}"]
dealers = ["umazda", "hyundaidemo"]
[callers.{name}.access]
dealers = "read"
inventory = "read"
payments = "read"
customers = "write"
links = "read"
documents = "write"
deliveries = "write"
forms = "write"
events = "read"
"""


@dataclass
class Write:
    """One write, known in the sandbox by `mark`, and what was reported of it."""

    mark: str
    outcomes: list[str | None] = field(default_factory=list)
    """The failure's kind, None for done: two where it was called again with its key."""


@dataclass
class Soak:
    """What was seen. `broken` are the promises that did not hold, a line each."""

    chance: random.Random
    customers: dict[str, int] = field(default_factory=dict)
    """By dealer, one whose binder is filled."""
    calls: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    writes: list[Write] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    slowest: float = 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--seconds", type=float, help="how long calls are begun")
    length.add_argument("--calls", type=int, help="how many calls are made")
    parser.add_argument("--calm", action="store_true", help="no faults")
    parser.add_argument("--without", nargs="*", default=[], choices=list(KINDS), help="kinds of fault to leave out")
    parser.add_argument("--most-growth", type=float, default=10.0, help="of the memory, in percent (default: 10)")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    faults = [] if options.calm else [kind for kind in KINDS if kind not in options.without]
    soak, memory = anyio.run(soaked, options.seconds, options.calls, faults, options.seed)
    grown = report(soak, memory)
    if options.calm and grown > options.most_growth:
        soak.broken.append(f"the memory has grown by {grown:.1f} %")
    for line in soak.broken:
        print(f"BROKEN  {line}")
    return int(bool(soak.broken))


def report(soak: Soak, memory: list[int]) -> float:
    """Prints what was seen; returns by how many percent the memory has grown."""
    print(f"{soak.calls} calls, {len(soak.writes)} of them writes; the slowest took {soak.slowest:.1f} s")
    for outcome, count in soak.outcomes.most_common():
        print(f"  {count:7}  {outcome}")
    first, last = memory[0], memory[-1]
    grown = 100 * (last - first) / first
    print(f"memory: {first / 1024:.1f} MiB after a tenth, {last / 1024:.1f} MiB at the end ({grown:+.1f} %)")
    return grown


async def soaked(seconds: float | None, calls: int | None, faults: list[str], seed: int) -> tuple[Soak, list[int]]:
    """The whole soak, and the server's resident memory in KiB: after a tenth of it, and at its end."""
    soak = Soak(random.Random(seed))
    memory: list[int] = []
    with tempfile.TemporaryDirectory() as folder, processes(Path(folder)) as (upstream, url, server):
        began = time.monotonic()

        def done_so_far() -> float:
            return (time.monotonic() - began) / seconds if seconds else soak.calls / (calls or 1)

        async def caller(number: int) -> None:
            name, mode = CALLERS[number % len(CALLERS)], ("auto", "legacy")[number % 2]
            async with connected(url, name, mode) as client:
                while done_so_far() < 1:
                    soak.calls += 1
                    await one_call(soak, client, soak.calls)
                    if not memory and done_so_far() > 0.1:
                        memory.append(resident(server))

        async with connected(url, CALLERS[0], "auto") as client:
            for dealer in DEALERS:
                made = await client.call_tool(
                    "create_customer", {"dealer": dealer, "customer": steve("steve@example.com")}
                )
                soak.customers[dealer] = (made.structured_content or {})["customer_id"]
        async with httpx2.AsyncClient(base_url=f"{upstream}/__sandbox", timeout=30) as grader:
            async with anyio.create_task_group() as tasks:
                if faults:
                    tasks.start_soon(strike, soak.chance, grader, faults)
                async with anyio.create_task_group() as callers:
                    for number in range(CLIENTS):
                        callers.start_soon(caller, number)
                tasks.cancel_scope.cancel()
            memory.append(resident(server))
            await grader.delete("faults")
            compare(soak, (await grader.get("requests")).json(), (await grader.get("state")).json())
    return soak, memory


async def strike(chance: random.Random, grader: httpx2.AsyncClient, kinds: list[str]) -> None:
    """Faults for ever, of any kind at any operation."""
    while True:
        await anyio.sleep(chance.expovariate(1 / FAULT_EVERY))
        kind = chance.choice(kinds)
        fault: dict[str, Any] = {"operation": chance.choice(["*", chance.choice([*OPERATIONS])]), "fault": kind}
        if kind == "status":
            fault |= {"status": chance.choice([400, 401, 404, 408, 409, 429, 500, 502, 503, 504]), "seconds": 1}
        if kind == "delay":
            fault |= {"seconds": chance.uniform(0.1, 2)}
        (await grader.post("faults", json=fault)).raise_for_status()


# The calls


Call = tuple[str, dict[str, Any]]
"""The name of a tool, and its arguments."""


async def one_call(soak: Soak, client: Client, number: int) -> None:
    """A call picked by chance; a write is called again with its key where the first outcome allows it."""
    chance, dealer = soak.chance, soak.chance.choice(DEALERS)
    if chance.random() < 0.7:
        tool, arguments = a_read(chance, VINS[dealer], soak.customers[dealer])
        await timed(soak, client, tool, {"dealer": dealer, **arguments})
        return
    write = Write(f"soak-{number}")
    tool, arguments = a_write(chance, write.mark, soak.customers[dealer])
    soak.writes.append(write)
    arguments |= {"dealer": dealer}
    with_key = chance.random() < 0.5
    if with_key:
        arguments |= {"idempotency_key": f"soaks-key-{number}"}
    write.outcomes.append(await timed(soak, client, tool, arguments))
    if with_key and chance.random() < 0.5:
        write.outcomes.append(await timed(soak, client, tool, arguments))


def a_read(chance: random.Random, vin: str, customer: int) -> Call:
    calls: list[Call] = [
        ("list_inventory", {"limit": chance.randrange(1, 100)}),
        ("get_vehicle", {"vin": vin}),
        ("quote_payments", {"vin": vin, "detail": chance.choice(["brief", "full"])}),
        (
            "list_protection_plans",
            {"vin": vin, "deal_type": "finance", "apr_percent": 4.9, "term_months": 60, "amount_financed": 30000},
        ),
        ("build_deep_link", {"vin": vin}),
        ("list_documents", {"customer_id": customer}),
        ("list_templates", {}),
        ("get_template", {"template_id": "278"}),
        ("list_customer_events", {}),
        ("get_dealer", {}),
    ]
    return chance.choice(calls)


def a_write(chance: random.Random, mark: str, customer: int) -> Call:
    """Tool and arguments, which hold the mark where the sandbox keeps it."""
    email = f"{mark}@example.com"
    address = {"street1": "456 Central Avenue", "city": "San Mateo", "state": "CA", "zip": "94402"}
    tire = {"description": "A tire", "value": 80, "length": 27, "width": 27, "height": 9, "weight": 25, "quantity": 1}
    calls: list[Call] = [
        ("create_customer", {"customer": steve(email)}),
        ("submit_trade_valuation", {"email": email, "vin": "4T1C11AK0LU322811", "value": 9000}),
        (
            "upload_document",
            {
                "customer_id": customer,
                "document_type": "license",
                "document_name": mark,
                "file_name": "license.pdf",
                "relationship": "self",
                "contents": "JVBERi0xLjQgYSBibGFuayBmb3Jt",
            },
        ),
        (
            "create_delivery",
            {
                "items": [tire],
                "pickup_location": {"address": address, "contact": {"name": "Natalie Wood", "phone": "2065550100"}},
                "delivery_location": {
                    "address": address,
                    "contact": {"name": "Carlos Silva", "phone": "4155550123"},
                    "notes": mark,
                },
                "pickup_after": "2099-01-31T09:00:00-08:00",
                "deliver_between": {"start": "2099-01-31T10:00:00-08:00", "end": "2099-01-31T18:00:00-08:00"},
            },
        ),
    ]
    return chance.choice(calls)


def steve(email: str) -> dict[str, str]:
    return {"first_name": "Steve", "last_name": "McQueen", "email": email, "phone": "+14155556666"}


async def timed(soak: Soak, client: Client, tool: str, arguments: dict[str, Any]) -> str | None:
    """Makes the call, and notes its end. Returns the failure's kind, None for an answer."""
    began = time.monotonic()
    # The longest operation of any tool, and one that is looked up before it.
    within = max(operation.deadline for operation in OPERATIONS.values()) + 15 + SLACK
    kind: str | None = "no end"
    try:
        with anyio.fail_after(within):
            kind = kind_of(await client.call_tool(tool, arguments))
    except TimeoutError:
        soak.broken.append(f"{tool} had not ended after {within:.0f} s")
    except Exception as error:  # noqa: BLE001 - whatever a client can see that is no answer
        soak.broken.append(f"{tool} ended with {type(error).__name__}: {error}")
    if kind not in (None, "no end", *get_args(FailureKind)):
        soak.broken.append(f"{tool} ended with a failure that is not documented: {kind}")
    soak.slowest = max(soak.slowest, time.monotonic() - began)
    soak.outcomes[f"{tool}: {kind or 'done'}"] += 1
    return kind


def kind_of(result: CallToolResult) -> str | None:
    kind: str | None = (result.meta or {}).get(FAILURE_META)
    return kind or ("none" if result.is_error else None)


# Afterwards


def compare(soak: Soak, requests: list[dict[str, Any]], state: dict[str, Any]) -> None:
    """Holds what was reported of each write against what the sandbox was sent, and has."""
    sent, kept = Counter(marks_in(requests)), Counter(marks_in(state))
    for write in soak.writes:
        if None in write.outcomes:
            as_reported = kept[write.mark] == 1
        else:
            as_reported = kept[write.mark] <= ("outcome_unknown" in write.outcomes)
        # Each report that nothing was done leaves the key free for one more request.
        not_done = sum(outcome not in (None, "outcome_unknown") for outcome in write.outcomes)
        if not as_reported or sent[write.mark] > 1 + not_done:
            soak.broken.append(
                f"{write.mark} was reported {', then '.join(outcome or 'done' for outcome in write.outcomes)}: "
                f"sent {sent[write.mark]} times, in the sandbox {kept[write.mark]} times"
            )


def marks_in(document: Any) -> Iterator[str]:
    """The mark of each record that holds one: requests and state name it once in a write."""
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        for value in document:
            yield from marks_in(value)
    elif isinstance(document, str) and document.startswith("soak-"):
        yield document.removesuffix("@example.com")


# The processes


@contextmanager
def processes(folder: Path) -> Iterator[tuple[str, str, subprocess.Popen[bytes]]]:
    """A sandbox and a server before it: their URLs, and the server's process."""
    config = folder / "roadster.toml"
    with running("sandbox", path="/__sandbox/state") as (upstream, _):
        callers = "".join(
            CALLER.format(name=name, digest=hashlib.sha256(f"{name}-token".encode()).hexdigest()) for name in CALLERS
        )
        config.write_text(CONFIG.format(upstream=upstream, folder=folder) + callers, encoding="utf-8")
        serve = ("serve", "--transport", "http", "--config", str(config))
        with running(*serve, path="/readyz", UPSTREAM_KEY="sandbox-key") as (url, server):
            yield upstream, url, server


@contextmanager
def running(*arguments: str, path: str, **secrets: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "roadster_server", *arguments, "--port", str(port)],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **secrets},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"{url}{path}", process)
        yield url, process
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"a process ended with {process.returncode} before it listened")
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{url} did not answer")


@asynccontextmanager
async def connected(url: str, name: str, mode: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {name}-token"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=None) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def resident(process: subprocess.Popen[bytes]) -> int:
    """KiB of memory that the process holds, as Linux counts it."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


if __name__ == "__main__":
    sys.exit(main())
