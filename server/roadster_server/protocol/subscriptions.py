"""Update notifications: a client subscribes to a resource, is told when it has changed, and reads it anew.

A customer changes when an event comes in, and an approval when somebody decides or the write has its end.

A notification holds only an address. Clients of protocol 2026-07-28 subscribe on a stream of their own
(`subscriptions/listen`), those of 2025-11-25 in their session (`resources/subscribe`). A subscription passes the gate
like a read. The caller's rights are checked again at each notification.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.connection import Connection
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, SubscriptionBus
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp_types import (
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from roadster_server.calls.calls import Calls
from roadster_server.calls.context import Context, CurrentCaller
from roadster_server.settings.live import LiveSettings
from roadster_server.store import StoreError
from roadster_server.telemetry.logs import log
from roadster_server.turns import give_turn_back
from roadster_tools import APPROVAL_RESOURCE, CUSTOMER_RESOURCE, TOOLS, AdmittedCall, Failure, resource_at

from .list_changes import ListChanges
from .resources import mcp_error
from .visible import may_read

if TYPE_CHECKING:  # for start time: it imports Redis
    from roadster_server.replicas import Replicas

MOST_ADDRESSES = 100
"""Addresses on one stream, or in one session. An assistant subscribes only to the customers that it works on."""

_LONGEST_STREAM = 3600.0
"""Seconds, then the stream ends. To open it again, a client must show its token again, which may be invalid by then."""

_NOTIFY_SECONDS = 5.0
"""A client that does not read in this time misses the notification."""

_MOST_QUEUED = 10_000
"""Notifications that wait to be sent. More are dropped."""

_FOLLOWED = (CUSTOMER_RESOURCE, APPROVAL_RESOURCE)

_STATE_KEY = "roadster_server.protocol.subscriptions"
_TOPIC = "changed"


@dataclass(frozen=True)
class _ApprovalUpdated(ResourceUpdated):
    """An approval has changed. Whose it is does not stand in its address."""

    principal: str = field(kw_only=True)
    dealer: str = field(kw_only=True)


class Subscriptions(SubscriptionBus):
    """The subscriptions at this process. It is also the bus at which the SDK's `ListenHandler` listens."""

    def __init__(
        self, calls: Calls, current_caller: CurrentCaller, live: LiveSettings, replicas: Replicas | None = None
    ) -> None:
        self._calls = calls
        self._current_caller = current_caller
        self._list_changes = ListChanges(live, current_caller)
        self._replicas = replicas
        if replicas is not None:
            replicas.subscribe(_TOPIC, self._queue_all)
        calls.services.approvals.on_change(self._announce_approval)
        self._bus = InMemorySubscriptionBus()
        self._streams = ListenHandler(self)
        self._queue = asyncio.Queue[ResourceUpdated](_MOST_QUEUED)
        self._notifying: anyio.abc.TaskGroup

    def announce_customer(self, dealer: str, customer_id: str) -> None:
        """Queues a notification that the customer has changed, here and at the other processes. `run` sends it."""
        self._announce(CUSTOMER_RESOURCE.address(dealer=dealer, customer_id=customer_id))

    def _announce_approval(self, approval_id: str) -> None:
        self._announce(APPROVAL_RESOURCE.address(approval_id=approval_id))

    def _announce(self, uri: str) -> None:
        self._queue_all((uri,))
        if self._replicas is not None:
            self._replicas.tell(_TOPIC, uri)

    def _queue_all(self, uris: tuple[str, ...]) -> None:
        for uri in uris:
            try:
                self._queue.put_nowait(ResourceUpdated(uri))
            except asyncio.QueueFull:
                log.warning("update notification dropped, too many are waiting")

    async def run(self) -> None:
        """Sends notifications until it is cancelled."""
        async with anyio.create_task_group() as self._notifying:
            self._notifying.start_soon(self._list_changes.run)
            while True:
                event = await self._with_owner(await self._queue.get())
                if event is not None:
                    await self.publish(event)

    async def _with_owner(self, event: ResourceUpdated) -> ResourceUpdated | None:
        """Returns the event, with whose it is if it is of an approval. None if there is no such approval."""
        arguments = APPROVAL_RESOURCE.arguments_in(event.uri)
        if arguments is None:
            return event
        try:
            approval = await self._calls.services.store.approval(arguments["approval_id"])
        except StoreError:
            log.warning("update notification dropped, the store does not work")
            return None
        if approval is None:
            return None
        return _ApprovalUpdated(event.uri, principal=approval.principal, dealer=approval.dealer)

    def close(self) -> None:
        """Ends the streams with the result that the protocol wants. For a server that stops."""
        self._streams.close()

    async def publish(self, event: ServerEvent) -> None:
        await self._bus.publish(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Calls `listener` with each change of the caller's lists, and with each event that it may read at that moment.

        Returns what ends that.
        """
        end_updates, end_list_changes = self._subscribe_to_updates(listener), self._list_changes.follow(listener)

        def end() -> None:
            end_updates()
            end_list_changes()

        return end

    def _subscribe_to_updates(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        subscriber = copy_context()

        def on_event(event: ServerEvent) -> None:
            if isinstance(event, ResourceUpdated) and subscriber.run(self._may_read, event):
                listener(ResourceUpdated(event.uri))

        return self._bus.subscribe(on_event)

    async def listen(self, ctx: Context, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Handles `subscriptions/listen`. Of the addresses, the stream has those that the caller may read."""
        give_turn_back()
        addresses = list(dict.fromkeys(params.notifications.resource_subscriptions or []))
        if len(addresses) > MOST_ADDRESSES:
            raise _too_many()
        readable = await self._readable(ctx, addresses)
        filter_ = params.notifications.model_copy(update={"resource_subscriptions": readable})
        with anyio.move_on_after(_LONGEST_STREAM):
            return await self._streams(ctx, params.model_copy(update={"notifications": filter_}))
        return SubscriptionsListenResult(_meta={SUBSCRIPTION_ID_META_KEY: ctx.request_id})

    async def _readable(self, ctx: Context, addresses: list[str]) -> list[str]:
        """Returns the addresses that the caller may read. Raises MCPError if there are some, but it may read none."""
        refusals = [await self._refusal(ctx, uri) for uri in addresses]
        readable = [uri for uri, refusal in zip(addresses, refusals, strict=True) if refusal is None]
        if not readable and refusals and refusals[0] is not None:
            raise refusals[0]
        return readable

    async def follow(self, ctx: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Handles `resources/subscribe`. The subscription ends with the session."""
        subscriptions, uri = _subscriptions_of_session(ctx), params.uri
        if uri in subscriptions:
            return EmptyResult()
        if len(subscriptions) >= MOST_ADDRESSES:
            raise _too_many()
        subscriptions[uri] = _do_nothing  # takes its place at once: another request may come during the wait below
        refusal = await self._refusal(ctx, uri)
        if refusal is not None:
            subscriptions.pop(uri, None)
            raise refusal
        if uri in subscriptions:  # otherwise the client has unsubscribed meanwhile
            notify = partial(ctx.session.send_resource_updated, uri)
            subscriptions[uri] = self._subscribe_to_updates(self._notifier(ResourceUpdated(uri), notify))
        return EmptyResult()

    async def unfollow(self, ctx: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """Handles `resources/unsubscribe`. It ignores addresses without a subscription."""
        unsubscribe = _subscriptions_of_session(ctx).pop(params.uri, None)
        if unsubscribe is not None:
            unsubscribe()
        return EmptyResult()

    def follow_lists(self, ctx: Context) -> None:
        """Tells the session of a client of 2025-11-25 when its lists change, until it ends."""
        session = ctx.session
        notifiers = [
            self._notifier(ToolsListChanged(), session.send_tool_list_changed),
            self._notifier(PromptsListChanged(), session.send_prompt_list_changed),
            self._notifier(ResourcesListChanged(), session.send_resource_list_changed),
        ]

        def on_event(event: ServerEvent) -> None:
            for notify in notifiers:
                notify(event)

        _connection_of(ctx).exit_stack.callback(self._list_changes.follow(on_event))

    def _notifier(self, wanted: ServerEvent, notify: Callable[[], Awaitable[None]]) -> Callable[[ServerEvent], None]:
        """Returns a listener that notifies a session. While one notification is on its way, it sends no other."""
        underway = False

        async def notify_in_time() -> None:
            nonlocal underway
            with anyio.move_on_after(_NOTIFY_SECONDS):
                await notify()
            underway = False

        def on_event(event: ServerEvent) -> None:
            nonlocal underway
            if event == wanted and not underway:
                underway = True
                self._notifying.start_soon(notify_in_time)

        return on_event

    def _may_read(self, event: ResourceUpdated) -> bool:
        caller = self._current_caller()
        if isinstance(event, _ApprovalUpdated):
            is_own = event.principal == caller.principal and event.dealer in caller.dealer_set
            return is_own and may_read(caller, APPROVAL_RESOURCE)
        arguments = CUSTOMER_RESOURCE.arguments_in(event.uri)
        is_own = arguments is not None and arguments["dealer"] in caller.dealer_set
        return is_own and may_read(caller, CUSTOMER_RESOURCE)

    async def _refusal(self, ctx: Context, uri: str) -> MCPError | None:
        """Returns why the caller may not subscribe. This counts and is recorded as a call of the resource's tool."""
        match = resource_at(uri)
        if match is None or match[0] not in _FOLLOWED:
            templates = " and ".join(resource.template for resource in _FOLLOWED)
            problem = f"only addresses like {templates} can be followed"
            return mcp_error(await self._calls.refuse(self._current_caller, ctx, {"uri": problem}), ctx, uri)
        resource, arguments = match
        # Only a read tells whose an approval is.
        work = resource.read if resource is APPROVAL_RESOURCE else _read_nothing
        tool = TOOLS[resource.tool_name]
        outcome = await self._calls.use(self._current_caller, ctx, tool, arguments, work)
        return mcp_error(outcome, ctx, uri) if isinstance(outcome, Failure) else None


def _do_nothing() -> None:
    """Ends a subscription that the gate has not admitted yet: there is nothing to end."""


async def _read_nothing(_admitted_call: AdmittedCall) -> None:
    """Runs instead of the tool's body, because subscribing reads nothing."""


def _subscriptions_of_session(ctx: Context) -> dict[str, Callable[[], None]]:
    """Returns the session's subscriptions: by address, the function that ends it."""
    connection = _connection_of(ctx)
    subscriptions: dict[str, Callable[[], None]] | None = connection.state.get(_STATE_KEY)
    if subscriptions is None:
        subscriptions = connection.state[_STATE_KEY] = {}
        connection.exit_stack.callback(_end_all, subscriptions)
    return subscriptions


def _connection_of(ctx: Context) -> Connection:
    connection: Connection = ctx.session._connection  # noqa: SLF001 - the SDK has nothing public that ends with a session
    return connection


def _end_all(subscriptions: dict[str, Any]) -> None:
    for unsubscribe in subscriptions.values():
        unsubscribe()


def _too_many() -> MCPError:
    return MCPError(
        code=INVALID_PARAMS,
        message=f"At most {MOST_ADDRESSES} addresses can be followed at once.",
    )
