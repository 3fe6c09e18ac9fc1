"""Asks a person before a write. The person sees exactly the values that will be sent, and only those are sent.

A client of protocol 2025-11-25 is asked in the middle of the call. A client of 2026-07-28 gets the question as the
call's result, with sealed state, and repeats the call with the answer. The state is valid only for the same caller,
dealer, tool and request. It expires, and works once.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    InputResponseRequestParams,
)
from pydantic import ValidationError

from roadster_client import Request, with_escapes
from roadster_server.calls.context import API_NAMES, Ask, CallContext, Context, PageOrigin, is_stateless
from roadster_server.calls.progress import set_step
from roadster_server.store.lazy import LazyStore
from roadster_server.store.records import CLOCKS_DIFFER
from roadster_server.turns import turn_given_back
from roadster_tools import NotConfirmed, PendingWrite, Seal, Tool, Unsealable

from .form import UNREADABLE, form_of, require_yes, unreadable_reason

_ANSWER = "confirm"
"""The name of the question among those of a call. There is only one."""

_MOST_CHARACTERS = 4000
"""A person does not read a longer question."""

_WORDS: Mapping[str, str] = {
    "doc_ids": "document_ids",
    "dpid": "dealer",
    "id": "customer_id",
    "shipment_id": "delivery_id",
}
"""The tools' names of fields that have other names in requests. Only `assign_agent` sends a bare `id`."""
_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SHORT_FORMS: Mapping[str, str] = {"id": "ID", "ids": "IDs", "utm": "UTM", "vin": "VIN", "url": "URL"}
_ASK_AGAIN = "call again without it to be asked anew"


class Confirmation:
    """The confirmation of one call's write."""

    def __init__(
        self,
        ctx: Context,
        params: InputResponseRequestParams,
        *,
        key: bytes,
        store: LazyStore,
        lifetime: timedelta,
    ) -> None:
        self._ctx = ctx
        self._params = params
        self._key = key
        self._store = store
        self._lifetime = lifetime

    async def obtain(self, write: PendingWrite, dealer_name: str) -> None:
        """Returns when a person has confirmed `write`. Raises Ask and NotConfirmed.

        Call it only where `form_problem` finds none.
        """
        about = await write.request.about()
        if is_stateless(self._ctx):
            await self._ask_by_repeated_call(write, about, dealer_name)
            return
        await self._ask_within_call(question_of(write, about, dealer_name).text, write.tool)
        if await write.request.about() != about:
            raise NotConfirmed("what it is about has changed since it was shown; call again to be asked anew")

    async def _ask_within_call(self, question: str, tool: Tool) -> None:
        set_step("waiting for a person's answer")
        try:
            with turn_given_back(), anyio.fail_after(self._lifetime.total_seconds()):
                answer = await self._ctx.session.elicit_form(
                    question, form_of(tool), related_request_id=self._ctx.request_id
                )
        except TimeoutError:
            raise NotConfirmed(
                f"nobody answered within {self._lifetime.total_seconds():.0f} seconds; call again"
            ) from None
        except MCPError:
            raise NotConfirmed("the client failed to ask a person; use another, or call again") from None
        except ValidationError as error:
            raise NotConfirmed(f"{unreadable_reason(error)}; call again to ask the person anew") from None
        require_yes(answer, tool)

    async def _ask_by_repeated_call(self, write: PendingWrite, about: Mapping[str, Any], dealer_name: str) -> None:
        question = question_of(write, about, dealer_name).text
        seal = Seal.bound_to(self._key, write.caller.principal, write.dealer, write.tool.name)
        digest = digest_of(write.request, about)
        now = datetime.now(UTC)
        if self._params.request_state is None:
            state = {"digest": digest, "nonce": secrets.token_hex(16), "until": (now + self._lifetime).timestamp()}
            form = ElicitRequestFormParams(message=question, requested_schema=form_of(write.tool))
            raise Ask(
                InputRequiredResult(
                    input_requests={_ANSWER: ElicitRequest(params=form)}, request_state=seal.seal(json.dumps(state))
                )
            )
        try:
            state = json.loads(seal.open(self._params.request_state))
        except Unsealable:
            raise NotConfirmed(f"the confirmation was altered, or is another call's; {_ASK_AGAIN}") from None
        until = datetime.fromtimestamp(state["until"], UTC)
        # A question of the future was asked before the clock was set back. It would be good for longer than its time.
        if not now <= until <= now + self._lifetime + CLOCKS_DIFFER:
            raise NotConfirmed(f"the confirmation has expired; {_ASK_AGAIN}")
        if state["digest"] != digest:
            raise NotConfirmed(f"the write is not the one that was shown; {_ASK_AGAIN}")
        # Any answer uses the state up: after a no, the same state must not bring a yes.
        if not await self._store.use_once(state["nonce"], expires_at=until, now=now):
            raise NotConfirmed(f"the confirmation was used before; {_ASK_AGAIN}")
        answer = (self._params.input_responses or {}).get(_ANSWER)
        if not isinstance(answer, ElicitResult):
            raise NotConfirmed(f"{UNREADABLE}; call again without the confirmation to be asked anew")
        require_yes(answer, write.tool)


@dataclass(frozen=True)
class WriteQuestion:
    """A write as a person is asked about it."""

    heading: str
    """The deed, the dealer and the effect."""
    fields: tuple[tuple[str, str], ...]
    """The label and the value of each field."""

    @property
    def text(self) -> str:
        return "\n".join([self.heading, *(f"{label}: {value}" for label, value in self.fields)])


def question_of(write: PendingWrite, about: Mapping[str, Any], dealer_name: str) -> WriteQuestion:
    """Returns the question: the effect, the dealer, and every value in the path, the query and the body.

    `about` holds what the ids in the request name. A field in `about` replaces the field of that name in the
    request. Raises NotConfirmed if the question is longer than a person reads.
    """
    request = write.request
    content = {} if request.content is None else request.content.shown_to("person")
    fields = {**request.path, **request.query, **content, **about}
    named_fields = {_WORDS.get(name, name): value for name, value in fields.items()}
    effect = (
        "This deletes and cannot be undone."
        if write.tool.destructive
        else f"This writes to {API_NAMES[request.operation.api]}."
    )
    heading = f"{write.tool.title} at {with_escapes(dealer_name)}? {effect}"
    question = WriteQuestion(heading, tuple(field_lines(named_fields)))
    if len(question.text) > _MOST_CHARACTERS:
        problem = f"the write is too large for a person to read ({len(question.text)} characters); send less"
        raise NotConfirmed(problem)
    return question


def digest_of(request: Request, about: Mapping[str, Any]) -> str:
    """Returns a hash of a request and of what it is about. Only a request with the same hash was shown."""
    content = [request.operation.method, request.target, dict(request.query), request.body, about]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def form_problem(ctx: CallContext) -> str | None:
    """Returns why no form can be shown to a person by this client, None where one can."""
    if isinstance(ctx, PageOrigin):
        return "there is no client that could ask a person"
    if not is_stateless(ctx) and not ctx.session.can_send_request:
        return (
            "this server, one of several workers, keeps no session in which it could ask a person with a form; use a "
            "client of protocol 2026-07-28"
        )
    if not _can_ask(ctx):
        return "this client cannot ask a person with a form; use one that supports elicitation"
    return None


def field_lines(node: Any, label: str = "") -> Iterator[tuple[str, str]]:
    """Yields the label and the value of each field, such as "Customer: first name" for one of a nested object."""
    match node:
        case Mapping() if node:
            for name, value in node.items():
                words = _in_words(name)
                yield from field_lines(value, f"{label}: {words}" if label else words[:1].upper() + words[1:])
        case list() if node:
            for index, value in enumerate(node, 1):
                yield from _item_lines(value, f"{label} {index}")
        case _:
            yield label, _value_text(node)


def _item_lines(node: Any, label: str) -> Iterator[tuple[str, str]]:
    """Yields an item of a list, on one line if it is flat. A form has dozens of fields, each with ten values."""
    if not isinstance(node, Mapping) or not node or any(isinstance(value, Mapping | list) for value in node.values()):
        yield from field_lines(node, label)
        return
    yield label, ", ".join(f"{_in_words(name)} {_value_text(value)}" for name, value in node.items())


def _in_words(name: str) -> str:
    """Returns the name of a field as a person reads it: "document IDs" for `document_ids`, "font size" for `fontSize`.

    `views/src/format.ts` writes the labels of an answer on a card by the same rule.
    """
    words = _INNER_CAPITAL.sub(" ", name).replace("_", " ").lower().split(" ")
    return " ".join(_SHORT_FORMS.get(word, word) for word in words)


def _value_text(value: Any) -> str:
    """Returns the value in quotes, so that it cannot look like another line, and an empty text is visible."""
    return with_escapes(json.dumps(value, ensure_ascii=False))


def _can_ask(ctx: Context) -> bool:
    capabilities = ctx.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    # A bare `elicitation: {}` means forms. The protocol had no other shape before there were modes.
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)
