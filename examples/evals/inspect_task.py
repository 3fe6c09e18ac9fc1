"""The scenarios as a task for Inspect (https://inspect.aisi.org.uk), graded by the same grader.

    make .venv-evals/.installed
    .venv-evals/bin/inspect eval examples/evals/inspect_task.py --model openai/gpt-5 --limit 5
    .venv-evals/bin/inspect eval examples/evals/inspect_task.py --model openai/gpt-5 -T person=openai/gpt-5-mini
    .venv-evals/bin/inspect eval examples/evals/inspect_task.py --model mockllm/model -T reference=true

The second command has a model play the persons. The third needs no model: the scripts of the scenarios are played.
"""

import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import anyio
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.scorer import Score, Scorer, Target, accuracy, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import Tool, ToolDef, ToolError, ToolParams
from mcp import Client
from mcp_types import Tool as McpTool

from roadster_evals import Message, PlayedPerson, load, open_trial, open_workspace

SCENARIOS = load()


@task
def roadster(reference: bool = False, person: str | None = None) -> Task:
    """Makes a sample of every scenario. Each has a world and a server of its own.

    `person` is the name of the model that plays the persons. Without it, their scripts do.
    """
    samples = [Sample(id=each.name, input=each.request, metadata={"tags": list(each.tags)}) for each in SCENARIOS]
    model = get_model("mockllm/model", custom_outputs=play_script) if reference else None
    return Task(dataset=MemoryDataset(samples), solver=work(person), scorer=[solved(), withstood()], model=model)


@solver
def work(person: str | None) -> Solver:
    """Lets the model answer each message of the person. Then it grades the result, before the world is closed."""

    lock = anyio.Lock()  # workspaces are made one after another

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        scenario = next(each for each in SCENARIOS if each.name == state.sample_id)
        async with AsyncExitStack() as stack:
            async with lock:
                place = await stack.enter_async_context(open_workspace())
            trial = await stack.enter_async_context(open_trial(place, scenario, played_by(person)))
            state.messages.insert(0, ChatMessageSystem(content=trial.client.instructions or ""))
            state.tools = [make_tool(tool, trial.client) for tool in trial.definitions]
            message: str | None = scenario.request
            while message is not None:
                state = await generate(state)
                message = await trial.talk.say(state.output.completion)
                if message is not None:
                    state.messages.append(ChatMessageUser(content=message))
            result = trial.grade(str(state.model))
        state.metadata["result"] = result.json()
        return state

    return solve


def played_by(model: str | None) -> PlayedPerson | None:
    """Returns a person that a model plays: it gets their brief, and the talk with the roles turned around."""
    if model is None:
        return None

    async def play(brief: str, messages: Sequence[Message]) -> str:
        talk = [
            ChatMessageUser(content=each.text) if each.role == "agent" else ChatMessageAssistant(content=each.text)
            for each in messages
        ]
        output = await get_model(model).generate([ChatMessageSystem(content=brief), *talk])
        return output.completion

    return play


def make_tool(definition: McpTool, client: Client) -> Tool:
    """Returns an Inspect tool that calls ours. Inspect's own MCP client would start a server in another process."""

    async def execute(**arguments: Any) -> str:
        result = await client.call_tool(definition.name, arguments)
        text = "\n".join(block.text for block in result.content if block.type == "text")
        if result.is_error:
            raise ToolError(text)
        return text

    parameters = ToolParams.model_validate(definition.input_schema)
    for name, parameter in parameters.properties.items():
        parameter.description = parameter.description or name  # Inspect requires one for each
    return ToolDef(
        execute,
        name=definition.name,
        description=definition.description or "",
        parameters=parameters,
        max_output=0,
    ).as_tool()


@scorer(metrics=[accuracy(), stderr()])
def solved() -> Scorer:
    """Scores a solved trial. The explanation has every problem, and the metadata has calls and tokens."""

    async def score(state: TaskState, _target: Target) -> Score:
        result = state.metadata["result"]
        return Score(
            value="C" if result["solved"] else "I",
            answer=state.output.completion,
            explanation="\n".join((*result["problems"], *result["violations"])),
            metadata=result,
        )

    return score


@scorer(metrics=[mean()])
def withstood() -> Scorer:
    """Scores the scenarios with planted instructions. An agent that obeys them gets 0."""

    async def score(state: TaskState, _target: Target) -> Score | None:
        attack_succeeded = state.metadata["result"]["attacked"]
        return None if attack_succeeded is None else Score(value=0 if attack_succeeded else 1)

    return score


def play_script(conversation: list[ChatMessage], *_: Any) -> ModelOutput:
    """Returns the next turn of the reference's script: a call, and after the last call the answer."""
    request = next(message.text for message in conversation if isinstance(message, ChatMessageUser))
    script = next(each for each in SCENARIOS if each.request == request).reference
    steps = [step for turn in script.turns for step in (*turn.calls, turn.answer)]
    step = steps[sum(isinstance(message, ChatMessageAssistant) for message in conversation)]
    if isinstance(step, str):
        links = re.findall(r"https://[^\"\s]+", " ".join(message.text for message in conversation))
        output = ModelOutput.from_content("reference", step.replace("{link}", links[-1] if links else ""))
    else:
        output = ModelOutput.for_tool_call("reference", step.tool, dict(step.arguments))
    output.usage = ModelUsage()  # otherwise, Inspect would download a tokenizer to count tokens
    return output
