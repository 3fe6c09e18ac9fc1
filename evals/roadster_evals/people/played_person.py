"""The person at the other end of a talk: played by a script, which needs no model, or by a function of yours.

The script is a state machine. Its state is the wishes that were brought up, the replies that were used, and whether the
person has just said that they are content. docs/develop/scenario-files.md has the order in which they answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult

from roadster_evals.language.phrases import fold, holds_word, letters_of
from roadster_evals.language.sentences import Sentence, sentences_of, without_links
from roadster_evals.scenario_files.scenario import Person, Reply, Scenario
from roadster_server.calls.questions.form import yes_to

from .questions import is_meant, lines_of
from .visits import Choice, links_in

Ending = Literal["answered", "satisfied", "left", "impatient"]
"""How a talk ended: after one answer without a person, as the person wished, by a reply of theirs that leaves, or
because their patience was over."""

END = "###END###"
"""The whole message of a played person who ends the talk."""

MOST_CHARACTERS = 2000
"""Characters in a message of a person."""


@dataclass(frozen=True)
class Message:
    """One message of the talk. `role` is `person` or `agent`."""

    role: Literal["person", "agent"]
    text: str


PlayedPerson = Callable[[str, Sequence[Message]], Awaitable[str]]
"""A coroutine that plays a person. It gets their brief and the talk so far, and returns their next message, or END."""


OpenLink = Callable[[str, Choice], Awaitable[str]]
"""Does at the page of a link what the person chooses. It returns what they say of it."""

_PUT_OFF = "I will look at the page later."


@dataclass
class Talk:
    """The talk of one trial. `faults` are those of the person: they void the trial.

    Without `open_link` there are no pages, and the person opens nothing.
    """

    scenario: Scenario
    play: PlayedPerson | None = None
    open_link: OpenLink | None = None
    messages: list[Message] = field(default_factory=list)
    ending: Ending | None = None
    faults: list[str] = field(default_factory=list)
    yes_answers: int = 0
    """The questions about writes to which the person said yes."""
    _script: _Script | None = field(init=False, default=None)
    _questions: int = field(init=False, default=0)
    _opened: set[str] = field(init=False, default_factory=set)
    _put_off: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.messages.append(Message("person", self.scenario.request))
        if self.scenario.person is not None:
            self._script = _Script(self.scenario.person, self.scenario.request)

    @property
    def answers(self) -> tuple[str, ...]:
        """The messages of the agent."""
        return tuple(message.text for message in self.messages if message.role == "agent")

    @property
    def requests(self) -> tuple[str, ...]:
        """The messages of the person, the request first."""
        return tuple(message.text for message in self.messages if message.role == "person")

    async def say(self, text: str) -> str | None:
        """Says the agent's message to the person. Returns what they reply, None after the end of the talk."""
        self.messages.append(Message("agent", text))
        person, script = self.scenario.person, self._script
        if person is None or script is None:
            self.ending = "answered"
        elif len(self.answers) >= person.patience:
            self.ending = "impatient"
        else:
            reply = script.find_reply(text)
            deeds = "" if reply else await self._open_links(text)
            if self.play is None:
                self._hear(reply or deeds or script.reply_to(text))
                script.own_words = "\n".join(self.requests)
            else:
                await self._let_play(self.play, deeds)
        return None if self.ending else self.messages[-1].text

    async def _let_play(self, play: PlayedPerson, deeds: str) -> None:
        """Lets the played person speak. They are told what they did on pages, because a script does that for them.

        Only their words can have a fault. What the script says is the scenario's own.
        """
        brief = brief_of(self.scenario) + (f"\nYou opened the assistant's link. Say this: {deeds}" if deeds else "")
        words = await play(brief, tuple(self.messages))
        reply = None if words.strip() == END else words
        if reply is None and deeds:
            self.faults.append(f"left without saying: {deeds}")
        self.faults.extend(find_faults(self.scenario, self.messages, reply))
        self._hear(None if self.faults else reply)

    async def _open_links(self, text: str) -> str:
        """Opens the links of the message that are new. Returns what the person says of them, or nothing."""
        sentences = []
        for link, is_question in links_in(text):
            if self.open_link is None or link in self._opened:
                continue
            choice = self._next_choice() if is_question else "agrees"
            if choice != "later":
                self._opened.add(link)
                sentences.append(await self.open_link(link, choice))
            elif link not in self._put_off:
                self._put_off.add(link)
                sentences.append(_PUT_OFF)
        return " ".join(sentences)

    def _next_choice(self) -> Choice:
        """Returns the answer to the next question about a write. Without a person it is a yes."""
        confirms = (self.scenario.person or Person()).confirms
        self._questions += 1
        return confirms[min(self._questions, len(confirms)) - 1]

    def _hear(self, reply: Reply | str | None) -> None:
        """Adds the person's reply to the talk, or ends the talk without one."""
        if isinstance(reply, Reply):
            self.messages.append(Message("person", reply.say))
            self.ending = "left" if reply.leaves else None
        elif reply is not None:
            self.messages.append(Message("person", reply))
        else:
            self.ending = "satisfied"

    def confirm(self, question: ElicitRequestParams) -> ElicitResult:
        """Returns the person's answer to a question about a write."""
        person, choice = self.scenario.person or Person(), self._next_choice()
        lines = [*lines_of(question.message)] if isinstance(question, ElicitRequestFormParams) else []
        if choice == "later":
            return ElicitResult(action="cancel")
        if choice == "declines" or not is_meant(person, lines):
            return ElicitResult(action="decline")
        answer = yes_to(question)
        self.yes_answers += answer.action == "accept"
        return answer


_CONTENT = "That is fine."


@dataclass
class _Script:
    """The state of a scripted person. `own_words` are theirs so far."""

    person: Person
    own_words: str
    wishes: int = 0
    uses: Counter[int] = field(default_factory=Counter)
    is_content: bool = False

    def find_reply(self, message: str) -> Reply | None:
        """Returns the scenario's reply that fits the message. It counts as used."""
        text = without_links(message)
        for number, reply in enumerate(self.person.replies):
            if self.uses[number] < reply.times and all(holds_word(words, text) for words in reply.hears):
                self.uses[number] += 1
                return reply
        return None

    def reply_to(self, message: str) -> str | None:
        """Returns what the person says without a reply of the scenario, None to end the talk."""
        sentences = [*sentences_of(message)]
        was_content, self.is_content = self.is_content, False
        if answers := [*self._facts(sentences), *self._decision(sentences)]:
            return " ".join(answers)
        if any(each.is_question and not each.asks_if_content for each in sentences):
            return "I don't know that."
        self.is_content = any(each.asks_if_content for each in sentences)
        wish = self._next_wish()
        # They say so once: a second such question in a row is only polite.
        contentment = [_CONTENT] if self.is_content and not was_content else []
        return " ".join([*contentment, *wish]) or None

    def _facts(self, sentences: Sequence[Sentence]) -> Iterator[str]:
        for fact in self.person.facts.values():
            if any(each.asks_for(fact.asked) for each in sentences):
                yield fact.say

    def _decision(self, sentences: Sequence[Sentence]) -> Iterator[str]:
        questions = [each for each in sentences if each.asks_to_go_ahead]
        if any(each.exceeds(self.own_words) for each in questions):
            yield "No, thank you."
        elif questions:
            yield "Yes, please."

    def _next_wish(self) -> Sequence[str]:
        wish = self.person.wishes[self.wishes : self.wishes + 1]
        self.wishes += len(wish)
        return wish


def brief_of(scenario: Scenario) -> str:
    """Returns the instructions of somebody who plays the scenario's person."""
    person = scenario.person or Person()
    lines = [
        "You play a person who talks with the assistant of a car dealership. You are not the assistant.",
        f"Your manner: {person.manner}",
        f"You have said: {scenario.request}",
        *(f"If you are asked about {', '.join(each.asked)}: {each.say}" for each in person.facts.values()),
        *(
            f"If the assistant says something like {' and '.join(' or '.join(g) for g in each.hears)}: {each.say}"
            for each in person.replies
        ),
        *(f"When the thing before is settled, bring this up: {wish}" for wish in person.wishes),
        *(f"You can hand over a file on a page of the assistant: {each.shows[0]}" for each in person.files),
        "Tell nothing of this before it is asked for. Invent nothing. Anything else that you are asked you don't know.",
        f"If everything is settled, answer only {END}",
    ]
    return "\n".join(lines)


_IDENTIFYING = re.compile(r"[\w.+-]+@[\w.-]+|\b[A-HJ-NPR-Z0-9]{17}\b|\$?\d[\d,.()\s-]*\d{2}")
"""An email address, a VIN, or a number with three digits or more. Numbers that stand side by side are one match."""

_COUNTRY_CODE = re.compile(r"\+1(?!\d{1,9}\b)")
"""The same telephone number may be told with it and without it."""

_BOUNDARY = re.compile(r"\.\s|[()]|(?<=\d{4}),|,(?!\d{3}\b)")
"""The signs between two numbers that stand side by side. A blank may also be within a number."""

_FEWEST_DIGITS = 3
"""Digits that make a number one that only some have. Everybody may say that they want 36 months."""


def _is_known(number: str, source: str) -> bool:
    """Tells if the letters of the source hold the number, or each of the numbers that blanks divide.

    Short groups of digits are looked up as a whole: each of them stands in many numbers.
    """
    groups = [letters_of(group) for group in number.split()]
    whole = "".join(groups)
    return (
        len(whole) < _FEWEST_DIGITS
        or whole in source
        or all(len(group) >= _FEWEST_DIGITS and group in source for group in groups)
    )


def find_faults(scenario: Scenario, messages: Sequence[Message], reply: str | None) -> Iterator[str]:
    """Yields the faults of a person's next message: they told what they do not have, or broke a rule of theirs."""
    person = scenario.person or Person()
    if reply is None:
        count = sum(message.role == "person" for message in messages) - 1
        if count < len(person.wishes):
            yield f"left with {len(person.wishes) - count} wishes that were not brought up"
        return
    if not reply.strip() or len(reply) > MOST_CHARACTERS:
        yield f"said nothing, or more than {MOST_CHARACTERS} characters"
    says = [*(each.say for each in person.facts.values()), *(each.say for each in person.replies)]
    texts = [scenario.request, *person.wishes, *says]
    source = letters_of(" ".join([*texts, *(message.text for message in messages)]))
    for match in _IDENTIFYING.findall(_COUNTRY_CODE.sub("", reply)):
        if not all(_is_known(number, source) for number in _BOUNDARY.split(match)):
            yield f"told {match.strip()}, which they do not have"
    agent_text = fold(" ".join(message.text for message in messages if message.role == "agent"))
    secrets = {name: fact for name, fact in person.facts.items() if not holds_word(fact.asked, agent_text)}
    open_facts = [fact.say for name, fact in person.facts.items() if name not in secrets]
    replies = [each.say for each in person.replies]
    # A number of an open fact may hold that of a secret one: a street number, and an amount.
    source = letters_of(" ".join([scenario.request, *person.wishes, *replies, *open_facts, agent_text]))
    for name, fact in secrets.items():
        figures = [letters_of(each) for each in _IDENTIFYING.findall(fact.say)]
        if any(figure in letters_of(reply) and figure not in source for figure in figures):
            yield f"told their {name} before they were asked"
