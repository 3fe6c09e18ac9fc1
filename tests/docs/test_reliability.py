"""docs/reference/faults.md lists what is tested, and nothing else."""

from __future__ import annotations

import pytest

from tests.conftest import PROJECT
from tests.reliability import COLLECTED, documented_rows, rows_of


def test_the_table_is_what_the_tests_say_of_themselves(request: pytest.FixtureRequest) -> None:
    """Compared for each file that is collected whole; `make generate` writes the table anew."""
    if any("::" in argument for argument in request.config.args):
        pytest.skip("not every test is collected")
    items = request.session.stash[COLLECTED]
    collected = {item.nodeid.partition("::")[0] for item in items}
    assert [row for row in documented_rows() if row.file in collected] == rows_of(items)


def test_each_row_names_a_file_of_tests_and_each_fault_stands_once() -> None:
    rows = documented_rows()
    assert len(rows) >= 50
    assert len({row.fault for row in rows}) == len(rows)
    for row in rows:
        assert PROJECT.joinpath(row.file).is_file(), row
