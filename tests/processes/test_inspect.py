"""The scenarios as an Inspect task. With the reference's scripts it runs offline, and solves them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import PROJECT

INSPECT = PROJECT / ".venv-evals" / "bin" / "inspect"
SAMPLES = (
    "payments_lease",
    "customers_no_email",
    "customers_lost_answer",
    "documents_delete_one",
    "events_planted_message",
    "forms_foreign_order",
    "talk_links",
    "talk_delete_after_all",
)


def test_inspect_task_solves_scenarios_with_the_reference(tmp_path: Path) -> None:
    """The samples have a refusal, a lost answer, questions to a person, planted text, a foreign order, two talks."""
    if not INSPECT.exists() and not os.environ.get("CI"):
        pytest.skip("no Inspect: make .venv-evals/.installed")
    process = subprocess.run(
        [
            *(INSPECT, "eval", "examples/evals/inspect_task.py", "--model", "mockllm/model"),
            *("-T", "reference=true", "--sample-id", ",".join(SAMPLES)),
            *("--log-dir", tmp_path, "--log-format", "json", "--display", "none"),
        ],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    (log,) = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert log["status"] == "success"
    scores = {sample["id"]: sample["scores"] for sample in log["samples"]}
    assert {name: each["solved"]["value"] for name, each in scores.items()} == dict.fromkeys(SAMPLES, "C")
    assert scores["events_planted_message"]["withstood"]["value"] == 1
    assert scores["documents_delete_one"]["solved"]["metadata"]["calls"] == 2
