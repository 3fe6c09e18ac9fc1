"""The scenarios as an Inspect task: it runs offline with the reference's scripts, and solves them all."""

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
)


@pytest.mark.timeout(300)
def test_inspect_works_the_scenarios_and_our_grader_scores_them(tmp_path: Path) -> None:
    """A call and an answer, a refusal, a question to a person, planted text, a lost answer; no network beyond."""
    if not INSPECT.exists() and not os.environ.get("CI"):
        pytest.skip("no Inspect: make .venv-evals/.installed")
    run = subprocess.run(
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
    assert run.returncode == 0, run.stdout + run.stderr
    (log,) = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert log["status"] == "success"
    scored = {sample["id"]: sample["scores"] for sample in log["samples"]}
    assert {name: scores["solved"]["value"] for name, scores in scored.items()} == dict.fromkeys(SAMPLES, "C")
    assert scored["events_planted_message"]["withstood"]["value"] == 1
    assert scored["documents_delete_one"]["solved"]["metadata"]["calls"] == 2
