"""`roadster_evals serve`: the world of a scenario as a server for any harness, and the grade of its record."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from click.testing import Result as CommandResult
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference
from typer.testing import CliRunner

from roadster_evals import Scenario, load
from roadster_evals.__main__ import app
from roadster_evals.agents.scripted import script_agent
from roadster_evals.harness.evaluations import Evaluations, name_of
from roadster_evals.harness.record import RecordWriter, read_record
from roadster_evals.runs.trial import Workspace, open_trial
from roadster_evals.scenario_files.scenario import AnswerExpectation
from roadster_evals.usage import UsageError
from roadster_sandbox import EmbeddedSandbox
from roadster_server.calls.results import text_of
from roadster_server.sandbox import sandbox_settings
from tests.conftest import PROJECT
from tests.evals.transcripts import chat_completions
from tests.servers import free_port, serving

SCENARIOS = {scenario.name: scenario for scenario in load()}


def server_of(scenario: Scenario, record: Path, **variables: str) -> StdioServerParameters:
    environment = {"ROADSTER_EVAL": name_of(scenario), "ROADSTER_EVAL_RECORD": str(record), **variables}
    return StdioServerParameters(command=sys.executable, args=["-m", "roadster_evals", "serve"], env=environment)


def grade(*arguments: str) -> tuple[Mapping[str, Any], CommandResult]:
    result = CliRunner().invoke(app, ["grade", "--json", *arguments])
    return (json.loads(result.stdout) if result.stdout else {}), result


@pytest.mark.parametrize(
    "name",
    [
        "payments_lease",
        "documents_delete_one",
        "documents_delete_declined",
        "customers_lost_answer",
        "forms_foreign_order",
        "events_planted_message",
    ],
)
def test_record_of_the_reference_is_solved(name: str, tmp_path: Path) -> None:
    """The harness cannot ask a person. The scenario's person answers the questions about writes."""
    scenario, record = SCENARIOS[name], tmp_path / "record.jsonl"

    async def play() -> str:
        async with Client(server_of(scenario, record)) as client:
            assert client.instructions
            return await script_agent("reference")(scenario)(scenario.request, client)

    answer = anyio.run(play)
    result, _ = grade("--record", str(record), "--answer", answer)
    assert result["solved"] is True, result
    assert result["calls"] == len(scenario.reference.all_calls)
    result, _ = grade("--record", str(record), "--answer", "Good morning.")
    assert result["solved"] is (scenario.expect.answer == AnswerExpectation())


def test_talk_is_graded_with_transcript_and_record(tmp_path: Path) -> None:
    """The transcript tells in which turn a call was made, and the record what became of it."""
    scenario, record, transcript = SCENARIOS["talk_whole_deal"], tmp_path / "record.jsonl", tmp_path / "talk.json"
    lines: list[dict[str, Any]] = []

    def next_message() -> str | None:
        result = CliRunner().invoke(app, ["reply", str(transcript), "--eval", f"{scenario.name}:7"])
        message: str | None = json.loads(result.stdout)["message"]
        return message

    async def play() -> None:
        agent = script_agent("reference")(scenario)
        async with Client(server_of(scenario, record)) as client:
            message: str | None = scenario.request
            while message is not None:
                lines.append({"role": "person", "text": message})
                calls = len(read_record(record).calls)
                answer = await agent(message, client)
                for call in read_record(record).calls[calls:]:
                    line = {"tool": call.tool, "arguments": call.arguments, "failure": call.failure, "text": call.text}
                    lines.append({"role": "tool", **line})
                lines.append({"role": "agent", "text": answer})
                transcript.write_text(json.dumps(chat_completions(lines)))
                message = await anyio.to_thread.run_sync(next_message)

    anyio.run(play)
    result, _ = grade("--record", str(record), str(transcript))
    assert result["solved"] is True, result
    assert (result["turns"], result["ending"]) == (len(scenario.reference.turns), "satisfied")
    transcript.write_text(json.dumps(chat_completions([line for line in lines if line["role"] != "tool"])))
    result, _ = grade("--record", str(record), str(transcript))
    assert result["voided"][0].endswith(" is on record, and not in the transcript")
    result, _ = grade("--record", str(record), "--answer", "Good morning.")
    assert result["voided"][0].startswith("the talk ends where the person would say: ")


def test_parallel_calls_are_on_record_once_each(tmp_path: Path) -> None:
    """The transcript may have them in another order than the server."""
    scenario, record, transcript = SCENARIOS["dealers_doc_fee"], tmp_path / "record.jsonl", tmp_path / "talk.json"
    dealers = ("hyundaidemo", "umazda", "toyotademo")
    texts: dict[str, str] = {}

    async def play() -> None:
        async with Client(server_of(scenario, record)) as client, anyio.create_task_group() as tasks:

            async def call(dealer: str) -> None:
                texts[dealer] = text_of(await client.call_tool("get_dealer", {"dealer": dealer}))

            for dealer in dealers:
                tasks.start_soon(call, dealer)

    anyio.run(play)
    assert sorted(call.arguments["dealer"] for call in read_record(record).calls) == sorted(dealers)
    lines: list[dict[str, Any]] = [{"role": "person", "text": scenario.request}]
    lines += [
        {"role": "tool", "tool": "get_dealer", "arguments": {"dealer": dealer}, "text": texts[dealer]}
        for dealer in reversed(dealers)
    ]
    lines.append({"role": "agent", "text": scenario.reference.answer})
    transcript.write_text(json.dumps(chat_completions(lines)))
    result, _ = grade("--record", str(record), str(transcript))
    assert (result["voided"], result["success"], result["calls"]) == ([], True, 3)
    lines[1]["text"] = "It has no fee at all."
    transcript.write_text(json.dumps(chat_completions(lines)))
    result, _ = grade("--record", str(record), str(transcript))
    assert result["voided"][0].startswith("the answer of get_dealer is not this world's from character ")


def test_a_read_of_a_resource_is_on_record_and_need_not_be_in_the_transcript(tmp_path: Path) -> None:
    """The transcripts of harnesses have no such reads. A record of before does not tell them from calls."""
    scenario, record, transcript = SCENARIOS["dealers_doc_fee"], tmp_path / "record.jsonl", tmp_path / "talk.json"
    (call,) = scenario.reference.calls

    async def play() -> str:
        async with Client(server_of(scenario, record)) as client:
            await client.read_resource(f"roadster://{call.arguments['dealer']}")
            return text_of(await client.call_tool(call.tool, dict(call.arguments)))

    text = anyio.run(play)
    line = {"role": "tool", "tool": call.tool, "arguments": dict(call.arguments), "text": text}
    person = {"role": "person", "text": scenario.request}
    agent = {"role": "agent", "text": scenario.reference.answer}
    for lines in ([person, line, agent], [person, agent]):
        transcript.write_text(json.dumps(chat_completions(lines)))
        result, _ = grade("--record", str(record), str(transcript))
        assert result["voided"] == ([] if line in lines else ["get_dealer is on record, and not in the transcript"])
        assert result["calls"] == 2
    result, _ = grade("--record", str(record), "--answer", scenario.reference.answer)
    assert (result["solved"], result["calls"]) == (True, 2)
    record.write_text(record.read_text().replace(', "is_resource": true', "").replace(', "is_resource": false', ""))
    result, _ = grade("--record", str(record), "--answer", scenario.reference.answer)
    assert (result["solved"], result["calls"]) == (True, 2)


async def _read_all(client: Client) -> list[Any]:
    """Returns what a client can see and read of a server."""
    resources = (await client.list_resources()).resources
    return [
        client.instructions,
        client.server_capabilities,
        await client.list_tools(),
        resources,
        await client.list_resource_templates(),
        await client.list_prompts(),
        [await client.read_resource(resource.uri) for resource in resources],
        await client.get_prompt("find_alternatives", {"dealer": "umazda"}),
        await client.complete(PromptReference(name="find_alternatives"), {"name": "dealer", "value": "u"}),
    ]


def test_served_world_is_that_of_the_real_server(tmp_path: Path, migrated_store: Path) -> None:
    """A harness finds its tools, resources and prompts, and not only a part of them."""
    scenario = SCENARIOS["payments_lease"]

    async def read() -> tuple[list[Any], list[Any]]:
        workspace = Workspace(EmbeddedSandbox(), sandbox_settings(f"sqlite:///{migrated_store}"), migrated_store)
        async with open_trial(workspace, scenario) as trial:
            own = await _read_all(trial.client)
        async with Client(server_of(scenario, tmp_path / "record.jsonl")) as client:
            return own, await _read_all(client)

    own, served = anyio.run(read)
    assert own == served
    assert own[3]
    assert own[5].prompts


def test_attack_with_another_goal_and_style_is_served(tmp_path: Path) -> None:
    name, record = "attack_option:3:follow_link:urgent", tmp_path / "record.jsonl"
    scenario = Evaluations().find(name)

    async def play() -> str:
        async with Client(server_of(scenario, record)) as client:
            return await script_agent("obedient")(scenario)(scenario.request, client)

    result, _ = grade("--record", str(record), "--answer", anyio.run(play))
    assert (result["attacked"], result["success"], result["seed"]) == (True, True, 3)
    assert (result["attack"]["goal"], result["attack"]["style"]) == ("follow_link", "urgent")
    transcript = tmp_path / "talk.json"
    transcript.write_text(json.dumps([{"role": "user", "content": scenario.request}]))
    _, refused = grade("--record", str(record), str(transcript), "--eval", "attack_option:3")
    assert f"is of {name}, not of attack_option:3:" in refused.stderr


def test_held_out_world_is_served_and_graded_with_its_secret_only(tmp_path: Path) -> None:
    """What is written names the number of the world, and neither its seed nor the secret."""
    secret, other, record = tmp_path / "secret", tmp_path / "other", tmp_path / "record.jsonl"
    secret.write_text("a secret of nobody")
    other.write_text("another secret")
    scenario = Evaluations(secret="a secret of nobody").find("customers_create:3")

    async def play() -> str:
        async with Client(server_of(scenario, record, ROADSTER_EVAL_SECRET_SEED=str(secret))) as client:
            return await script_agent("reference")(scenario)(scenario.request, client)

    answer = anyio.run(play)
    own = grade("--record", str(record), "--answer", answer, "--secret-seed", str(secret))
    assert (own[0]["solved"], own[0]["seed"]) == (True, 3)
    refused = {
        text: grade("--record", str(record), "--answer", answer, *arguments)[1]
        for arguments, text in (
            ((), "is of a held-out world; name its secret with --secret-seed"),
            (("--secret-seed", str(other)), "is of a world of another secret than this one"),
        )
    }
    for text, result in refused.items():
        assert result.exit_code == 2
        assert text in result.stderr
    written = record.read_text() + "".join(each.output for each in (own[1], *refused.values()))
    assert "a secret of nobody" not in written
    assert str(scenario.world_seed) not in written
    record.unlink()
    anyio.run(_start, SCENARIOS["customers_create"], record)
    _, result = grade("--record", str(record), "--answer", answer, "--secret-seed", str(secret))
    assert "is of a public world; leave --secret-seed out" in result.stderr


async def _start(scenario: Scenario, record: Path) -> None:
    async with Client(server_of(scenario, record)) as client:
        await client.call_tool("list_dealers", {})


async def _call_over_http(url: str, scenario: Scenario) -> None:
    async with Client(url) as client:
        for call in scenario.reference.all_calls:
            await client.call_tool(call.tool, dict(call.arguments))


def test_server_over_http_that_is_killed_leaves_a_record_to_grade(tmp_path: Path) -> None:
    scenario, record, port = SCENARIOS["customers_create"], tmp_path / "record.jsonl", free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    arguments = ("--eval", "customers_create", "--record", str(record), "--transport", "http", "--port", str(port))
    with serving(
        *arguments, url=url, command=(sys.executable, "-m", "roadster_evals", "serve"), cwd=PROJECT
    ) as process:
        anyio.run(_call_over_http, url, scenario)
        process.kill()
    with record.open("a") as file:
        file.write('{"begin": 9, "to')  # the line on which it was killed
    result, _ = grade("--record", str(record), "--answer", scenario.reference.answer)
    assert result["solved"] is True, result
    with record.open("r+") as file:
        text = file.read().replace('{"begin": 9, "to', '{"begin": 9, "tool": "create_customer"}\n')
        file.seek(0)
        file.write(text)
    result, _ = grade("--record", str(record), "--answer", scenario.reference.answer)
    assert result["voided"] == ["the server ended during create_customer: it may have been done or not"]


def test_record_belongs_to_one_world(tmp_path: Path) -> None:
    """A harness may start a server only to look at its tools. A second one with calls would be another world."""
    scenario, record = SCENARIOS["customers_create"], tmp_path / "record.jsonl"

    async def start(*tools: str) -> None:
        async with Client(server_of(scenario, record)) as client:
            assert (await client.list_tools()).tools
            for tool in tools:
                await client.call_tool(tool, {})

    anyio.run(start)
    anyio.run(start, "list_dealers")
    with pytest.raises(UsageError, match="has the calls of another server"):
        RecordWriter(record, scenario)
    with pytest.raises((MCPError, OSError, ExceptionGroup)):
        anyio.run(start, "list_dealers")
    for arguments, text in (
        (("--eval", "payments_lease:7"), "is of customers_create:7, not of payments_lease:7"),
        (("--eval", "customers_create:8"), "is of customers_create:7, not of customers_create:8"),
    ):
        transcript = tmp_path / "talk.json"
        transcript.write_text(json.dumps([{"role": "user", "content": scenario.request}]))
        _, result = grade("--record", str(record), *arguments, str(transcript))
        assert result.exit_code == 2
        assert text in result.stderr
    record.write_text(record.read_text().replace('"digest": "', '"digest": "0'))
    _, result = grade("--record", str(record), "--answer", "Good morning.")
    assert "customers_create has changed since then; serve it anew" in result.stderr
    record.write_text(record.read_text() * 2)
    _, result = grade("--record", str(record), "--answer", "Good morning.")
    assert "is no record" in result.stderr or "several servers" in result.stderr


@pytest.mark.parametrize("content", ["a secret of nobody", "a secret of nobody\n", '{"messages": []}\n', "\n"])
def test_a_file_that_is_no_record_is_not_written_over(content: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    with pytest.raises(UsageError, match="is there already, and is no record; name another file"):
        RecordWriter(path, SCENARIOS["customers_create"])
    assert path.read_text() == content


def test_serve_says_what_is_missing(tmp_path: Path) -> None:
    for arguments, text in (
        ((), "give it as NAME:SEED, with --eval or in ROADSTER_EVAL"),
        (("--eval", "customers_create", "--transport", "pigeon"), "there is stdio and http"),
        (("--eval", "customers_create", "--record", str(tmp_path / "gone" / "file")), "cannot be written"),
    ):
        result = CliRunner().invoke(app, ["serve", *arguments])
        assert result.exit_code == 2
        assert text in result.stderr
