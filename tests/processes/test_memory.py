"""The memory of a server under the largest messages. `bench/messages.py` measures more kinds of them."""

from __future__ import annotations

import re
import sys

import pytest
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
