"""A short run of bench/soak.py. The long runs are for people: 120 seconds, or 10,000 calls."""

from __future__ import annotations

import pytest
from bench.soak import run_soak

from roadster_sandbox.http.faults import KINDS
from tests.servers import PATIENCE

pytestmark = pytest.mark.anyio

SLOW = ("delay", "drip", "huge", "gzip_bomb")
"""Kinds of fault that take seconds each. They have tests of their own."""


@pytest.mark.reliability(
    "every kind of fault at random, under many callers at once",
    "each call ends in time with a documented outcome, and each write is upstream as often as reported",
)
async def test_calls_end_as_documented_and_writes_are_there_as_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.soak.SLACK", PATIENCE)
    soak, _ = await run_soak(None, 600, [kind for kind in KINDS if kind not in SLOW], seed=7)
    assert soak.violations == []
    assert soak.calls >= 600
    assert any(outcome.endswith("outcome_unknown") for outcome in soak.outcomes), "the faults must strike"
    assert any(None in write.outcomes for write in soak.writes)
