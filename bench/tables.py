"""The parts of docs/reference/performance.md: what is measured for each table, and its rows."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from tests import services

from bench import cold_start, flood, loop_steps, messages, speed, webhooks, workers
from bench.growth import calls, inventory, records
from bench.servers.processes import start_process


def _calls(way: str, quick: bool) -> Iterator[str]:
    rows = []
    for tool, by_server in speed.compare(way, speed.TOOLS, *((1, 5) if quick else (5, 40))).items():
        ours = next(iter(by_server.values()))
        for server, cost in by_server.items():
            ratio = f"{ours.cpu / cost.cpu:.2f}" if cost.cpu else "-"
            rows.append([f"`{tool}`", server, _ms(cost.cpu), _ms(cost.wall), ratio])
    return _table(["call", "server", "CPU, ms", "wall, ms", "ours to it, CPU"], rows)


def _starts(quick: bool) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, start_process("sandbox", path="/openapi.json") as (url, _):
        starts = cold_start.measure(cold_start.both_commands(Path(folder), url), 1 if quick else 15)
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


def _flood(quick: bool) -> Iterator[str]:
    waits = flood.measure(1, 5 if quick else 30, 4 if quick else 32)
    rows = [[f"`{tool}`", _ms(alone), _ms(beside), f"{beside / alone:.1f}"] for tool, (alone, beside) in waits.items()]
    return _table(["call", "alone, ms", "beside 32 calls of another, ms", "ratio"], rows)


def _loop_steps(quick: bool) -> Iterator[str]:
    steps = loop_steps.measure(2 if quick else 15)
    return _table(["call", "CPU, ms"], [[name, f"{milliseconds:.1f}"] for name, milliseconds in steps.items()])


def _workers(quick: bool) -> Iterator[str]:
    try:
        rates = workers.measure(*((1, 0.5) if quick else (3, 4)))
    except services.NotInstalled as missing:
        return iter([f"Not measured on this machine: {missing}."])
    first = rates[workers.WORKERS[0]]
    rows = [
        [f"{count}", f"{rate.calls:,.0f}", f"{rate.calls / first.calls:.2f}", _ms(rate.cpu)]
        for count, rate in rates.items()
    ]
    return _table(["workers", "reads a second", "to one worker", "CPU of a read, ms"], rows)


def _growth_of_calls(quick: bool) -> Iterator[str]:
    sizes = {"dealers": calls.DEALERS, "callers": calls.CALLERS}
    rows = [
        [
            name,
            " / ".join(f"{size:,}" for size in sizes[name]),
            " / ".join(map(_ms, seconds)),
            f"{seconds[-1] / seconds[0]:.2f}",
        ]
        for name, seconds in calls.measure(quick=quick).items()
    ]
    return _table(["of", "sizes", "CPU, ms", "largest to smallest"], rows)


def _groups(quick: bool) -> Iterator[str]:
    rows = [
        [kind, *(f"{value:.1f}" for value in values), f"{values[-1] / values[0]:.2f}"]
        for kind, values in calls.measure_groups(quick=quick).items()
    ]
    sizes = calls.DEALERS[: len(rows[0]) - 2]
    return _table(["of", *(f"{size:,}" for size in sizes), "largest to smallest"], rows)


def _growth_of_records(measure: Callable[[Sequence[int]], records.Costs], quick: bool) -> Iterator[str]:
    sizes = (1_000, 10_000) if quick else records.SIZES
    rows = [[name, *map(_ms, seconds), f"{seconds[-1] / seconds[0]:.2f}"] for name, seconds in measure(sizes).items()]
    return _table(["work", *(f"{size:,}: ms" for size in sizes), "largest to smallest"], rows)


def _searches(quick: bool) -> Iterator[str]:
    sizes = (100, 200) if quick else (100, 2_000, 20_000)
    costs: list[Mapping[str, float]] = [inventory.searches(size, 3 if quick else 30) for size in sizes]
    rows = [
        [name, *(_ms(of_size[name]) for of_size in costs), f"{costs[-1][name] / costs[0][name]:.2f}"]
        for name in costs[0]
    ]
    return _table(["call", *(f"{size:,}: CPU, ms" for size in sizes), "largest to smallest"], rows)


def _webhooks(quick: bool) -> Iterator[str]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for database, store in webhooks.stores(Path(folder)).items():
            for name, (seconds, of_each) in webhooks.measure(100 if quick else 3_000, senders=16, store=store).items():
                p99 = statistics.quantiles(of_each, n=100)[98]
                times = (_ms(statistics.median(of_each)), _ms(p99))
                rows.append([database, name, f"{len(of_each) / seconds:,.0f}", *times])
    return _table(["store", "events", "acknowledged a second", "median, ms", "p99, ms"], rows)


def _messages(quick: bool) -> Iterator[str]:
    at_once, kinds = (2, 1) if quick else (16, None)
    rows = []
    for kind, message in [*messages.messages().items()][:kinds]:
        memory = messages.measure(message, at_once)
        sizes = (memory.at_rest, memory.after_one, memory.after_many)
        rows.append([kind, f"{len(message) / 2**20:.1f}", *(f"{size:,.0f}" for size in sizes)])
    return _table(["message", "MiB", "at rest, MiB", "after one", f"after {at_once} at once"], rows)


PARTS: Mapping[str, Callable[[bool], Iterator[str]]] = {
    **{f"Calls over {'stdio' if way == 'stdio' else f'HTTP, {way}'}": partial(_calls, way) for way in speed.WAYS},
    "Start": _starts,
    "A caller beside a flood": _flood,
    "The longest step of the event loop": _loop_steps,
    "Two workers at one port": _workers,
    "Calls, by the dealers and the callers": _growth_of_calls,
    "A group with as many dealers": _groups,
    "The audit, by its records": partial(_growth_of_records, records.measure_audit),
    "Events, by those that a dealer has": partial(_growth_of_records, records.measure_events),
    "Searches of the inventory, by the vehicles of the dealer": _searches,
    "Web hooks": _webhooks,
    "Memory for the largest messages": _messages,
}
"""The lines of each table, by its heading. A part is measured when its function is called, with True for few calls."""


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
