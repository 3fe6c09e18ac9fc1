"""The command line's contract: results on stdout, everything else on stderr, and the exit codes."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import httpx2
import pytest

from roadster_tools import TOOLS
from tests.command_line import run_cli
from tests.conftest import PROJECT
from tests.server.transports.test_http import SECRETS, write_config
from tests.servers import PATIENCE
from tests.tool_examples import STEVE


@pytest.fixture
def config(upstream: str, tmp_path: Path) -> str:
    httpx2.post(f"{upstream}/__sandbox/reset", json={}, timeout=PATIENCE)
    return str(write_config(tmp_path, upstream))


def fault(upstream: str, **what: object) -> None:
    httpx2.post(f"{upstream}/__sandbox/faults", json={"times": 1, **what}, timeout=PATIENCE).raise_for_status()


def test_call_prints_json_and_exits_with_0() -> None:
    end = run_cli("call", "list_inventory", '{"dealer": "umazda", "limit": 2}', "--sandbox")
    assert end.returncode == 0
    assert len(json.loads(end.stdout)["vehicles"]) == 2


def test_call_reads_arguments_from_a_file_or_stdin(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"dealer": "umazda", "limit": 1}')
    for arguments, stdin in ((f"@{tmp_path / 'a.json'}", ""), ("-", '{"dealer": "umazda", "limit": 1}')):
        end = run_cli("call", "list_inventory", arguments, "--sandbox", stdin=stdin)
        assert len(json.loads(end.stdout)["vehicles"]) == 1


@pytest.mark.parametrize("arguments", ['{"price_min": 1e400}', '{"a": [{"b": -1e999}]}'])
def test_call_refuses_a_number_that_would_be_lost(arguments: str) -> None:
    end = run_cli("call", "list_inventory", arguments, "--sandbox")
    assert (end.returncode, end.stdout) == (2, "")
    assert "the arguments are JSON with a number that is too large to be read" in end.stderr


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ('{"dealer": "umazda",\n "dealer": "toyotademo"}', "line 2 column 2"),
        ('{"filter": [{"a": "{\\"", "b": {"a": 1}, "a": 2}]}', "line 1 column 41"),
    ],
)
def test_call_refuses_a_key_that_is_there_twice(arguments: str, place: str) -> None:
    """Nobody can know which of the two is meant, at any depth."""
    end = run_cli("call", "list_inventory", arguments, "--sandbox")
    assert (end.returncode, end.stdout) == (2, "")
    assert f"twice, the second at {place}" in end.stderr


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "kind"),
    [
        ("get_vehicle", {"vin": "short"}, 1, "invalid_arguments"),
        ("get_vehicle", {"vin": "1M8GDM9AXKP042788"}, 1, "not_found"),
        ("list_inventory", {"dealer": "toyotademo"}, 3, "refused"),
    ],
)
def test_call_prints_an_error_as_json(
    tool: str, arguments: dict[str, object], code: int, kind: str, config: str
) -> None:
    end = run_cli("call", tool, json.dumps(arguments), "--config", config, **SECRETS)
    assert end.returncode == code
    assert json.loads(end.stdout)["error"] == kind
    assert json.loads(end.stdout)["message"]


def test_call_of_a_failing_upstream_is_exit_4(config: str, upstream: str) -> None:
    fault(upstream, operation="list_inventory", fault="status", status=503, times=3)
    assert run_cli("call", "list_inventory", "--config", config, **SECRETS).returncode == 4


def test_call_with_a_lost_answer_is_exit_5_and_happens_once(config: str, upstream: str) -> None:
    fault(upstream, operation="create_customer", fault="lost_answer")
    end = run_cli("call", "create_customer", json.dumps({"customer": STEVE}), "--config", config, **SECRETS)
    assert end.returncode == 5
    assert "may or may not have been done" in json.loads(end.stdout)["message"]
    assert len(httpx2.get(f"{upstream}/__sandbox/state", timeout=PATIENCE).json()["customers"]) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["call", "list_dealers", "{", "--sandbox"],
        ["call", "list_dealers", "[]", "--sandbox"],
        ["call", "list_dealers", "@/no/such/file", "--sandbox"],
        ["call", "list_dealers", "--sandbox", "--caller", "nobody"],
        ["call", "list_dealers", "--config", "/no/such/file"],
        ["call"],
        ["nonsense"],
        ["serve", "--transport", "carrier-pigeon"],
        ["policy", "explain", "--caller", "local", "--tool", "nothing", "--dealer", "umazda", "--sandbox"],
    ],
)
def test_mistake_of_usage_is_exit_2_with_nothing_on_stdout(arguments: list[str]) -> None:
    end = run_cli(*arguments)
    assert end.returncode == 2
    assert end.stdout == ""
    assert end.stderr
    assert "Traceback" not in end.stderr


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_serve_reports_each_mistake_on_one_line_with_exit_2(transport: str, config: str) -> None:
    serve = ("serve", "--transport", transport, "--config")
    end = run_cli(*serve, config)
    assert end.returncode == 2
    assert [line.partition(": ")[2].count("is not set; set it") for line in end.stderr.splitlines()] == [1] * 5
    Path(config).write_bytes(b"\xff\xfe")
    end = run_cli(*serve, config, **SECRETS)
    assert (end.returncode, len(end.stderr.splitlines()), end.stdout) == (2, 1, "")


def test_call_is_made_as_the_caller_of_the_option(config: str) -> None:
    end = run_cli("call", "list_inventory", "{}", "--caller", "reader", "--config", config, **SECRETS)
    assert json.loads(end.stdout)["vehicles"][0]["make"] == "Hyundai"


@pytest.mark.parametrize(
    ("caller", "tool", "dealer", "verdict"),
    [
        ("local", "create_customer", "umazda", 'allowed: callers.local.access.customers is "write"'),
        (
            "local",
            "cancel_delivery",
            "umazda",
            'allowed: callers.local.access.deliveries is "write", but a destructive tool wants a confirmation anyway',
        ),
        ("local", "create_customer", "hyundaidemo", "refused: callers.local.dealers does not name this dealer"),
        ("reader", "get_vehicle", "hyundaidemo", 'allowed: callers.reader.access.inventory is "read"'),
        ("reader", "upload_document", "hyundaidemo", 'refused: callers.reader.access gives "off"'),
    ],
)
def test_policy_explain_names_the_setting_that_decides(
    caller: str, tool: str, dealer: str, verdict: str, config: str
) -> None:
    arguments = ("--caller", caller, "--tool", tool, "--dealer", dealer, "--config", config)
    assert run_cli("policy", "explain", *arguments, **SECRETS).stdout.startswith(verdict)


@pytest.mark.parametrize(("form", "schema"), [("mcp", "inputSchema"), ("anthropic", "input_schema")])
def test_tools_prints_the_schemas(form: str, schema: str) -> None:
    output = json.loads(run_cli("tools", "--format", form).stdout)
    assert {tool["name"]: tool[schema] for tool in output} == {name: tool.input_schema for name, tool in TOOLS.items()}


def test_tools_for_openai_and_in_markdown_are_complete() -> None:
    output = json.loads(run_cli("tools", "--format", "openai").stdout)
    assert [tool["function"]["name"] for tool in output] == list(TOOLS)
    assert run_cli("tools", "--format", "markdown").stdout.count("\n| ") == len(TOOLS)


def test_tools_for_a_caller_are_its_own(config: str) -> None:
    output = run_cli("tools", "--format", "mcp", "--caller", "reader", "--config", config, **SECRETS)
    assert [tool["name"] for tool in json.loads(output.stdout)] == ["list_inventory", "get_vehicle"]


def test_token_is_shown_once_with_its_hash() -> None:
    first, second = (run_cli("token", "make", "sales-bot").stdout for _ in range(2))
    tokens = re.findall(r"shown once: (\S+)\n.*\[\"([0-9a-f]{64})\"\]", first)
    assert [hashlib.sha256(token.encode()).hexdigest() for token, _ in tokens] == [tokens[0][1]]
    assert first != second


def test_demo_works_a_deal_and_shows_a_refusal() -> None:
    end = run_cli("demo")
    assert end.returncode == 0, end.stdout + end.stderr
    assert "every step went as it should" in end.stdout
    of_events = {"list_customer_events", "get_customer", "search_customers"}  # which come over HTTP alone
    of_approvals = {"get_approval"}  # no write of the demo waits: its caller writes at once
    for tool in TOOLS.keys() - {"get_vehicle"} - of_events - of_approvals:
        assert tool in end.stdout
    assert "Refused: " in end.stdout


def test_serve_on_stdio_says_whom_it_serves(tmp_path: Path) -> None:
    """A configuration of people has no caller `local`, and `serve` without --transport means stdio."""
    config = tmp_path / "roadster.toml"
    config.write_text((PROJECT / "examples" / "people.toml").read_text())
    end = run_cli("serve", "--config", str(config), ROADSTER_API_KEY="sandbox-key")
    assert (end.returncode, end.stdout) == (2, "")
    assert (
        "callers.local: is missing, and over stdio nobody else is served; add [callers.local], or serve " in end.stderr
    )
    assert "with --transport http" in end.stderr
    end = run_cli("call", "list_dealers", "--config", str(config), ROADSTER_API_KEY="sandbox-key")
    assert end.returncode == 2
    assert "no such caller; one of desk; name another with --caller, or add [callers.local]" in end.stderr
