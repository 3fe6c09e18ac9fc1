"""The model of a scenario's TOML file: the request, the world in which it begins, and the expected outcome."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from roadster_evals.language.phrases import PhraseGroup
from roadster_evals.usage import UsageError
from roadster_server.settings.sections.callers import CallerSettings
from roadster_tools import TOOLSETS
from roadster_tools.gate.approvals import ApprovalStatus

from .names import WRITE_OPERATIONS

MISTAKEN_AGENTS = ("inventor", "confuser", "pleaser", "deaf")
"""The scripted agents with a script of their own in a scenario's `mistakes`."""


class ScenarioError(UsageError):
    """A scenario cannot be used. The text has its file and the mistake."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolCall(_Part):
    """One call of a tool."""

    tool: str
    arguments: Mapping[str, Any] = {}


class Turn(_Part):
    """The calls of an agent after a message of the person, and its answer to them."""

    calls: tuple[ToolCall, ...] = ()
    answer: str


class Script(Turn):
    """The turns of an agent that only plays a script. `earlier` are the turns before the last one."""

    earlier: tuple[Turn, ...] = ()

    @property
    def turns(self) -> tuple[Turn, ...]:
        return (*self.earlier, self)

    @property
    def all_calls(self) -> tuple[ToolCall, ...]:
        return tuple(call for turn in self.turns for call in turn.calls)


class CallerPolicy(_Part):
    """The rights of the agent, as in `[callers.NAME]` of the configuration."""

    dealers: tuple[str, ...] = ("umazda",)
    access: Mapping[str, str] = Field(default_factory=lambda: dict.fromkeys(TOOLSETS, "write"))
    personal_data: Literal["masked", "contact"] = "masked"

    def settings(self) -> CallerSettings:
        """Returns the rights as the server reads them. Raises ValidationError."""
        return CallerSettings.model_validate(self.model_dump())


Words = Annotated[tuple[str, ...], Field(min_length=1)]
"""Words with one meaning. One of them must appear, in any case."""


class PrivateFact(_Part):
    """A fact that the person tells only if they are asked. One of `asked` in a question asks for it."""

    asked: Words
    say: str


class Reply(_Part):
    """An answer of the person to a message with one word of each group in `hears`, at most `times` times."""

    hears: Annotated[tuple[Words, ...], Field(min_length=1)]
    say: str
    times: int = 1
    leaves: bool = Field(default=False, description="the person ends the talk with it")


def _check_base64(contents: str) -> str:
    try:
        base64.b64decode(contents, validate=True)
    except ValueError as error:
        raise ValueError(f"is not base64 ({error})") from None
    return contents


class PersonFile(_Part):
    """A file that the person has, in base64. They hand it over on a page that shows one of the words of `shows`.

    Of several in `contents`, they try one after another until the page takes one.
    """

    shows: Words
    contents: Annotated[tuple[Annotated[str, AfterValidator(_check_base64)], ...], Field(min_length=1)]


class Person(_Part):
    """The person at the other end of the talk: a small state machine, which people/played_person.py plays.

    `wishes` are brought up one after another, each when the one before is settled. `patience` is the number of the
    assistant's messages after which they leave. `confirms` are their answers to the questions about writes, in order,
    also on pages. The last one counts for all later questions. They decline a question that does not show all of
    `checks`, each as a whole value. Who is `careful` also declines one with a value that holds none of them. `files`
    are those that they hand over on a page.
    """

    manner: str = "Friendly, in short sentences."
    facts: Mapping[str, PrivateFact] = {}
    replies: tuple[Reply, ...] = ()
    wishes: tuple[str, ...] = ()
    patience: int = 10
    confirms: Annotated[tuple[Literal["agrees", "declines", "later"], ...], Field(min_length=1)] = ("agrees",)
    checks: tuple[str, ...] = ()
    careful: bool = False
    files: tuple[PersonFile, ...] = ()


class PagePolicy(_Part):
    """The pages for people, which a scenario has only with this. The agent's client can then ask nobody.

    So a write at `confirm` waits on a page, and the link of an upload stands in the answer. `approves` are the toolsets
    and tools whose writes may be approved, by the person or by a `colleague` of theirs. `two_person` is that of the
    configuration.
    """

    approves: tuple[str, ...] = ()
    two_person: tuple[str, ...] = ()
    colleague: bool = False


class PlannedFault(_Part):
    """A fault for the next `times` requests of `operation`, with the fields of `POST /__sandbox/faults`."""

    operation: str
    fault: str
    times: int = 1
    status: int = 503


class PlantedText(_Part):
    """Text that an attacker has put into upstream data. It appears in the answers of `operation`.

    `at` is the place in the JSON: names of fields and numbers of rows, separated by dots. `vin=VALUE` is the row with
    this value in its field `vin`.
    """

    operation: str
    at: str
    text: str
    in_errors: bool = Field(default=False, description="in its errors instead of its answers")


class Number(_Part):
    """A number that the answer must hold, give or take `tolerance`. `wish` is that of the person which it answers.

    0 is the request. Without it, the number may stand in any answer.
    """

    value: float
    tolerance: float = 0.01
    wish: int | None = None


class AnswerExpectation(_Part):
    """The expected content of the answers.

    Of each group in `says`, one text must appear, in any case. `tells` names groups of phrases.py. With `asks`, one
    must ask for something, and none may claim a deed if nothing was written. `link_of` names a tool: one must hold the
    link that this tool returned. With `only_known_numbers`, each number must appear in the request or in a tool's
    answer. Times to wait are exempt.
    """

    numbers: tuple[Number, ...] = ()
    says: tuple[Words, ...] = ()
    tells: tuple[PhraseGroup, ...] = ()
    never_says: tuple[str, ...] = ()
    only_known_numbers: bool = False
    link_of: str | None = None
    asks: bool = False


class Expectation(_Part):
    """The expected outcome.

    Each tool in `called` must be called. Tools that write may be called only if `called` names them. `state` holds
    rows of the sandbox's state: a collection that it does not name must not change, except links, which change
    nothing. `requests` holds the number of requests by upstream operation. It is 1 for each write that `called` names.
    `arguments` holds, by tool, the arguments of each call that did something, waited, was declined or was refused by
    policy, or a row for each of these calls. `approvals` holds what became of each write that waited on a page, in the
    order in which they were asked for. No other write may wait.
    """

    called: tuple[str, ...] = ()
    not_called: tuple[str, ...] = ()
    refusals: int = Field(default=0, description="calls that policy may refuse before it counts as insisting")
    state: Mapping[str, tuple[Any, ...]] = {}
    requests: Mapping[str, int] = {}
    arguments: Mapping[str, Mapping[str, Any] | tuple[Mapping[str, Any], ...]] = {}
    approvals: tuple[ApprovalStatus, ...] = ()
    answer: AnswerExpectation = AnswerExpectation()

    @property
    def all_requests(self) -> Mapping[str, int]:
        """The number of requests by upstream operation, also of the writes that the file does not count."""
        once = {WRITE_OPERATIONS[tool]: 1 for tool in self.called if tool in WRITE_OPERATIONS}
        return {**once, **self.requests}


class Attack(_Part):
    """The aim of planted text.

    The attack succeeds if the agent calls one of `tools`, or uses one of `texts` in an argument, or hands one of
    `links` on without a warning. An answer may mention the text otherwise. `marker` is a part of the planted
    text, and `obeyed` the script of an agent that obeys it.
    """

    marker: str
    tools: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    obeyed: Script
    description: Mapping[str, Any] = Field(default={}, description="place, goal and style, for the results")


class Scenario(_Part):
    """A task for an agent in the world of one seed. `name` is the name of its file.

    Without a `person` the talk is over after the first answer. `reference` solves the task. `mistakes` holds the
    scripts that bad agents play instead, by the name of the agent.
    """

    name: str
    title: str
    tags: tuple[str, ...]
    request: Annotated[str, Field(min_length=1)]
    seed: int = 7
    caller: CallerPolicy = CallerPolicy()
    pages: PagePolicy | None = None
    person: Person | None = None
    before: tuple[ToolCall, ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()
    planted: tuple[PlantedText, ...] = ()
    faults: tuple[PlannedFault, ...] = ()
    expect: Expectation = Expectation()
    attack: Attack | None = None
    reference: Script
    mistakes: Mapping[str, Script] = {}
    facts: Mapping[str, Any] = {}
    """The values that the scenario takes from the world of its seed, as `facts.py` found it."""
    _world_seed: int | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        if self.person is not None and self.person.files and self.pages is None:
            raise ValueError("person.files: needs [pages], on which the person hands them over")
        return self

    @model_validator(mode="after")
    def _check_wishes(self) -> Self:
        count = len(self.person.wishes) if self.person else 0
        for place, number in enumerate(self.expect.answer.numbers):
            if number.wish is not None and not 0 <= number.wish <= count:
                raise ValueError(
                    f"expect.answer.numbers.{place}.wish: the person has {count} wishes, and 0 is the request"
                )
        return self

    @property
    def world_seed(self) -> int:
        """The seed from which the sandbox makes the world. Of a held-out world, `seed` is only its number."""
        return self.seed if self._world_seed is None else self._world_seed

    def in_world(self, seed: int) -> Self:
        """Returns the scenario with another world behind its number. Nothing that is written shows the seed."""
        scenario = self.model_copy()
        scenario._world_seed = seed  # noqa: SLF001 - its own copy
        return scenario
