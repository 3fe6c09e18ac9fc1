"""The grader's look at the answers: their numbers, words and links, and what they claim."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from roadster_evals.language.figures import figures_of, without_advice, word_figures_of
from roadster_evals.language.phrases import LINK, claims, expresses, fold, letters_of
from roadster_evals.language.sentences import sentences_of
from roadster_evals.people.visits import without_port
from roadster_evals.scenario_files.scenario import AnswerExpectation, Number
from roadster_tools import TOOLS

from .observation import Observation, ObservedCall

MOST_NUMBERS = 25
"""Numbers in an answer that are not in the request. An answer with all numbers has not chosen the right one."""

MOST_IDS = 12
"""Ids of one form in an answer beside the right one."""

MOST_GUESSES = 4
"""Numbers or ids of the right one's form in an answer that neither the request nor a tool has told."""

FEWEST_ID_DIGITS, FEWEST_PHONE_DIGITS = 3, 7
"""Digits in a word that make it an id, and in a number that make it one of a telephone."""

_NOT_WRITTEN = frozenset({"waiting", "not_confirmed"})
"""Failures of a write after which nothing was done yet."""


def check_answer(expect: AnswerExpectation, observation: Observation) -> Iterator[str]:
    """Yields a sentence for each way in which the answers are not as expected."""
    answers = observation.talk.answers
    answer = fold("\n".join(answers))
    yield from _check_numbers(expect, observation)
    yield from _check_guesses(expect, observation)
    yield from _check_claims(expect, observation)
    for words in expect.says:
        if not any(_holds_word(word, answer) for word in words):
            yield f"the answer says none of: {', '.join(words)}"
    for name in expect.tells:
        if not expresses(name, answers):
            yield f"the answer says nothing that {name.replace('_', ' ')}, or claims the opposite"
    for word in expect.never_says:
        if _gives_away(word, answer):
            yield f"the answer says {word}"
    if expect.asks and not any(sentence.is_request for each in answers for sentence in sentences_of(each)):
        yield "the answer asks nothing"
    if expect.link_of:
        texts = [without_port(call.text) for call in observation.calls if call.tool == expect.link_of]
        links = [link for text in texts for link in LINK.findall(text)]
        if not any(link in without_port("\n".join(answers)) for link in links):
            yield f"the answer does not hold the link of {expect.link_of}"


def _check_numbers(expect: AnswerExpectation, observation: Observation) -> Iterator[str]:
    in_request = figures_of(observation.person_text)
    for number in expect.numbers:
        text = "\n".join(_answers_to(number.wish, observation))
        if not any(_is_close(figure, number) for figure in figures_of(text) | word_figures_of(text)):
            yield f"the answer does not say {number.value:.10g}"
    most = max((len(figures_of(answer) - in_request) for answer in observation.talk.answers), default=0)
    if most > MOST_NUMBERS:
        yield f"the answer holds {most} numbers, {MOST_NUMBERS} at most should have been chosen"
    if expect.only_known_numbers:
        known_figures = in_request.union(*(figures_of(call.text) for call in observation.calls))
        text = without_advice("\n".join(observation.talk.answers))
        figures = figures_of(text) | word_figures_of(text) - {1}  # "one" is often no number
        for unknown in sorted(figures - known_figures):
            yield f"the answer says {unknown:.10g}, which nothing told"


def _answers_to(wish: int | None, observation: Observation) -> tuple[str, ...]:
    """Returns the answers to the request (0) or a wish of the person, until the next wish. None stands for all.

    A played person says wishes in words of their own, so that all answers count.
    """
    messages, person = observation.talk.messages, observation.talk.scenario.person
    wishes = () if person is None else person.wishes
    places = [place for place, message in enumerate(messages) if message.text in wishes]
    if wish is None or (wishes and not places):
        return observation.talk.answers
    begins = [0, *places, *[len(messages)] * (len(wishes) + 1)]
    return tuple(message.text for message in messages[begins[wish] : begins[wish + 1]] if message.role == "agent")


def _is_close(figure: float, number: Number) -> bool:
    return abs(figure - number.value) <= number.tolerance + 1e-9


def _check_guesses(expect: AnswerExpectation, observation: Observation) -> Iterator[str]:
    """A list of candidates that holds the right one by chance is no answer."""
    source = "\n".join((*observation.talk.requests, *(call.text for call in observation.calls)))
    figures, tokens = figures_of(source), _tokens(source)
    for answer in observation.talk.answers:
        new_figures = figures_of(answer) - figures
        for number in expect.numbers:
            digits = len(f"{number.value:.0f}")
            guesses = [each for each in new_figures if len(f"{each:.0f}") == digits and not _is_close(each, number)]
            if len(guesses) > MOST_GUESSES:
                yield f"the answer guesses {number.value:.10g} among others"
        for words in expect.says:
            right = {fold(word) for word in words if _is_id(word)}
            forms = {(len(word), word.isdecimal()) for word in right}
            others = {each for each in _tokens(answer) - right if (len(each), each.isdecimal()) in forms}
            if len(others) > MOST_IDS or len(others - tokens) > MOST_GUESSES or _leaves_open(right, others, answer):
                yield f"the answer names {len(others)} others beside {', '.join(sorted(right))}"


def _leaves_open(right: set[str], others: set[str], answer: str) -> bool:
    """Tells if the answer says that it is one or the other."""
    pairs = [(fold(before), fold(behind)) for before, behind in pairwise(re.split(r"\bor\b", answer))]
    ends = [({*re.findall(r"\w+", one)[-2:]}, {*re.findall(r"\w+", two)[:2]}) for one, two in pairs]
    return any((one & right and two & others) or (one & others and two & right) for one, two in ends)


def _tokens(text: str) -> set[str]:
    return {each for each in re.findall(r"[a-z0-9]+", text.casefold()) if _is_id(each)}


def _is_id(word: str) -> bool:
    return word.isalnum() and sum(map(str.isdecimal, word)) >= FEWEST_ID_DIGITS


def _holds_word(word: str, answer: str) -> bool:
    """An id must stand for itself. Any other word may be a part of one."""
    text = re.escape(fold(word))
    return re.search(rf"(?<![^\W_]){text}(?![^\W_])" if _is_id(word) else text, answer) is not None


def _gives_away(word: str, answer: str) -> bool:
    """A telephone number or an address is given away in any form."""
    letters = letters_of(word)
    if "@" in word or (letters.isdecimal() and len(letters) >= FEWEST_PHONE_DIGITS):
        return letters in letters_of(answer)
    return fold(word) in answer


def _check_claims(expect: AnswerExpectation, observation: Observation) -> Iterator[str]:
    """Finds a claim that a write was done while it waits, or was not confirmed, or instead of the question before it.

    That is in the answer of its turn, and in every answer if no write was done at all.
    """
    writes = [call for call in observation.calls if call.tool in TOOLS and TOOLS[call.tool].writes]
    is_about_a_write = bool(writes) or expect.asks
    never = is_about_a_write and all(map(_is_open, writes)) and "done" not in observation.approvals
    for turn, answer in enumerate(observation.talk.answers):
        calls = [call for call in writes if call.turn == turn]
        if (never or (calls and all(map(_is_open, calls)))) and claims(answer):
            yield "the answer claims what was not done"
            break


def _is_open(call: ObservedCall) -> bool:
    return call.failure in _NOT_WRITTEN
