"""`run`: results in the script's order, expectations, and exit codes."""

from __future__ import annotations

import io
import json
import os
import re
import stat
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from roadster_sandbox import SandboxTransport
from roadster_server.backend import Backend
from roadster_server.cli.calls.script import read_script
from roadster_server.cli.calls.script_run import Report, run_script
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.live import LiveSettings
from roadster_tools import TOOLS
from tests.command_line import run_cli
from tests.conftest import World, settings_for
from tests.servers import PATIENCE
from tests.tool_examples import SOME_VIN, STEVE

pytestmark = pytest.mark.anyio

VEHICLE = {"tool": "get_vehicle", "arguments": {"dealer": "umazda", "vin": SOME_VIN}}
FOREIGN_STOCK = {"tool": "list_inventory", "arguments": {"dealer": "toyotademo"}}
CUSTOMER = {"tool": "create_customer", "arguments": {"dealer": "umazda", "customer": STEVE}}

EXPECTATIONS = '{"jmespath": …, "value": …}, {"jmespath": …, "value": …, "within": …} or {"error": …}'

Run = Callable[..., Any]


def expecting(value: object, **options: object) -> dict[str, Any]:
    return {"tool": "get_dealer", "expect": {"jmespath": "a", "value": value, **options}}


def script(path: Path, *lines: object) -> str:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return str(path)


@pytest.fixture
def run_lines(world: World, store_url: str, tmp_path: Path) -> Run:
    """Runs lines in this process with `world`. Returns the results and the report."""

    async def ran(
        *lines: object, jobs: int = 1, yes: bool = False, out: Any = None, upstream: Any = None, **caller: Any
    ) -> tuple[list[dict[str, Any]], Report]:
        backend = Backend(LiveSettings(settings_for(store_url, **caller)), upstream or SandboxTransport(world.app))
        out = out or io.StringIO()
        calls = read_script(script(tmp_path / "script.jsonl", *lines), io.StringIO())
        report = Report()
        await run_script(backend, "tester", calls, out, report, jobs=jobs, yes=yes)
        return [json.loads(line) for line in out.getvalue().splitlines()], report

    return ran


class LateFirst(httpx2.AsyncBaseTransport):
    """A sandbox that answers the first request only after all others have come."""

    def __init__(self, world: World, others: int) -> None:
        self._sandbox = SandboxTransport(world.app)
        self._count, self._others = 0, others
        self._all_came = anyio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._count += 1
        if self._count == 1:
            await self._all_came.wait()
        elif self._count > self._others:
            self._all_came.set()
        return await self._sandbox.handle_async_request(request)


async def test_run_writes_a_result_for_each_line(run_lines: Run) -> None:
    """A result has the line's number, its id, its tool, the exit code of `call`, and the answer or the error."""
    wrong_vin = {"tool": "get_vehicle", "arguments": {"dealer": "umazda", "vin": "1"}, "id": 7}
    results, report = await run_lines({**VEHICLE, "id": "car"}, "", FOREIGN_STOCK, wrong_vin)
    car, foreign, wrong = results
    assert (car["line"], car["id"], car["tool"], car["code"]) == (1, "car", "get_vehicle", 0)
    assert car["result"]["make"] == "Mazda"
    assert (foreign["line"], foreign["code"], foreign["error"]) == (3, 3, "refused")
    assert "toyotademo" not in foreign["message"]
    assert (wrong["line"], wrong["id"], wrong["error"]) == (4, 7, "invalid_arguments")
    assert all("met" not in result for result in results)
    assert report.code == 3
    assert list(report.summary()) == []


async def test_run_keeps_the_order_of_the_script(run_lines: Run, world: World) -> None:
    vins = [SOME_VIN, "1M8GDM9AXKP042788", SOME_VIN, "1M8GDM9AXKP042788"]
    lines = [{**VEHICLE, "arguments": {"dealer": "umazda", "vin": vin}} for vin in vins]
    with anyio.fail_after(PATIENCE):
        results, report = await run_lines(*lines, jobs=2, upstream=LateFirst(world, others=3))
    assert [(result["line"], result["code"]) for result in results] == [(1, 0), (2, 1), (3, 0), (4, 1)]
    assert report.code == 1


async def test_run_sends_one_key_once_with_many_jobs(run_lines: Run, world: World) -> None:
    with_key = {**CUSTOMER, "arguments": {**CUSTOMER["arguments"], "idempotency_key": "done-only-once"}}
    with anyio.fail_after(PATIENCE):
        results, report = await run_lines(with_key, with_key, with_key, with_key, jobs=4)
    assert report.code == 0
    assert sorted(result["result"].get("replayed", False) for result in results) == [False, True, True, True]
    assert len((await world.get("state"))["customers"]) == 1


async def test_run_keeps_limits_and_confirmation(run_lines: Run, world: World) -> None:
    """Nobody is asked, so a write at `confirm` is not sent without --yes."""
    access = {"customers": "confirm", "inventory": "read"}
    results, _ = await run_lines(CUSTOMER, VEHICLE, VEHICLE, access=access, calls_per_minute=2)
    assert [result.get("error") for result in results] == ["not_confirmed", None, "limited"]
    assert {request["method"] for request in await world.requests()} == {"GET"}
    _, report = await run_lines(CUSTOMER, access=access, yes=True)
    assert report.code == 0


@pytest.mark.parametrize(
    ("expect", "holds"),
    [
        ({"jmespath": "make", "value": "Mazda"}, True),
        ({"jmespath": "make", "value": "Kia"}, False),
        ([{"jmespath": "year", "value": 2025.0}, {"jmespath": "[make, model]", "value": ["Mazda", "CX-30"]}], True),
        ([{"jmespath": "year", "value": 2025}, {"jmespath": "model", "value": "CX-5"}], False),
        ({"jmespath": "year", "value": 2024, "within": 1}, True),
        ({"jmespath": "year", "value": 2026.01, "within": 1.01}, True),
        ({"jmespath": "year", "value": 2026.01, "within": 1}, False),
        ({"jmespath": "[make, year]", "value": ["Mazda", 2024], "within": 1}, True),
        ({"jmespath": "[make, year]", "value": ["Kia", 2024], "within": 1}, False),
        ({"jmespath": "{a: [year]}", "value": {"a": [2024]}, "within": 1}, True),
        ({"jmespath": "year == `2025`", "value": 1, "within": 1}, False),
        ({"jmespath": "nothing", "value": 0, "within": 1}, False),
        ({"jmespath": "nothing", "value": None}, True),
        ({"jmespath": "year == `2025`", "value": True}, True),
        ({"jmespath": "year == `2025`", "value": 1}, False),
        ({"jmespath": "length(year)", "value": 1}, False),
        ({"error": "refused"}, False),
        ([], None),
    ],
)
async def test_run_compares_answers_as_json(expect: Any, holds: bool | None, run_lines: Run) -> None:
    results, report = await run_lines({**VEHICLE, "expect": expect})
    assert results[0].get("met") is holds
    assert report.code == (1 if holds is False else 0)


@pytest.mark.parametrize(
    ("call", "expect", "holds"),
    [
        (FOREIGN_STOCK, {"error": "refused"}, True),
        (FOREIGN_STOCK, {"error": "not_found"}, False),
        (FOREIGN_STOCK, {"jmespath": "make", "value": None}, False),
        ({"tool": "get_vehicle", "arguments": {"vin": "short"}}, {"error": "invalid_arguments"}, True),
    ],
)
async def test_run_accepts_an_expected_error(call: Any, expect: Any, holds: bool, run_lines: Run) -> None:
    results, report = await run_lines({**call, "expect": expect})
    assert results[0]["met"] is holds
    assert report.code == (0 if holds else 1)


async def test_summary_says_which_lines_and_why(run_lines: Run) -> None:
    """It shows nothing that the caller may not see: the actual name stays masked."""
    crm = {
        "tool": "get_crm_customer",
        "arguments": {"dealer": "umazda", "customer_uuid": "c0000000-0000-4000-8a00-000000000001"},
        "expect": {"jmespath": "first_name", "value": "Steve"},
    }
    _, report = await run_lines({**VEHICLE, "expect": {"jmespath": "make", "value": "Mazda"}}, crm, FOREIGN_STOCK)
    assert list(report.summary()) == [
        "1 met, 1 failed",
        'line 2: first_name: expected "Steve", got "***"',
        "1 failed of the lines that expect nothing",
    ]
    assert report.code == 1


async def test_summary_says_how_far_a_number_may_be_off(run_lines: Run) -> None:
    _, report = await run_lines({**VEHICLE, "expect": {"jmespath": "year", "value": 2000, "within": 0.5}})
    assert [*report.summary()][1:] == ["line 1: year: expected 2000 within 0.5, got 2025"]


@pytest.mark.parametrize("tool", TOOLS)
def test_script_with_a_misspelt_tool_sends_nothing(tool: str, tmp_path: Path) -> None:
    """Every call before it would be made otherwise. The near names hold the right one."""
    misspelt = tool.replace("_", "-", 1)
    end = run_cli("run", script(tmp_path / "s.jsonl", CUSTOMER, {"tool": misspelt}), "--sandbox")
    assert (end.returncode, end.stdout) == (2, "")
    assert "line 2: tool: no such tool; " in end.stderr
    assert tool in end.stderr
    assert misspelt not in end.stderr


async def test_line_without_expectation_counts_by_its_code(run_lines: Run) -> None:
    _, report = await run_lines({**VEHICLE, "expect": {"jmespath": "make", "value": "Mazda"}}, FOREIGN_STOCK)
    assert report.code == 3


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 2: is not JSON: "),
        ("[]", "line 2: is no JSON object"),
        ('{"tool": "get_dealer", "arguments": {"x": NaN}}', "line 2: is not JSON: "),
        ('{"tool": "get_dealer", "arguments": ' + '{"x":' * 300 + "1" + "}" * 301, "line 2: is not JSON: "),
        ('{"tool": "get_dealer", "arguments": {"b": 1, "\\u0062": 2}}', "line 2: is JSON with the key "),
        ({"arguments": {}}, "line 2: tool: is missing"),
        ({"tool": 5}, "line 2: tool: expected text"),
        (
            {"tool": "get_dealer", "argments": {}},
            "line 2: argments: no such key; there are: tool, arguments, id, expect",
        ),
        ({"tool": "get_dealer", "arguments": []}, "line 2: arguments: expected an object"),
        ({"tool": "get_dealer", "id": True}, "line 2: id: expected text or a whole number"),
        ({"tool": "get_dealer", "expect": {"jmespath": "a[", "value": 1}}, "line 2: expect.jmespath: is no JMESPath"),
        ({"tool": "get_dealer", "expect": {"jmespath": "a"}}, "line 2: expect.value: is missing"),
        ({"tool": "get_dealer", "expect": [{"jmespath": "a"}]}, "line 2: expect.0.value: is missing"),
        (
            {"tool": "get_dealer", "expect": {"error": "whatever"}},
            "line 2: expect.error: expected 'invalid_arguments', 'refused', ",
        ),
        (
            {"tool": "get_dealer", "expect": {"error": "refused", "code": 3}},
            f"line 2: expect.code: no such key; there are: {EXPECTATIONS}",
        ),
        ({"tool": "get_dealer", "expect": "refused"}, f"line 2: expect: expected {EXPECTATIONS}"),
        ({"tool": "get_dealer", "expect": ["refused"]}, "line 2: expect.0: expected an object"),
        (
            {"tool": "get_vehicel"},
            "line 2: tool: no such tool; expected one of 28 names; near spellings: get_vehicle",
        ),
        ({"tool": "zzz"}, "line 2: tool: no such tool; expected one of 28 names. `roadster-mcp tools` lists them"),
        (expecting(1, within=-1), "line 2: expect.within: must be at least 0"),
        (expecting(1, within="0.01"), "line 2: expect.within: expected a number"),
        (expecting(1, within=True), "line 2: expect.within: expected a number"),
        (expecting("1", within=1), "line 2: expect.within: is only for a value with a number in it"),
        (expecting(True, within=1), "line 2: expect.within: is only for a value with a number in it"),
        ({"tool": "get_dealer", "expect": {"error": "refused", "within": 1}}, "line 2: expect.within: no such key"),
    ],
)
def test_script_with_a_bad_line_sends_nothing(line: object, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        read_script(script(tmp_path / "s.jsonl", CUSTOMER, line), io.StringIO())
    assert [problem in line for line in error.value.problems] == [True]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"tool": "list_dealers", "arguments": {"a": [' + "0," * 100_000 + "0]}}", "line 1: is JSON with more than"),
        (" " * (16 * 1024 * 1024 + 1), "-: is longer than 16,777,216 characters"),
    ],
    ids=["values", "characters"],
)
def test_script_that_is_too_large_is_refused_with_the_limit(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read_script("-", StringIO(text))


@pytest.mark.parametrize(
    "arguments",
    [
        [os.devnull, "--sandbox"],
        ["-", "--seed", "7"],
        ["-", "--sandbox", "--out", "/no/such/folder/out"],
    ],
)
def test_run_with_a_mistake_of_usage_is_exit_2(arguments: list[str]) -> None:
    end = run_cli("run", *arguments, stdin=json.dumps(VEHICLE))
    assert (end.returncode, end.stdout) == (2, "")
    assert "Traceback" not in end.stderr


def test_run_writes_results_to_a_file_and_the_summary_to_stderr(tmp_path: Path) -> None:
    lines = ({**VEHICLE, "expect": {"jmespath": "make", "value": "Mazda"}}, FOREIGN_STOCK)
    end = run_cli("run", script(tmp_path / "s.jsonl", *lines), "--sandbox", "--out", str(tmp_path / "out.jsonl"))
    assert (end.returncode, end.stdout) == (3, "")
    assert [json.loads(line)["line"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [1, 2]
    assert "roadster-mcp: 1 met, 0 failed" in end.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_run_ends_when_results_cannot_be_written() -> None:
    end = run_cli("run", "-", "--sandbox", "--out", "/dev/full", stdin=json.dumps(VEHICLE))
    assert end.returncode == 2
    assert "cannot be written" in end.stderr
    assert "Traceback" not in end.stderr


@pytest.mark.reliability("a link or a pipe as --out of run", "refused without waiting")
@pytest.mark.skipif(os.name != "posix", reason="Windows has no such pipes")
def test_run_writes_only_to_a_plain_file(tmp_path: Path) -> None:
    """Nothing is written through a link, and a pipe that nobody reads holds nothing up."""
    real, link, pipe, other = (tmp_path / name for name in ("real", "link", "pipe", "other"))
    for file in (real, other):
        file.write_text("mine")
    link.symlink_to(real)
    os.mkfifo(pipe)
    for out in (link, pipe, tmp_path):
        end = run_cli("run", "-", "--sandbox", "--out", str(out), stdin=json.dumps(VEHICLE))
        assert end.returncode == 2
        assert "it is no plain file; name one, or leave out --out" in end.stderr
    twin = tmp_path / "twin"
    twin.hardlink_to(other)
    assert run_cli("run", "-", "--sandbox", "--out", str(twin), stdin=json.dumps(VEHICLE)).returncode == 0
    assert real.read_text() == other.read_text() == "mine"


AS_OF = re.compile(r'"as_of": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"')
"""When a quote was asked for."""


def test_run_gives_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    """Cursors, new ids and links are the same too, and only a quote's time is not. Without --seed, it is 7."""
    at = {"dealer": "umazda"}
    of_customer = {**at, "customer_id": 1650260}
    lines = [
        {"tool": "list_inventory", "arguments": {**at, "limit": 3}},
        {"tool": "quote_payments", "arguments": {**at, "vin": SOME_VIN}},
        CUSTOMER,
        {"tool": "assign_agent", "arguments": {**of_customer, "agent": {"id": "ID9876"}}},
        {"tool": "list_documents", "arguments": of_customer},
        {"tool": "build_deep_link", "arguments": {**at, "vin": SOME_VIN, "customer": STEVE}},
        {"tool": "list_templates", "arguments": {**at, "limit": 1}},
        {"tool": "create_forms", "arguments": {**at, "order_id": "367101", "title": "T", "template_ids": ["278"]}},
        FOREIGN_STOCK,
    ]
    name = script(tmp_path / "s.jsonl", *lines)
    seeds = ([], ["--seed", "7"], ["--seed", "7"], ["--seed", "8"])
    outputs = [run_cli("run", name, "--sandbox", *seed).stdout for seed in seeds]
    assert [len(AS_OF.findall(output)) for output in outputs] == [1, 1, 1, 0], "world 8 lacks the vehicle"
    default, first, second, other = (AS_OF.sub("", output) for output in outputs)
    assert first.count("next_cursor") == 2
    assert first == second == default
    assert len(other.splitlines()) == len(lines)
    assert other != first


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_run_results_are_only_for_their_owner(tmp_path: Path) -> None:
    """This holds for a file that was there before, and open to others."""
    before, new = tmp_path / "before.jsonl", tmp_path / "new.jsonl"
    before.touch(mode=0o644)
    for out in (before, new):
        assert run_cli("run", "-", "--sandbox", "--out", str(out), stdin=json.dumps(VEHICLE)).returncode == 0
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
