"""The agent of examples/evals for any endpoint with OpenAI's Chat Completions, against one on the loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from roadster_evals import Result
from roadster_evals.__main__ import app
from roadster_evals.reports.summary import Price, summarize_run

from .chat_endpoint import KEY, Answer, Endpoint, Model, completion, reference_of, serving
from .conftest import EXAMPLES, Try, scenario_named

LEASE = "payments_lease"


@pytest.fixture
def chat_agent(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXAMPLES)
    return import_module("chat_agent")


@pytest.fixture
def endpoint_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Model], Endpoint]]:
    """Returns a function that serves a model, and points the variables of the agent to it."""
    with ExitStack() as servers:

        def start(model: Model) -> Endpoint:
            endpoint = servers.enter_context(serving(model))
            monkeypatch.setenv("OPENAI_BASE_URL", endpoint.address)
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            monkeypatch.setenv("OPENAI_MODEL", "fake-1")
            return endpoint

        yield start


Start = Callable[[Model], Endpoint]


def problem_of(result: Result) -> str:
    assert not result.solved
    assert not result.is_unavailable
    return result.problems[0]


def absence_of(result: Result) -> str:
    """Returns why the trial does not count."""
    assert result.is_unavailable
    return result.voided[0]


@pytest.mark.parametrize(
    "name", [LEASE, "customers_preview", "talk_delete_after_all", "talk_links", "customers_lost_answer"]
)
def test_a_model_that_plays_the_reference_solves_the_scenario(
    name: str, chat_agent: ModuleType, endpoint_of: Start, try_agent: Try
) -> None:
    scenario = scenario_named(name)
    endpoint = endpoint_of(reference_of(scenario))
    result = try_agent(chat_agent.ChatAgent, name)
    assert (result.problems, result.solved) == ((), True)
    assert result.calls == sum(len(turn.calls) for turn in scenario.reference.turns)
    count = len(endpoint.requests)
    assert result.usage == ({"model": "fake-1", "input": 1000 * count, "output": 10 * count},)
    assert endpoint.requests[0]["messages"][0]["role"] == "system"
    assert "Tools for car dealers" in endpoint.requests[0]["messages"][0]["content"]


def test_money_is_counted_from_the_tokens_of_the_endpoint(
    chat_agent: ModuleType, endpoint_of: Start, try_agent: Try
) -> None:
    endpoint_of(reference_of(scenario_named(LEASE)))
    result = try_agent(chat_agent.ChatAgent, LEASE)
    total = next(iter(summarize_run([result], {"fake-1": Price(input=1, output=10)})))
    assert total.cost is not None
    assert total.cost.money == pytest.approx(2 * (1000 * 1 + 10 * 10) / 1_000_000)


def test_a_model_that_talks_nonsense_solves_nothing(chat_agent: ModuleType, endpoint_of: Start, try_agent: Try) -> None:
    nonsense = [
        completion(None, ("fly_away", "{}"), (LEASE, "[1]"), ("quote_payments", '{"vin": ')),
        completion(None, ("quote_payments", '{"vin": "a car"}')),
        completion("The moon is a lease."),
    ]
    endpoint = endpoint_of(lambda _request: nonsense[len(endpoint.requests) - 1])
    assert "the answer does not" in problem_of(try_agent(chat_agent.ChatAgent, LEASE))
    texts = [each["content"] for each in endpoint.requests[-1]["messages"] if each["role"] == "tool"]
    assert [text.split(":")[0] for text in texts[:3]] == [
        "Invalid arguments",
        "The arguments are no JSON object. Nothing was sent.",
        "The arguments are not JSON. Nothing was sent.",
    ]
    assert texts[3].startswith("Invalid arguments: vin")


def test_a_model_that_never_answers_the_person_is_stopped(
    chat_agent: ModuleType, endpoint_of: Start, try_agent: Try
) -> None:
    endpoint = endpoint_of(lambda _request: completion(None, ("list_dealers", "{}")))
    assert "still makes calls after 20 steps" in problem_of(try_agent(chat_agent.ChatAgent, LEASE))
    assert len(endpoint.requests) == 20


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(400, b"the context is too long"), "answers 400: the context is too long"),
        (Answer(500, b"cannot parse the call", {"Retry-After": "0"}), "answers 500: cannot parse the call"),
        (Answer(200, b"<html>Sign in"), "answers no chat completion: <html>Sign in"),
        (Answer(200, b'{"choices": []}'), 'answers no chat completion: {"choices": []}'),
    ],
)
def test_an_error_of_the_model_stands_in_the_result(
    answer: Answer, text: str, chat_agent: ModuleType, endpoint_of: Start, try_agent: Try
) -> None:
    endpoint = endpoint_of(lambda _request: answer)
    problem = problem_of(try_agent(chat_agent.ChatAgent, LEASE))
    assert problem.startswith(f"the agent failed: ModelError: {endpoint.address}/chat/completions")
    assert text in problem


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(403, b"not for you"), "answers 403: it does not take the key; check OPENAI_API_KEY"),
        (Answer(404, b"no such model"), "answers 404: it has no such address or model; check OPENAI_BASE_URL"),
        (Answer(429, b"", {"Retry-After": "0"}), "answers 429: it has had too many requests; take fewer --workers"),
        (Answer(503, b"", {"Retry-After": "0"}), "answers 503"),
        (Answer(302, b"", {"Location": "/v1/elsewhere"}), "answers 302"),
    ],
)
def test_an_error_of_the_endpoint_is_not_the_models(
    answer: Answer, text: str, chat_agent: ModuleType, endpoint_of: Start, try_agent: Try
) -> None:
    """The trial does not count."""
    endpoint = endpoint_of(lambda _request: answer)
    absence = absence_of(try_agent(chat_agent.ChatAgent, LEASE))
    assert absence.startswith(f"unavailable: {endpoint.address}/chat/completions")
    assert text in absence


def test_a_key_that_is_not_taken_is_not_repeated(
    chat_agent: ModuleType, endpoint_of: Start, try_agent: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake repeats it, as some endpoints do, and results files are handed on."""
    endpoint_of(lambda _request: completion("never"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-mistake")
    result = try_agent(chat_agent.ChatAgent, LEASE)
    assert "answers 401: it does not take the key; check OPENAI_API_KEY" in absence_of(result)
    assert "sk-a-mistake" not in repr((result.voided, result.problems))


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_key_in_an_answer_is_hidden(status: int, chat_agent: ModuleType, endpoint_of: Start, try_agent: Try) -> None:
    endpoint_of(lambda _request: Answer(status, f"no route for {KEY} here".encode(), {"Retry-After": "0"}))
    result = try_agent(chat_agent.ChatAgent, LEASE)
    texts = repr((result.voided, result.problems))
    assert "no route for (the key) here" in texts
    assert KEY not in texts


def test_an_endpoint_that_is_busy_in_every_step_is_not_the_models_time(
    chat_agent: ModuleType, endpoint_of: Start, try_agent: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = reference_of(scenario_named(LEASE))

    def be_busy_each_time(request: dict[str, Any]) -> Answer:
        return Answer(429, b"", {"Retry-After": "3"}) if len(endpoint.requests) % 2 else play(request)

    endpoint = endpoint_of(be_busy_each_time)
    monkeypatch.setattr(chat_agent, "LONGEST_PAUSE", 0.02)
    assert try_agent(chat_agent.ChatAgent, LEASE).solved
    monkeypatch.setattr(chat_agent, "MOST_PAUSES", 0.03)
    endpoint.requests.clear()
    assert "is busy for too long; take fewer --workers" in absence_of(try_agent(chat_agent.ChatAgent, LEASE))


def test_a_busy_endpoint_is_asked_again(chat_agent: ModuleType, endpoint_of: Start, try_agent: Try) -> None:
    play = reference_of(scenario_named(LEASE))

    def be_busy_at_first(request: dict[str, Any]) -> Answer:
        count = len(endpoint.requests)
        return play(request) if count > 2 else Answer((429, 500)[count - 1], b"", {"Retry-After": "0"})

    endpoint = endpoint_of(be_busy_at_first)
    assert try_agent(chat_agent.ChatAgent, LEASE).solved


def test_an_endpoint_that_is_silent_or_away_is_named(
    chat_agent: ModuleType, endpoint_of: Start, try_agent: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = threading.Event()

    def be_silent(_request: dict[str, Any]) -> Answer:
        end.wait()
        return completion("too late")

    endpoint_of(be_silent)
    monkeypatch.setattr(chat_agent, "SECONDS", 0.05)
    try:
        assert "has no answer within 0.05 s" in problem_of(try_agent(chat_agent.ChatAgent, LEASE))
    finally:
        end.set()
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert "cannot be reached: ConnectError" in absence_of(try_agent(chat_agent.ChatAgent, LEASE))


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OPENAI_MODEL"])
def test_a_variable_that_is_missing_is_named(
    name: str, chat_agent: ModuleType, endpoint_of: Start, try_agent: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint_of(lambda _request: completion("never"))
    monkeypatch.delenv(name)
    assert f"unavailable: set {name}" in absence_of(try_agent(chat_agent.ChatAgent, LEASE))


def test_a_small_model_gets_few_tools_and_short_answers(
    chat_agent: ModuleType, endpoint_of: Start, try_agent: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = endpoint_of(reference_of(scenario_named("documents_delete_one")))
    monkeypatch.setenv("CHAT_TOOLS", "6")
    monkeypatch.setenv("CHAT_ANSWER", "40")
    monkeypatch.setenv("CHAT_OPTIONS", '{"temperature": 0, "max_tokens": 300}')
    try_agent(chat_agent.ChatAgent, "documents_delete_one")
    first, last = endpoint.requests[0], endpoint.requests[-1]
    assert len(first["tools"]) == 6
    assert "delete_documents" in [tool["function"]["name"] for tool in first["tools"]]
    assert (first["temperature"], first["max_tokens"]) == (0, 300)
    assert max(len(each["content"]) for each in last["messages"] if each["role"] == "tool") == 40


def test_settings_name_the_model_and_never_a_key(
    chat_agent: ModuleType, endpoint_of: Start, try_agent: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stand in a results file, which is handed on. The same counts for what went wrong."""
    endpoint_of(lambda _request: Answer(503, b"out of memory", {"Retry-After": "0"}))
    monkeypatch.setenv("OPENAI_BASE_URL", "http://somebody:geheim@127.0.0.1:1/v1?token=geheim")
    monkeypatch.setenv("OPENAI_API_KEY", "geheim")
    monkeypatch.setenv("CHAT_TOOLS", "6")
    monkeypatch.setenv("CHAT_OPTIONS", '{"temperature": 0, "extra": {"api_key": "geheim", "x": 1}}')
    assert chat_agent.ChatAgent.settings() == {
        "model": "fake-1",
        "endpoint": "http://127.0.0.1:1/v1/chat/completions",
        "CHAT_TOOLS": "6",
        "CHAT_OPTIONS": '{"temperature": 0, "extra": {"api_key": "(hidden)", "x": 1}}',
    }
    assert "geheim" not in absence_of(try_agent(chat_agent.ChatAgent, LEASE))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("CHAT_TOOL", "6", "there is no variable CHAT_TOOL; there is CHAT_OPTIONS, CHAT_TOOLS, CHAT_ANSWER"),
        ("CHAT_TOOLS", "six", "CHAT_TOOLS is no whole number"),
        ("CHAT_OPTIONS", "temperature=0", "CHAT_OPTIONS is no JSON object"),
        ("CHAT_OPTIONS", "[]", "CHAT_OPTIONS is no JSON object"),
        ("OPENAI_MODEL", None, "set OPENAI_MODEL"),
        ("OPENAI_API_KEY", "sk-geheim\n", "OPENAI_API_KEY has a space, a line break or another character"),
        ("OPENAI_API_KEY", "sk-geheim…", "OPENAI_API_KEY has a space, a line break or another character"),
        ("OPENAI_BASE_URL", "127.0.0.1:8080/v1", "OPENAI_BASE_URL is no address such as http://"),
        ("OPENAI_BASE_URL", "http://[::1", "OPENAI_BASE_URL is no address such as http://"),
    ],
)
def test_an_odd_variable_is_named_once_before_the_run(
    name: str,
    value: str | None,
    text: str,
    chat_agent: ModuleType,
    endpoint_of: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint = endpoint_of(lambda _request: completion("never"))
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["--agent", "chat_agent:ChatAgent", "--only", "payments_"])
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert text in result.stderr
    assert "geheim" not in result.stderr
    assert not endpoint.requests
