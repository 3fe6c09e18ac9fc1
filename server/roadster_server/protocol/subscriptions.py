"""Update notifications: who follows a customer is told that an event came in, and reads the resource anew.

A notification is an address and nothing else. Clients of protocol 2026-07-28 follow on a stream of their own
(`subscriptions/listen`), those of 2025-11-25 on their session's (`resources/subscribe`). To follow is to pass the gate
as a reader does, and at each notification the caller's rights of that moment count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.connection import Connection
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY, ResourceUpdated, ServerEvent
from mcp_types import (
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionFilter,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from roadster_server.calls.calls import Calls
from roadster_server.calls.context import Context, CurrentCaller
from roadster_server.telemetry.logs import log
from roadster_tools import CUSTOMER_RESOURCE, TOOLS, AdmittedCall, Failure

from .resources import may_read, told

if TYPE_CHECKING:
    from roadster_server.replicas import Replicas

MOST_FOLLOWED = 100
"""Addresses on one stream, or in one session: an assistant follows those it works on."""

MOST_STREAMS_OF_A_CALLER = 32

_LONGEST_STREAM = 3600.0
"""Seconds, after which it ends as the protocol has it. Who opens it again shows the token again, which may be void."""

_TELL_WITHIN = 5.0
_WAITING = 10_000
_FOLLOWED = "roadster_server.protocol.subscriptions"
_TOPIC = "changed"


class Updates:
    """Who follows what at this process. It is the SDK's SubscriptionBus too, for `ListenHandler` to listen at."""

    def __init__(self, calls: Calls, who: CurrentCaller, replicas: Replicas | None = None) -> None:
        self._calls = calls
        self._who = who
        self._replicas = replicas
        if replicas is not None:
            replicas.subscribe(_TOPIC, self._changed_elsewhere)
        self._bus = InMemorySubscriptionBus()
        self._streams = ListenHandler(self)
        self._streams_of: Counter[str] = Counter()
        self._announce, self._announced = anyio.create_memory_object_stream[ResourceUpdated](_WAITING)
        self._telling: anyio.abc.TaskGroup

    def customer_changed(self, dealer: str, customer_id: str) -> None:
        """Has their followers told, as soon as `run` gets to it, and those at other processes."""
        uri = CUSTOMER_RESOURCE.address(dealer=dealer, customer_id=customer_id)
        self._changed(uri)
        if self._replicas is not None:
            self._replicas.tell(_TOPIC, uri)

    def _changed_elsewhere(self, uris: tuple[str, ...]) -> None:
        for uri in uris:
            self._changed(uri)

    def _changed(self, uri: str) -> None:
        try:
            self._announce.send_nowait(ResourceUpdated(uri))
        except anyio.WouldBlock:
            log.warning("update notification dropped, too many are waiting")

    async def run(self) -> None:
        """Tells followers until it is cancelled."""
        async with anyio.create_task_group() as self._telling:
            async for event in self._announced:
                await self.publish(event)

    def close(self) -> None:
        """Ends the streams as the protocol has it, because the server stops."""
        self._streams.close()

    async def publish(self, event: ServerEvent) -> None:
        """As SubscriptionBus has it."""
        await self._bus.publish(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """As SubscriptionBus has it; the listener hears what its caller may read when it happens."""
        subscriber = copy_context()

        def heard(event: ServerEvent) -> None:
            if isinstance(event, ResourceUpdated) and subscriber.run(self._may_read, event.uri):
                listener(event)

        return self._bus.subscribe(heard)

    async def listen(self, ctx: Context, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """`subscriptions/listen`: of the addresses asked for, those that the caller may follow."""
        caller = self._who().name
        asked = list(dict.fromkeys(params.notifications.resource_subscriptions or []))
        if len(asked) > MOST_FOLLOWED or self._streams_of[caller] >= MOST_STREAMS_OF_A_CALLER:
            raise _too_many()
        self._streams_of[caller] += 1
        try:
            followed = await self._allowed(ctx, asked)
            granted = params.model_copy(update={"notifications": SubscriptionFilter(resource_subscriptions=followed)})
            with anyio.move_on_after(_LONGEST_STREAM):
                return await self._streams(ctx, granted)
        finally:
            self._streams_of[caller] -= 1
        return SubscriptionsListenResult(_meta={SUBSCRIPTION_ID_META_KEY: ctx.request_id})

    async def _allowed(self, ctx: Context, asked: list[str]) -> list[str]:
        """Those that the caller may follow. Raises MCPError where it asked for some and may follow none."""
        refusals = [await self._refusal(ctx, uri) for uri in asked]
        followed = [uri for uri, refusal in zip(asked, refusals, strict=True) if refusal is None]
        if not followed and refusals and refusals[0] is not None:
            raise refusals[0]
        return followed

    async def follow(self, ctx: Context, params: SubscribeRequestParams) -> EmptyResult:
        """`resources/subscribe`, to the end of the session."""
        followed, uri = _followed_in(ctx), params.uri
        if uri in followed:
            return EmptyResult()
        if len(followed) >= MOST_FOLLOWED:
            raise _too_many()
        followed[uri] = _asking  # its place is taken before anything is waited for: another request may come meanwhile
        refusal = await self._refusal(ctx, uri)
        if refusal is not None:
            followed.pop(uri, None)
            raise refusal
        if uri in followed:  # else it was given up meanwhile
            followed[uri] = self.subscribe(self._teller(ctx.session, uri))
        return EmptyResult()

    async def unfollow(self, ctx: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """`resources/unsubscribe`; what is not followed is left alone."""
        unsubscribe = _followed_in(ctx).pop(params.uri, None)
        if unsubscribe is not None:
            unsubscribe()
        return EmptyResult()

    def _teller(self, session: ServerSession, uri: str) -> Callable[[ServerEvent], None]:
        underway = False

        async def tell() -> None:
            nonlocal underway
            with anyio.move_on_after(_TELL_WITHIN):  # a client that does not read
                await session.send_resource_updated(uri)
            underway = False

        def heard(event: ServerEvent) -> None:
            nonlocal underway
            if event == ResourceUpdated(uri) and not underway:
                underway = True
                self._telling.start_soon(tell)

        return heard

    def _may_read(self, uri: str) -> bool:
        arguments, caller = CUSTOMER_RESOURCE.arguments_in(uri), self._who()
        return arguments is not None and arguments["dealer"] in caller.dealers and may_read(caller, CUSTOMER_RESOURCE)

    async def _refusal(self, ctx: Context, uri: str) -> MCPError | None:
        """Why the caller may not follow the address. It counts, and is on record, as a use of the resource's tool."""
        arguments = CUSTOMER_RESOURCE.arguments_in(uri)
        if arguments is None:
            problem = f"only addresses like {CUSTOMER_RESOURCE.template} can be followed"
            return told(await self._calls.refuse(self._who, ctx, {"uri": problem}))
        outcome = await self._calls.use(self._who, ctx, TOOLS[CUSTOMER_RESOURCE.tool_name], arguments, _nothing)
        return told(outcome) if isinstance(outcome, Failure) else None


def _asking() -> None:
    """In the place of what ends following, while the gate is asked."""


async def _nothing(_admitted: AdmittedCall) -> None:
    """To follow is not to read yet."""


def _followed_in(ctx: Context) -> dict[str, Callable[[], None]]:
    """By address, what ends following it, in the session of the request."""
    connection: Connection = ctx.session._connection  # noqa: SLF001 - the SDK shows a handler nothing that ends with a session
    followed: dict[str, Callable[[], None]] | None = connection.state.get(_FOLLOWED)
    if followed is None:
        followed = connection.state[_FOLLOWED] = {}
        connection.exit_stack.callback(_end, followed)
    return followed


def _end(followed: dict[str, Any]) -> None:
    for unsubscribe in followed.values():
        unsubscribe()


def _too_many() -> MCPError:
    return MCPError(
        code=INVALID_PARAMS,
        message=f"At most {MOST_FOLLOWED} addresses can be followed at once, on {MOST_STREAMS_OF_A_CALLER} streams.",
    )
