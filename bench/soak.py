"""Many calls while the upstreams fail at random: checks each outcome, each write, and the server's memory.

    .venv/bin/python -m bench.soak --seconds 120            under faults, until the time is up
    .venv/bin/python -m bench.soak --calls 10000 --calm     without faults, for the memory

Starts a sandbox and a server in processes of their own. Several callers call the server over HTTP, in both eras of the
protocol, while faults of every kind hit any operation. At the end it checks three things:

- Each call has ended within the deadlines of its operations, with an answer or a documented failure.
- Each write that was reported as done is in the sandbox once. A write that was reported as not done is not there. A
  write with an unknown outcome was not sent twice.
- The server's resident memory after all calls is about what it was after a tenth of them.

Exits with 1 if one of these is violated, or if the memory has grown by more than `--most-growth` percent. A seed makes
the same calls and faults, but the machine decides which call meets which fault.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
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

from bench.servers.processes import start_process
from bench.soak_calls import VINS, make_customer, pick_read, pick_write
from roadster_client import OPERATIONS
from roadster_sandbox.http.faults import KINDS
from roadster_server.calls.results import FAILURE_META
from roadster_tools import FailureKind

CALLERS = ("amber", "beryl", "coral", "dusk")
DEALERS = tuple(VINS)
CLIENTS = 8
FAULT_SHARE = 0.15
"""Faults a call, on average. They are counted in calls, so that a fast machine's calls meet as many as a slow one's."""

SLACK = 10.0
"""Seconds on top of the operations' deadlines, because the machine may be busy."""

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
    """One write. `mark` identifies its record in the sandbox."""

    mark: str
    outcomes: list[str | None] = field(default_factory=list)
    """The failure's kind, None for done. There are two if the call was repeated with its key."""


@dataclass
class Soak:
    """The observations. `violations` has a line for each promise that did not hold."""

    chance: random.Random
    customers: dict[str, int] = field(default_factory=dict)
    """A customer with a binder, by dealer."""
    calls: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    writes: list[Write] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds of the slowest call."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--seconds", type=float, help="time during which calls begin")
    length.add_argument("--calls", type=int, help="number of calls")
    parser.add_argument("--calm", action="store_true", help="no faults")
    parser.add_argument("--without", nargs="*", default=[], choices=list(KINDS), help="kinds of fault to leave out")
    parser.add_argument("--most-growth", type=float, default=10.0, help="of the memory, in percent (default: 10)")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    faults = [] if options.calm else [kind for kind in KINDS if kind not in options.without]
    soak, memory = anyio.run(run_soak, options.seconds, options.calls, faults, options.seed)
    growth = report(soak, memory)
    if options.calm and growth > options.most_growth:
        soak.violations.append(f"the memory has grown by {growth:.1f} %")
    for line in soak.violations:
        print(f"BROKEN  {line}")
    return int(bool(soak.violations))


def report(soak: Soak, memory: list[int]) -> float:
    """Prints the observations. Returns the growth of the memory in percent."""
    print(f"{soak.calls} calls, {len(soak.writes)} of them writes; the slowest took {soak.slowest:.1f} s")
    for outcome, count in soak.outcomes.most_common():
        print(f"  {count:7}  {outcome}")
    first, last = memory[0], memory[-1]
    growth = 100 * (last - first) / first
    print(f"memory: {first / 1024:.1f} MiB after a tenth, {last / 1024:.1f} MiB at the end ({growth:+.1f} %)")
    return growth


async def run_soak(seconds: float | None, calls: int | None, faults: list[str], seed: int) -> tuple[Soak, list[int]]:
    """Returns the observations, and the server's resident memory in KiB after a tenth of the calls and at the end."""
    soak = Soak(random.Random(seed))
    memory: list[int] = []
    with tempfile.TemporaryDirectory() as folder, start_servers(Path(folder)) as (upstream, url, server):
        start = time.monotonic()

        def progress() -> float:
            return (time.monotonic() - start) / seconds if seconds else soak.calls / (calls or 1)

        async def call_repeatedly(client_number: int, grader: httpx2.AsyncClient) -> None:
            name, mode = CALLERS[client_number % len(CALLERS)], ("auto", "legacy")[client_number % 2]
            async with connect(url, name, mode) as client:
                while progress() < 1:
                    soak.calls += 1
                    number = soak.calls
                    if faults and soak.chance.random() < FAULT_SHARE:
                        await add_fault(soak.chance, grader, faults)
                    await make_call(soak, client, number)
                    if not memory and progress() > 0.1:
                        memory.append(resident_memory(server))

        async with connect(url, CALLERS[0], "auto") as client:
            for dealer in DEALERS:
                arguments = {"dealer": dealer, "customer": make_customer("steve@example.com")}
                answer = (await client.call_tool("create_customer", arguments)).structured_content
                soak.customers[dealer] = (answer or {})["customer_id"]
        async with httpx2.AsyncClient(base_url=f"{upstream}/__sandbox", timeout=30) as grader:
            async with anyio.create_task_group() as callers:
                for client_number in range(CLIENTS):
                    callers.start_soon(call_repeatedly, client_number, grader)
            memory.append(resident_memory(server))
            await grader.delete("faults")
            check_writes(soak, (await grader.get("requests")).json(), (await grader.get("state")).json())
    return soak, memory


async def add_fault(chance: random.Random, grader: httpx2.AsyncClient, kinds: list[str]) -> None:
    """Adds a fault of any kind for any operation, or for all of them."""
    kind = chance.choice(kinds)
    fault: dict[str, Any] = {"operation": chance.choice(["*", chance.choice([*OPERATIONS])]), "fault": kind}
    if kind == "status":
        fault |= {"status": chance.choice([400, 401, 404, 408, 409, 429, 500, 502, 503, 504]), "seconds": 1}
    if kind == "delay":
        fault |= {"seconds": chance.uniform(0.1, 2)}
    (await grader.post("faults", json=fault)).raise_for_status()


async def make_call(soak: Soak, client: Client, number: int) -> None:
    """Makes a call that is picked by chance. Half of the writes have a key, and half of those are repeated with it."""
    chance, dealer = soak.chance, soak.chance.choice(DEALERS)
    if chance.random() < 0.7:
        tool, arguments = pick_read(chance, dealer, soak.customers[dealer])
        await observe_call(soak, client, tool, {"dealer": dealer, **arguments})
        return
    write = Write(f"soak-{number}")
    tool, arguments = pick_write(chance, write.mark, soak.customers[dealer])
    soak.writes.append(write)
    arguments |= {"dealer": dealer}
    with_key = chance.random() < 0.5
    if with_key:
        arguments |= {"idempotency_key": f"soaks-key-{number}"}
    write.outcomes.append(await observe_call(soak, client, tool, arguments))
    if with_key and chance.random() < 0.5:
        write.outcomes.append(await observe_call(soak, client, tool, arguments))


async def observe_call(soak: Soak, client: Client, tool: str, arguments: dict[str, Any]) -> str | None:
    """Makes the call, and records its outcome. Returns the failure's kind, None for an answer."""
    start = time.monotonic()
    # The longest operation of any tool, and a lookup before it.
    limit = max(operation.deadline for operation in OPERATIONS.values()) + 15 + SLACK
    kind: str | None = "no end"
    try:
        with anyio.fail_after(limit):
            kind = failure_kind(await client.call_tool(tool, arguments))
    except TimeoutError:
        soak.violations.append(f"{tool} had not ended after {limit:.0f} s")
    except Exception as error:  # noqa: BLE001 - any exception of a client is a violation
        soak.violations.append(f"{tool} ended with {type(error).__name__}: {error}")
    if kind not in (None, "no end", *get_args(FailureKind)):
        soak.violations.append(f"{tool} ended with a failure that is not documented: {kind}")
    soak.slowest = max(soak.slowest, time.monotonic() - start)
    soak.outcomes[f"{tool}: {kind or 'done'}"] += 1
    return kind


def failure_kind(result: CallToolResult) -> str | None:
    kind: str | None = (result.meta or {}).get(FAILURE_META)
    return kind or ("none" if result.is_error else None)


def check_writes(soak: Soak, requests: list[dict[str, Any]], state: dict[str, Any]) -> None:
    """Compares the reported outcomes of each write with the sandbox's requests and records."""
    request_counts, record_counts = Counter(find_marks(requests)), Counter(find_marks(state))
    for write in soak.writes:
        requests_of_write, records = request_counts[write.mark], record_counts[write.mark]
        done, unknown = None in write.outcomes, "outcome_unknown" in write.outcomes
        as_reported = records == 1 if done else records <= unknown
        # A report that nothing was done leaves the key free for one more request.
        not_done = sum(outcome not in (None, "outcome_unknown") for outcome in write.outcomes)
        if not as_reported or requests_of_write > 1 + not_done:
            soak.violations.append(
                f"{write.mark} was reported {', then '.join(outcome or 'done' for outcome in write.outcomes)}: "
                f"sent {requests_of_write} times, in the sandbox {records} times"
            )


def find_marks(document: Any) -> Iterator[str]:
    """Yields the mark of each record that has one. A request or a record of a write has it once."""
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        for value in document:
            yield from find_marks(value)
    elif isinstance(document, str) and document.startswith("soak-"):
        yield document.removesuffix("@example.com")


@contextmanager
def start_servers(folder: Path) -> Iterator[tuple[str, str, subprocess.Popen[bytes]]]:
    """Yields the URL of a sandbox, the URL of a server that uses it, and the server's process."""
    config = folder / "roadster.toml"
    with start_process("sandbox", path="/__sandbox/state") as (upstream, _):
        callers = "".join(
            CALLER.format(name=name, digest=hashlib.sha256(f"{name}-token".encode()).hexdigest()) for name in CALLERS
        )
        config.write_text(CONFIG.format(upstream=upstream, folder=folder) + callers, encoding="utf-8")
        serve = ("serve", "--transport", "http", "--config", str(config))
        with start_process(*serve, path="/readyz", UPSTREAM_KEY="sandbox-key") as (url, server):
            yield upstream, url, server


@asynccontextmanager
async def connect(url: str, name: str, mode: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {name}-token"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=None) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def resident_memory(process: subprocess.Popen[bytes]) -> int:
    """Returns the KiB of memory that the process holds, as Linux counts it."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


if __name__ == "__main__":
    sys.exit(main())
