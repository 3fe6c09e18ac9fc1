"""All measurements in one run, as tables in docs/reference/performance.md. `make bench` does this.

    .venv/bin/python -m bench [--quick] [--write] [--profile] [--only PART]

`--quick` makes few calls, to see that everything runs. `--profile` prints instead where the CPU time of a read goes.
A part that fails or does not end leaves a sentence in the place of its table, and the exit code is 1. `--only` runs
the parts whose heading has this word, and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.layers import print_layers
from bench.tables import PARTS

DOCUMENT = Path(__file__).parent.parent / "docs" / "reference" / "performance.md"
TABLES = re.compile(r"(<!-- performance -->\n).*?(\n<!-- /performance -->)", re.DOTALL)
PART_SECONDS = 300
"""The longest time of one part. On a quiet machine the longest takes a minute and a half."""


def main() -> int:
    parser = argparse.ArgumentParser(description="All measurements in one run.")
    parser.add_argument("--quick", action="store_true", help="few calls, to see that everything runs")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/reference/performance.md")
    parser.add_argument("--profile", action="store_true", help="print where the CPU time of a read goes")
    parser.add_argument("--only", metavar="WORD", help="the parts whose heading has this word")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--only: leave out --write, because the tables of a document are of one run")
    if options.profile and options.quick:
        parser.error("--profile: leave out --quick, because the start would take more than so few calls")
    word = (options.only or "").casefold()
    parts = {heading: make_table for heading, make_table in PARTS.items() if word in heading.casefold()}
    if not parts:
        parser.error(f"--only: no part has this word; they are: {', '.join(PARTS)}")
    if options.profile:
        print_layers(calls=500)
        return 0
    lines = [f"{_machine()} Load of the machine at the start: {os.getloadavg()[0]:.1f}."]
    print(lines[0], flush=True)
    failures = 0
    for heading, make_table in parts.items():
        lines += ["", f"### {heading}", ""]
        start = time.monotonic()
        try:
            with _limit(PART_SECONDS):
                table = list(make_table(options.quick))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the other parts are worth having
            traceback.print_exc()
            failures += 1
            table = [f"Not measured in this run: {type(error).__name__}."]
        lines += table
        print("\n".join(["", f"### {heading}", "", *table]), flush=True)
        print(f"{heading}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    if options.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        tables = "\n".join(lines)
        DOCUMENT.write_text(TABLES.sub(lambda match: f"{match[1]}{tables}{match[2]}", text), encoding="utf-8")
    return int(failures > 0)


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    """Raises TimeoutError in the block after as many seconds, also while it waits for a server that hangs."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"this part did not end within {seconds} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


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


if __name__ == "__main__":
    sys.exit(main())
