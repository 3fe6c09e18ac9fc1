"""All measurements in one run, as tables in docs/reference/performance.md. `make bench` does this.

    .venv/bin/python -m bench [--quick] [--write] [--profile]

`--quick` makes few calls, to see that everything runs. `--profile` prints instead where the CPU time of a read goes.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench import cold_start, flood, growth, inventory, loop_steps, messages, speed, webhooks
from bench.layers import print_layers
from bench.processes import start_process

DOCUMENT = Path(__file__).parent.parent / "docs" / "reference" / "performance.md"
TABLES = re.compile(r"(<!-- performance -->\n).*?(\n<!-- /performance -->)", re.DOTALL)


def main() -> int:
    parser = argparse.ArgumentParser(description="All measurements in one run.")
    parser.add_argument("--quick", action="store_true", help="few calls, to see that everything runs")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/reference/performance.md")
    parser.add_argument("--profile", action="store_true", help="print where the CPU time of a read goes")
    options = parser.parse_args()
    if options.profile:
        print_layers(calls=20 if options.quick else 500)
        return 0
    lines = []
    for line in make_tables(quick=options.quick):
        print(line, flush=True)
        lines.append(line)
    tables = "\n".join(lines)
    if options.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(TABLES.sub(lambda match: f"{match[1]}{tables}{match[2]}", text), encoding="utf-8")
    return 0


def make_tables(*, quick: bool) -> Iterator[str]:
    """Yields the lines of all tables. Each part is measured when its turn comes."""
    yield f"{_machine()} Load of the machine at the start: {os.getloadavg()[0]:.1f}."
    rounds, calls = (1, 5) if quick else (5, 40)
    for way in speed.WAYS:
        yield from ["", f"### Calls over {'stdio' if way == 'stdio' else f'HTTP, {way}'}", ""]
        yield from _calls(speed.compare(way, speed.TOOLS, rounds, calls))
    yield from ["", "### Start", ""]
    yield from _starts(1 if quick else 15)
    yield from ["", "### A caller beside a flood", ""]
    waits = flood.measure(1, 5 if quick else 30, 4 if quick else 32)
    rows = [[f"`{tool}`", _ms(alone), _ms(beside), f"{beside / alone:.1f}"] for tool, (alone, beside) in waits.items()]
    yield from _table(["call", "alone, ms", "beside 32 calls of another, ms", "ratio"], rows)
    yield from ["", "### The longest step of the event loop", ""]
    steps = loop_steps.measure(2 if quick else 15)
    yield from _table(["call", "CPU, ms"], [[name, f"{milliseconds:.1f}"] for name, milliseconds in steps.items()])
    yield from ["", "### Growth", ""]
    yield from _growth(growth.measure(quick=quick))
    yield from ["", "### A group with as many dealers", ""]
    yield from _groups(growth.measure_groups(quick=quick))
    yield from ["", "### Searches of the inventory, by the vehicles of the dealer", ""]
    yield from _searches((100, 200) if quick else (100, 2_000, 20_000), 3 if quick else 30)
    yield from ["", "### Web hooks", ""]
    yield from _webhooks(100 if quick else 3_000)
    yield from ["", "### Memory for the largest messages", ""]
    yield from _messages(2, kinds=1) if quick else _messages(16)


def _machine() -> str:
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return f"{os.cpu_count()} cores of {processor}, {platform.system()}, Python {platform.python_version()}."


def _calls(costs: Mapping[str, Mapping[str, speed.CallCost]]) -> Iterator[str]:
    rows = []
    for tool, by_server in costs.items():
        ours = next(iter(by_server.values()))
        for server, cost in by_server.items():
            ratio = f"{ours.cpu / cost.cpu:.2f}" if cost.cpu else "-"
            rows.append([f"`{tool}`", server, _ms(cost.cpu), _ms(cost.wall), ratio])
    return _table(["call", "server", "CPU, ms", "wall, ms", "ours to it, CPU"], rows)


def _starts(runs: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, start_process("sandbox", path="/openapi.json") as (url, _):
        starts = cold_start.measure(cold_start.both_commands(Path(folder), url), runs)
    rows = []
    for moment in cold_start.MOMENTS:
        medians = {
            name: [statistics.median(times[moment][kind] for times in all_times) for kind in (0, 1)]
            for name, all_times in starts.items()
        }
        ours, bare = medians["ours"], medians["bare"]
        ratios = [f"{own / other:.2f}" for own, other in zip(ours, bare, strict=True)]
        rows.append([moment, *(f"{seconds * 1000:.0f}" for seconds in (*ours, *bare)), *ratios])
    head = ["until", "CPU, ms", "wall, ms", "`MCPServer`: CPU, ms", "wall, ms", "ours to it, CPU", "wall"]
    return _table(head, rows)


def _growth(values: Mapping[str, Sequence[float]]) -> Iterator[str]:
    sizes = {"dealers": growth.DEALERS, "callers": growth.CALLERS, "audit verify": growth.RECORDS}
    rows = [
        [
            name,
            " / ".join(f"{size:,}" for size in sizes[name]),
            " / ".join(map(_ms, times)),
            f"{times[-1] / times[0]:.2f}",
        ]
        for name, times in values.items()
    ]
    return _table(["of", "sizes", "ms", "largest to smallest"], rows)


def _groups(costs: Mapping[str, Sequence[float]]) -> Iterator[str]:
    rows = [
        [kind, *(f"{value:.1f}" for value in values), f"{values[-1] / values[0]:.2f}"] for kind, values in costs.items()
    ]
    sizes = growth.DEALERS[: len(rows[0]) - 2]
    return _table(["of", *(f"{size:,}" for size in sizes), "largest to smallest"], rows)


def _searches(sizes: Sequence[int], calls: int) -> Iterator[str]:
    costs = [inventory.searches(size, calls) for size in sizes]
    rows = [
        [name, *(_ms(of_size[name]) for of_size in costs), f"{costs[-1][name] / costs[0][name]:.2f}"]
        for name in costs[0]
    ]
    return _table(["call", *(f"{size:,}: CPU, ms" for size in sizes), "largest to smallest"], rows)


def _webhooks(events: int) -> Iterator[str]:
    rows = []
    for name, (seconds, of_each) in webhooks.measure(events, senders=16).items():
        p99 = statistics.quantiles(of_each, n=100)[98]
        rows.append([name, f"{len(of_each) / seconds:,.0f}", _ms(statistics.median(of_each)), _ms(p99)])
    return _table(["events", "acknowledged a second", "median, ms", "p99, ms"], rows)


def _messages(at_once: int, kinds: int | None = None) -> Iterator[str]:
    rows = []
    for kind, message in [*messages.messages().items()][:kinds]:
        memory = messages.measure(message, at_once)
        sizes = (memory.at_rest, memory.after_one, memory.after_many)
        rows.append([kind, f"{len(message) / 2**20:.1f}", *(f"{size:,.0f}" for size in sizes)])
    return _table(["message", "MiB", "at rest, MiB", "after one", f"after {at_once} at once"], rows)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    sys.exit(main())
