"""Scenarios with pages for people: writes that wait there, files that come by a link, and the person who opens them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client
from typer.testing import CliRunner

from roadster_evals import END, Agent, Message, Result, Scenario, ScenarioError, load, script_agent
from roadster_evals.__main__ import app
from roadster_evals.agents.scripted import BAD_AGENTS, differs_from_reference, maker_of
from roadster_evals.harness.page_keys import read_page_key, write_page_key
from roadster_evals.harness.record import RecordWriter
from roadster_evals.harness.serving import open_server
from roadster_evals.people.visits import PageKey, links_in, open_browser
from roadster_evals.runs.trial import Workspace, attempt, open_trial
from roadster_sandbox import API_KEY
from roadster_server.calls.keys import Keys
from roadster_server.calls.results import WAITING_META, text_of

from .conftest import SCENARIOS, TEMPLATES, scenario_named
from .transcripts import chat_completions

WITH_PAGES = [each for each in TEMPLATES if "pages" in each.fields]
DELETED = "page_delete_approved"
ID = "0123456789abcdef" * 2
(DELETION,) = scenario_named("page_delete_approved").reference.earlier[0].calls


def play(workspace: Workspace, scenario: Scenario, agent: Agent, person: Any = None) -> Result:
    return anyio.run(lambda: attempt(workspace, "tested", maker_of(agent), scenario, person=person))


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments)


def with_person(name: str, **fields: Any) -> Scenario:
    """Returns a scenario with another person."""
    content = scenario_named(name).model_dump()
    return Scenario.model_validate({**content, "person": {**content["person"], **fields}})


async def hands_the_link_on(_message: str, client: Client) -> str:
    """Asks for the deletion, and hands on what the tool says, with the link in it."""
    return text_of(await client.call_tool(DELETION.tool, dict(DELETION.arguments)))


# The project's own


@pytest.mark.parametrize("template", WITH_PAGES, ids=lambda template: template.name)
def test_each_bad_agent_fails_where_its_habit_shows(template: Any, workspace: Workspace) -> None:
    scenario = template.at(11)
    names = [each for each in ("reference", *BAD_AGENTS) if differs_from_reference(each, scenario)]
    results = [anyio.run(attempt, workspace, each, script_agent(each), scenario) for each in names]
    assert [each.agent for each in results if each.solved] == ["reference"]


def test_scenarios_have_every_end_of_a_write_that_waits() -> None:
    ends = {status for each in SCENARIOS for status in each.expect.approvals}
    assert ends >= {"done", "declined", "waiting"}
    assert len(WITH_PAGES) >= 8
    assert len(SCENARIOS) >= 125


@pytest.mark.parametrize("name", ["page_file_and_approval", "page_second_no"])
def test_two_runs_have_the_same_ids_and_links(name: str, workspace: Workspace) -> None:
    def run() -> str:
        result = anyio.run(attempt, workspace, "reference", script_agent("reference"), scenario_named(name))
        assert "/people/" in str(result.transcript)
        return re.sub(r"[\d-]+T[\d:]+[+]00:00|(?:[\d-]{10} )?\d\d:\d\d UTC", "", str(result.transcript))

    assert run() == run()


# The person


def test_the_person_opens_no_link_that_the_agent_did_not_give(workspace: Workspace) -> None:
    async def keeps_the_link(_message: str, client: Client) -> str:
        await client.call_tool(DELETION.tool, dict(DELETION.arguments))
        return "Please open the page."

    result = play(workspace, scenario_named("page_delete_approved"), keeps_the_link)
    assert "of the writes that waited on a page became: waiting; expected: done" in result.problems


@pytest.mark.parametrize(
    ("fields", "words", "end"),
    [
        ({}, "I have said yes on the page.", "done"),
        ({"confirms": ["declines"]}, "I have said no on the page.", "declined"),
        ({"confirms": ["later"]}, "I will look at the page later.", "waiting"),
        ({"checks": ["a car"]}, "I have said no on the page: it does not show what I meant.", "declined"),
    ],
)
def test_the_person_decides_on_the_page_and_says_so(
    fields: dict[str, Any], words: str, end: str, workspace: Workspace
) -> None:
    result = play(workspace, with_person("page_delete_approved", **fields), hands_the_link_on)
    assert [line["text"] for line in result.transcript if line["role"] == "person"][1:] == [words]
    problem = f"of the writes that waited on a page became: {end}; expected: done"
    assert [each for each in result.problems if "of the writes" in each] == ([] if end == "done" else [problem])


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("page_wrong_value", {"value": 117500}),
        ("page_delete_approved", {"document_ids": [1602287, 1602288]}),
        ("page_account_approved", {"email": "xotto@example.com"}),
        ("page_account_approved", {"phone": "(206) 555-0100"}),
        ("page_account_approved", {"first_name": "Stephen"}),
        ("page_account_approved", {"last_name": "Mocks"}),
    ],
)
def test_the_person_approves_no_more_than_they_mean(name: str, changes: dict[str, Any], workspace: Workspace) -> None:
    """A value that holds theirs is another one, and a value beside theirs is too much."""
    (call,) = scenario_named(name).reference.earlier[0].calls
    arguments = dict(call.arguments)
    arguments |= {"customer": {**arguments["customer"], **changes}} if "customer" in arguments else changes
    if "email" in changes:
        arguments["customer"]["email"] = f"x{call.arguments['customer']['email']}"

    async def asks(_message: str, client: Client) -> str:
        return text_of(await client.call_tool(call.tool, arguments))

    result = play(workspace, scenario_named(name), asks)
    words = [line["text"] for line in result.transcript if line["role"] == "person"]
    assert words[1] == "I have said no on the page: it does not show what I meant."


def test_a_second_visit_says_the_same(workspace: Workspace) -> None:
    """`reply` begins anew with each message of a talk."""

    async def visit_twice() -> list[str]:
        async with open_trial(workspace, scenario_named("page_delete_approved")) as trial:
            answer = await hands_the_link_on("", trial.client)
            ((link, is_question),) = links_in(answer)
            assert is_question
            assert trial.talk.open_link
            words = [await trial.talk.open_link(link, "agrees") for _ in range(2)]
            assert trial.observe().approvals == ("done",)
            return words

    assert anyio.run(visit_twice) == ["I have said yes on the page."] * 2


def test_the_page_of_another_approval_is_not_there(workspace: Workspace) -> None:
    async def invents(_message: str, _client: Client) -> str:
        return f"Please: http://127.0.0.1:8000/people/approvals/{ID}"

    result = play(workspace, scenario_named("page_delete_approved"), invents)
    assert "The page says: There is no such page" in [line["text"] for line in result.transcript]


def test_a_person_may_not_approve_alone_what_wants_two(workspace: Workspace) -> None:
    """A link to a write of their own only shows it. The page says why, and the person repeats that."""
    scenario = scenario_named("page_two_people")
    assert scenario.pages
    alone = scenario.pages.model_copy(update={"colleague": False})

    async def asks(_message: str, client: Client) -> str:
        (call,) = scenario.reference.earlier[0].calls
        return text_of(await client.call_tool(call.tool, dict(call.arguments)))

    result = play(workspace, scenario.model_copy(update={"pages": alone}), asks)
    assert "approvals.two_person wants a second person" in str(result.transcript)
    assert "of the writes that waited on a page became: none; expected: done" in result.problems


@pytest.mark.parametrize(
    ("text", "links"),
    [
        (f"Open [the page](http://127.0.0.1:8000/people/approvals/{ID}).", [("approvals/" + ID, True)]),
        (f"http://127.0.0.1:4711/people/files/{ID} Tell me.", [("files/" + ID, False)]),
        (f"https://evil.example/people/approvals/{ID}", []),
        (f"http://127.0.0.1.evil.example:80/people/approvals/{ID}", []),
        (f"http://127.0.0.1:8000/people/approvals/{ID}/file", []),
        (f"http://127.0.0.1:8000/people/approvals/{ID}0", []),
        ("http://127.0.0.1:8000/people/sign-out", []),
    ],
)
def test_only_links_to_pages_of_this_machine_are_opened(text: str, links: list[tuple[str, bool]]) -> None:
    """A foreign page must not get the link that signs the person in."""
    assert [(link.partition("/people/")[2], is_question) for link, is_question in links_in(text)] == links


def test_a_file_that_the_page_does_not_take_is_told(workspace: Workspace) -> None:
    file = scenario_named("page_other_file_first").model_dump()["person"]["files"][0]
    scenario = with_person("page_other_file_first", files=[{**file, "contents": file["contents"][:1]}])

    async def asks(_message: str, client: Client) -> str:
        (call,) = scenario.reference.earlier[0].calls
        return text_of(await client.call_tool(call.tool, dict(call.arguments)))

    lines = play(workspace, scenario, asks).transcript
    assert 'The page says: The file "file" is neither JPEG, PNG, HEIC nor PDF' in str([x["text"] for x in lines])


# A model plays the person


async def keeps_silent(_brief: str, _messages: Sequence[Message]) -> str:
    return END


async def tells(brief: str, messages: Sequence[Message]) -> str:
    return brief.partition("Say this: ")[2] or (END if len(messages) > 3 else "Hm.")


@pytest.mark.parametrize(
    ("person", "voided"), [(keeps_silent, ("left without saying: I have said yes on the page.",)), (tells, ())]
)
def test_a_played_person_has_the_page_read_to_them(person: Any, voided: tuple[str, ...], workspace: Workspace) -> None:
    result = play(workspace, scenario_named("page_delete_approved"), hands_the_link_on, person)
    assert result.voided == voided
    assert "of the writes" not in str(result.problems)


# Other harnesses


@pytest.mark.parametrize("name", ["page_file_and_approval", "page_changed_mind", "page_two_people"])
@pytest.mark.anyio
async def test_a_served_world_has_pages_that_reply_opens(name: str, tmp_path: Path) -> None:
    """The harness has the world and the messages apart. Its record and its transcript alone get the same grade."""
    scenario, record, transcript = scenario_named(name), tmp_path / "record.jsonl", tmp_path / "talk.json"
    served = ("--eval", f"{name}:7", "--record", str(record))
    agent = script_agent("reference")(scenario)
    lines: list[dict[str, Any]] = []
    with RecordWriter(record, scenario) as writer:
        async with open_server(scenario, writer) as server, Client(server) as client:
            original = client.call_tool

            async def call_tool(tool: str, arguments: dict[str, Any]) -> Any:
                result = await original(tool, arguments)
                lines.append({"role": "tool", "tool": tool, "arguments": arguments, "text": text_of(result)})
                lines[-1]["failure"] = "waiting" if WAITING_META in (result.meta or {}) else None
                return result

            client.call_tool = call_tool  # type: ignore[assignment, method-assign]
            while True:
                transcript.write_text(json.dumps(chat_completions(lines)))
                reply = await anyio.to_thread.run_sync(lambda: invoke("reply", str(transcript), *served))
                assert reply.exit_code == 0, reply.stderr
                message = json.loads(reply.stdout)["message"]
                if message is None:
                    break
                lines.append({"role": "person", "text": message})
                answer = await agent(message, client)
                lines.append({"role": "agent", "text": answer})
    for arguments in ([], ["--record", str(record)]):
        grade = await anyio.to_thread.run_sync(
            lambda more=arguments: invoke("grade", str(transcript), "--eval", f"{name}:7", *more)
        )
        assert grade.exit_code == 0, grade.stdout


@pytest.fixture
def half_talk(tmp_path: Path, workspace: Workspace) -> Path:
    """The transcript of the deletion, until the agent has given the link, which is to port 1."""
    lines = anyio.run(attempt, workspace, "reference", script_agent("reference"), scenario_named(DELETED)).transcript
    end = next(number for number, line in enumerate(lines) if line["role"] == "agent")
    transcript = tmp_path / "talk.json"
    transcript.write_text(json.dumps(chat_completions(lines[: end + 1])).replace("127.0.0.1:8000", "127.0.0.1:1"))
    return transcript


def test_reply_says_that_the_served_world_is_gone(half_talk: Path, tmp_path: Path) -> None:
    write_page_key(tmp_path / "record", PageKey("http://127.0.0.1:1", b"key"))
    result = invoke("reply", str(half_talk), "--eval", f"{DELETED}:7", "--record", str(tmp_path / "record"))
    assert result.exit_code == 2
    assert "the page of the agent's link cannot be opened (ConnectError); serve must still run" in result.stderr


def test_reply_goes_to_no_other_port_than_that_of_the_pages(half_talk: Path, tmp_path: Path) -> None:
    """Whatever listens there would get the sign-in of the person."""
    write_page_key(tmp_path / "record", PageKey("http://127.0.0.1:11", b"key"))
    result = invoke("reply", str(half_talk), "--eval", f"{DELETED}:7", "--record", str(tmp_path / "record"))
    assert json.loads(result.stdout)["message"] == "The link leads nowhere."


def test_reply_and_serve_want_the_record_for_pages(half_talk: Path) -> None:
    result = invoke("reply", str(half_talk), "--eval", f"{DELETED}:7")
    assert (result.exit_code, "name the record of its server with --record" in result.stderr) == (2, True)
    result = invoke("serve", "--eval", f"{DELETED}:7")
    assert (result.exit_code, "add --record FILE" in result.stderr) == (2, True)


@pytest.mark.anyio
async def test_nobody_signs_in_with_a_key_that_everybody_has(tmp_path: Path) -> None:
    """The sandbox's key is in the source. Beside the record there is another one, for its owner alone."""
    scenario, record = scenario_named(DELETED), tmp_path / "record.jsonl"
    with RecordWriter(record, scenario) as writer:
        async with open_server(scenario, writer) as server, Client(server) as client:
            answer = await hands_the_link_on("", client)
            ((link, _),) = links_in(answer)
            key = read_page_key(record)
            assert (tmp_path / "record.jsonl.pages").stat().st_mode & 0o777 == 0o600
            common = PageKey(key.origin, Keys.derive(API_KEY).people)
            async with open_browser(scenario, common) as browser:
                assert "said yes" not in await browser.visit(link, "agrees")
            async with open_browser(scenario, key) as browser:
                assert await browser.visit(link, "agrees") == "I have said yes on the page."
            await client.call_tool("get_approval", {"approval_id": link[-32:]})

    async def violations(answer: str) -> Any:
        arguments = ("grade", "--record", str(record), "--answer", answer, "--json")
        result = await anyio.to_thread.run_sync(lambda: invoke(*arguments))
        return json.loads(result.stdout)["violations"]

    assert await violations(f"It is deleted. {link}") == []
    violation = f"{link[-32:]} was decided, and no answer has its link: a person cannot have done it"
    assert await violations("It is deleted.") == [violation]


def test_a_transcript_that_hides_a_visit_is_void(tmp_path: Path, workspace: Workspace) -> None:
    """It ends with the agent's link, so nobody knows whether the person opened it."""
    name = "page_delete_approved"
    lines = anyio.run(attempt, workspace, "reference", script_agent("reference"), scenario_named(name)).transcript
    end = next(number for number, line in enumerate(lines) if line["role"] == "agent")
    (tmp_path / "talk.json").write_text(json.dumps(chat_completions(lines[: end + 1])))
    result = invoke("grade", str(tmp_path / "talk.json"), "--eval", f"{name}:7", "--json")
    assert json.loads(result.stdout)["voided"] == ["left without saying: I have said yes on the page."]


# Files


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("pages = { approves = ['documnets'] }", "no toolset or tool is called documnets"),
        ("pages = { two_person = ['delete_document'] }", "no toolset or tool is called delete_document"),
        ("pages = { aproves = [] }", "pages.aproves: no such key; it is one of approves, two_person, colleague"),
        ("expect = { approvals = ['yes'] }", "expect.approvals.0: "),
    ],
)
def test_a_mistake_about_pages_is_named(line: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(
        f"title = 'T'\ntags = []\nrequest = 'R'\n{line}\nreference = {{ answer = '' }}"
    )
    with pytest.raises(ScenarioError, match=re.escape(problem)):
        load(tmp_path)
