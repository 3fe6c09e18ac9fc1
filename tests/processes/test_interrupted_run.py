"""Ctrl-C while `run` works through a script."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2

from tests.conftest import PROJECT
from tests.server.transports.test_http import SECRETS, write_config
from tests.servers import PATIENCE, until
from tests.tool_examples import STEVE

AT_UMAZDA = {"dealer": "umazda"}
VEHICLE = {"tool": "get_vehicle", "arguments": {**AT_UMAZDA, "vin": "3MVDMBBM0SM472067"}}
CUSTOMER = {"tool": "create_customer", "arguments": {**AT_UMAZDA, "customer": STEVE}}
DEALERS = {"tool": "list_dealers", "arguments": {}}
DEALER = {"tool": "get_dealer", "arguments": AT_UMAZDA}


def test_ctrl_c_leaves_a_result_of_each_call_that_began(upstream: str, tmp_path: Path) -> None:
    """Also of a call that ended before earlier ones. The two reads and the write that hang get the result that fits."""
    out = tmp_path / "out.jsonl"
    config = write_config(tmp_path, upstream)
    for operation in ("get_vehicle", "create_customer", "get_dealer"):
        fault = {"operation": operation, "fault": "delay", "seconds": 14, "times": 1}  # shorter than their deadlines
        httpx2.post(f"{upstream}/__sandbox/faults", json=fault, timeout=PATIENCE).raise_for_status()
    script = tmp_path / "script.jsonl"
    script.write_text("".join(json.dumps(line) + "\n" for line in (VEHICLE, CUSTOMER, DEALERS, DEALER, DEALERS)))
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "roadster_server", "run", str(script)),
            *("--config", str(config), "--out", str(out), "--jobs", "3"),
        ],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **SECRETS},
        stderr=subprocess.PIPE,
        cwd=PROJECT,
        # A shell that runs the suite in the background ignores Ctrl-C, and so would the process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it takes no lock
    )
    # The fourth begins when the third has ended.
    until(lambda: len(httpx2.get(f"{upstream}/__sandbox/requests", timeout=PATIENCE).json()) == 4)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(result["line"], result.get("error")) for result in results] == [
        (1, "upstream"),
        (2, "outcome_unknown"),
        (3, None),
        (4, "upstream"),
    ]
    assert stderr.decode().splitlines()[-1] == (
        "roadster-mcp: interrupted: 4 of 5 calls have a result, the others were not begun; "
        "look at the message of line 2 before you repeat it: it may have been done"
    )
    assert b"Traceback" not in stderr
