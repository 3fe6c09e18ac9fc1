"""Runs the scenarios: the scripted agents for the table of docs/develop/evaluation.md, or an agent of your own.

    python -m roadster_evals                              the table
    python -m roadster_evals --write docs/develop/evaluation.md   writes it there; `make evals` does that
    python -m roadster_evals --agent mine:agent           one line a scenario

Exit codes: 0 done; 1 an agent of your own did not solve everything; 2 a mistake in the usage or in a scenario.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

import anyio

from .agents import Agent
from .grading import Result
from .report import replaced, scripted_results, summary, table
from .scenario import Scenario, ScenarioError, load
from .trial import evaluate


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(handlers=[logging.NullHandler()])  # the server's log would stand between the results
    try:
        scenarios = _chosen(load(options.scenarios), options.only)
        if options.agent is None:
            return _scripted(scenarios, options)
        return _own(scenarios, options)
    except (ScenarioError, _UsageError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m roadster_evals",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenarios", type=Path, default=Path("examples/evals"), help="a folder (%(default)s)")
    parser.add_argument("--only", default="", metavar="TEXT", help="scenarios with this in their name")
    parser.add_argument("--agent", metavar="MODULE:NAME", help="your own: async def NAME(request, client) -> str")
    parser.add_argument("--json", action="store_true", help="one result a line, as JSON")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the markers of this file")
    return parser


class _UsageError(Exception):
    pass


def _chosen(scenarios: Sequence[Scenario], only: str) -> Sequence[Scenario]:
    chosen = [scenario for scenario in scenarios if only in scenario.name]
    if not chosen:
        near = get_close_matches(only, [scenario.name for scenario in scenarios], cutoff=0)
        raise _UsageError(f"--only {only}: no scenario has this in its name; the nearest are {', '.join(near)}")
    return chosen


def _scripted(scenarios: Sequence[Scenario], options: argparse.Namespace) -> int:
    results = anyio.run(scripted_results, scenarios)
    if options.json:
        _print_json(results)
    elif options.write:
        document: Path = options.write
        document.write_text(replaced(document.read_text("utf-8"), table(scenarios, results)), "utf-8")
    else:
        sys.stdout.write(table(scenarios, results))
    return 0


def _own(scenarios: Sequence[Scenario], options: argparse.Namespace) -> int:
    results = anyio.run(evaluate, {options.agent: _imported(options.agent)}, scenarios)
    if options.json:
        _print_json(results)
    else:
        for result in results:
            said = "; ".join(result.problems) or f"solved with {result.calls} calls and {result.tokens:,} tokens"
            sys.stdout.write(f"{result.scenario}: {said}\n")
        sys.stdout.write(", ".join(f"{name} {value:,}" for name, value in summary(results).items()) + "\n")
    return 0 if all(result.success for result in results) else 1


def _imported(name: str) -> Agent:
    module, _, attribute = name.partition(":")
    try:
        agent: Agent = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise _UsageError(f"--agent {name}: {error}; write MODULE:NAME") from None
    return agent


def _print_json(results: Sequence[Result]) -> None:
    for result in results:
        sys.stdout.write(json.dumps(result.json(), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
