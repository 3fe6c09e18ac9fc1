"""Asking a person before a write: they are shown exactly what will be sent, and only that is sent.

Clients of protocol 2025-11-25 are asked in the middle of the call. Those of 2026-07-28 get the
question as the call's result, with sealed state, and repeat the call with the answer: the state
binds it to the caller, the dealer, the tool and the request, expires, and is good once.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    InputResponseRequestParams,
)
from mcp_types.version import is_version_at_least

from roadster_client import ApiName, is_visible
from roadster_server.store.lazy import LazyStore
from roadster_tools import NotConfirmed, PendingWrite, Seal, Unsealable

_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"confirm": {"type": "boolean", "title": "Send exactly this", "default": False}},
    "required": ["confirm"],
}
_ANSWER = "confirm"
_READABLE = 4000
_NAMES: Mapping[ApiName, str] = {"roadster": "Roadster", "roadie": "Roadie", "mykaarma": "myKaarma"}
_WORDS: Mapping[str, str] = {"doc_ids": "document_ids", "id": "customer_id", "shipment_id": "delivery_id"}
"""The tools' words for what the requests call otherwise. The one bare id is of the customer whose agent is assigned."""
_ASK_AGAIN = "call again without it to be asked anew"


class Ask(Exception):
    """Ends a call with a question; `result` carries it."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("a person must confirm")
        self.result = result


class Confirmation:
    """The confirmation of one call's write."""

    def __init__(
        self,
        ctx: ServerRequestContext[Any, Any],
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
        """Returns once a person has confirmed `write`. Raises Ask and NotConfirmed."""
        modern = is_version_at_least(self._ctx.protocol_version, "2026-07-28")
        if not modern and not self._ctx.session.can_send_request:
            raise NotConfirmed(
                f"{write.verdict.description}, and this server, one of several workers, keeps no session in which it "
                "could ask a person; use a client of protocol 2026-07-28"
            )
        if not _can_ask(self._ctx):
            raise NotConfirmed(
                f"{write.verdict.description}, and this client cannot ask a person; use one that supports elicitation, "
                f'or let the operator set callers.{write.caller.name}.access.{write.tool.name} = "write"'
            )
        about = await write.request.about()
        if modern:
            await self._by_repeated_call(write, about, dealer_name)
            return
        await self._within_the_call(summary(write, about, dealer_name))
        if await write.request.about() != about:
            raise NotConfirmed("what it is about has changed since it was shown; call again to be asked anew")

    async def _within_the_call(self, question: str) -> None:
        try:
            with anyio.fail_after(self._lifetime.total_seconds()):
                answer = await self._ctx.session.elicit_form(question, _FORM, related_request_id=self._ctx.request_id)
        except TimeoutError:
            raise NotConfirmed(
                f"nobody answered within {self._lifetime.total_seconds():.0f} seconds; call again"
            ) from None
        except MCPError:
            raise NotConfirmed("the client failed to ask a person; use another, or call again") from None
        _check(answer)

    async def _by_repeated_call(self, write: PendingWrite, about: Mapping[str, Any], dealer_name: str) -> None:
        question = summary(write, about, dealer_name)
        seal = Seal.bound_to(self._key, write.caller.name, write.dealer, write.tool.name)
        request = write.request
        sent = [request.operation.method, request.target, dict(request.query), request.body, about]
        shown = hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()
        now = datetime.now(UTC)
        if self._params.request_state is None:
            state = {"shown": shown, "nonce": secrets.token_hex(16), "until": (now + self._lifetime).timestamp()}
            form = ElicitRequestFormParams(message=question, requested_schema=_FORM)
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
        if until < now:
            raise NotConfirmed(f"the confirmation has expired; {_ASK_AGAIN}")
        if state["shown"] != shown:
            raise NotConfirmed(f"the write is not the one that was shown; {_ASK_AGAIN}")
        # Used up by any answer: who has declined is not answered for again with the same state.
        if not await self._store.use_once(state["nonce"], expires_at=until, now=now):
            raise NotConfirmed(f"the confirmation was used before; {_ASK_AGAIN}")
        _check((self._params.input_responses or {}).get(_ANSWER))


def summary(write: PendingWrite, about: Mapping[str, Any], dealer_name: str) -> str:
    """What a person reads: what happens, at which dealer, and every value that is sent, wherever it stands.

    `about` is what the ids in it name, in their place or besides. Raises NotConfirmed where it is more than a person
    reads.
    """
    request = write.request
    content = {} if request.content is None else request.content.shown_to("person")
    shown = {**request.path, **request.query, **content, **about}
    lines = [f"{name}: {value}" for name, value in _leaves({_WORDS.get(name, name): shown[name] for name in shown})]
    effect = (
        "This deletes and cannot be undone."
        if write.tool.destructive
        else f"This writes to {_NAMES[request.operation.api]}."
    )
    question = "\n".join([f"{write.tool.title} at {_visible(dealer_name)}? {effect}", *lines])
    if len(question) > _READABLE:
        raise NotConfirmed(f"the write is too large for a person to read ({len(question)} characters); send less")
    return question


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    match node:
        case Mapping() if node:
            for name, value in node.items():
                yield from _leaves(value, f"{path}.{name}".lstrip("."))
        case list() if node:
            for index, value in enumerate(node, 1):
                yield from _row(value, f"{path} {index}")
        case _:
            # Quoted, so that no value can pass for another line, and what is empty shows.
            yield path.replace("_", " "), _visible(json.dumps(node, ensure_ascii=False))


def _row(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """What a list holds, on one line where it is flat: a form has dozens of fields, each of ten values."""
    if not isinstance(node, Mapping) or not node or any(isinstance(value, Mapping | list) for value in node.values()):
        yield from _leaves(node, path)
        return
    yield path.replace("_", " "), ", ".join(f"{name} {value}" for name, value in _leaves(node))


def _visible(text: str) -> str:
    """With an escape in place of every character that shows as nothing, and of spaces in a row."""
    spaced = re.sub(" {2,}", lambda spaces: "\\u0020" * len(spaces[0]), text)
    return "".join(character if is_visible(character) else f"\\u{ord(character):04x}" for character in spaced)


def _can_ask(ctx: ServerRequestContext[Any, Any]) -> bool:
    capabilities = ctx.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    # A bare `elicitation: {}`, the only shape before there were modes, means forms.
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _check(answer: object) -> None:
    match answer:
        case ElicitResult(action="accept", content={"confirm": True}):
            return
        case ElicitResult(action="cancel"):
            raise NotConfirmed("the person closed the question; ask them what they want before you call again")
        case ElicitResult(action="accept"):
            raise NotConfirmed('the form came back without "confirm": true; ask the person whether they meant it')
        case ElicitResult():
            raise NotConfirmed("the person declined; do not call again unless they ask for it")
        case _:
            raise NotConfirmed(f"the answer to the question is missing; {_ASK_AGAIN}")
