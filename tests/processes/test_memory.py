"""The memory of a server under the largest messages. `bench/messages.py` and `bench/held_messages.py` measure more."""

from __future__ import annotations

import re
import sys

import pytest
from bench import held_messages
from bench.messages import measure, messages

from tests.conftest import PROJECT

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of another process's memory"),
]

AT_ONCE = 16


def limit_of_a_pod() -> int:
    """Returns the limit of `examples/deploy/kubernetes.yaml` in MiB."""
    (limit,) = re.findall(r"limits: \{memory: (\d+)Mi\}", (PROJECT / "examples/deploy/kubernetes.yaml").read_text())
    return int(limit)


@pytest.mark.reliability(
    "sixteen callers send the largest messages at once",
    "the memory grows as for a few of them, and stays within two thirds of a pod's limit",
)
@pytest.mark.parametrize("kind", ["1.3 million empty objects", "the same in _meta"])
def test_sixteen_large_messages_fit_into_a_pod(kind: str) -> None:
    memory = measure(messages()[kind], AT_ONCE)
    assert memory.statuses.total() == AT_ONCE
    assert memory.statuses.keys() <= {"200", "400"}, "each waits for its turn and is answered"
    assert memory.after_many < limit_of_a_pod() * 2 / 3
    growth_of_one = memory.after_one - memory.at_rest
    assert memory.after_many - memory.at_rest < 8 * max(growth_of_one, 16)


@pytest.mark.reliability(
    "25 calls with the largest messages, at an upstream that never answers",
    "hold the memory of their places: within two thirds of a pod's limit",
)
@pytest.mark.parametrize("transport", held_messages.TRANSPORTS)
@pytest.mark.parametrize("kind", ["100,000 values in _meta", "a file of 1 MiB"])
def test_calls_that_hang_hold_little(transport: str, kind: str) -> None:
    memory = held_messages.measure(transport, held_messages.messages()[kind], 25)
    assert memory.peak < limit_of_a_pod() * 2 / 3
    if kind != "a file of 1 MiB":
        assert memory.after_calls - memory.at_rest < 32, "it is refused"
