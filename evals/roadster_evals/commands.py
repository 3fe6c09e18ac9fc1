"""The commands that read results: report and compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .reports.comparison import compare_runs
from .reports.comparison_report import make_comparison
from .reports.run_report import RunReport, make_html, make_text
from .reports.summary import read_prices, read_run, summarize_run
from .usage import FAILED, UsageError, usage_errors


def report(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS.jsonl...", help="Files that --results wrote.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the report into this file, as HTML with plots.")
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help='Prices for a million tokens, in TOML: ["my-model"], input = 1.25, output = 10.'
        ),
    ] = None,
) -> None:
    """Prints what runs show: pass^k and pass@k, success, policy, attacks and cost, with intervals.

    Exit codes: 0 done, 2 a mistake in the options or files.
    """
    with usage_errors():
        if out and any(_is_same_file(out, each) for each in (*results, *([prices] if prices else ()))):
            raise UsageError(f"--out {out}: is one of the files that are read; name another file")
        table = read_prices(prices) if prices else None
        runs = [(path, *read_run(path)) for path in results]
        reports = [RunReport(str(path), header, each, summarize_run(each, table)) for path, header, each in runs]
        if out:
            try:
                out.write_text(make_html(reports), "utf-8")
            except OSError as error:
                raise UsageError(f"--out {out}: cannot be written ({type(error).__name__})") from None
    typer.echo(make_text(reports), nl=False)


def _is_same_file(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def compare(
    results: Annotated[
        list[Path], typer.Argument(metavar="FIRST.jsonl SECOND.jsonl...", help="The results of one agent each.")
    ],
) -> None:
    """Says in what each later run differs from each earlier one by more than noise.

    Exit codes: 0 no run is worse than an earlier one, by more than noise, in solved (of all scenarios or of a toolset),
    success, policy or attacks, 1 one is, 2 a mistake in the options or files.
    """
    with usage_errors():
        if len(results) < 2:  # noqa: PLR2004 - a pair
            raise UsageError(f"{results[0]}: there is nothing to compare it with; name two files or more")
        runs = [(str(path), *read_run(path)) for path in results]
        comparisons = compare_runs([(header, each) for _, header, each in runs])
    typer.echo(make_comparison(comparisons, runs), nl=False)
    verdicts = {difference.verdict for each in comparisons for difference in each.differences}
    raise typer.Exit(FAILED if "worse" in verdicts else 0)
