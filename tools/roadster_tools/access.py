"""The gate: may this caller use this tool at this dealer?

The only way to an upstream client is a grant, and the gate alone makes grants: for one caller, one
tool and, where the tool concerns a dealer, one dealer. A tool cannot forget the check, because it
has nothing to call with until the check has passed. What is not allowed is refused, and a dealer
must be named exactly as its table in the configuration is: no trimming, no folding of case.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from roadster_client import (
    AccountApi,
    Answer,
    Belongings,
    ClientError,
    CustomerRecordsApi,
    DealerApi,
    DealerRef,
    DeliveriesApi,
    EventsInbox,
    Lane,
    MyKaarmaApi,
    NotConfigured,
    NotFound,
    OrderApi,
    PersonalData,
    Request,
    RoadieApi,
    RoadsterApi,
)
from roadster_client import Oversight as ClientOversight

from .failures import AccessRefused, InvalidArguments
from .files import UploadFolder
from .seal import Seal

if TYPE_CHECKING:
    from .catalogue import Tool


_DEALER_NAME = re.compile(r"[\w .,'&()/+-]{1,60}")
"""What stands in a question unquoted must not be able to end it."""


class Access(IntEnum):
    """How much a caller may do with a tool; each level includes the ones before it."""

    OFF = 0
    READ = 1
    PREVIEW = 2
    CONFIRM = 3
    WRITE = 4


@dataclass(frozen=True)
class Caller:
    """Who is calling, as the configuration describes it: `[callers.NAME]`."""

    name: str
    dealers: tuple[str, ...] = ()
    access: Mapping[str, Access] = field(default_factory=dict)
    personal_data: PersonalData = "masked"
    unconfigured: Mapping[str, str] = field(default_factory=dict)
    """The toolsets that nothing is configured for, with what is missing: a [section] or a key."""
    calls_per_minute: int | None = None
    writes_per_hour: int | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether something is allowed, the setting that decided, and what to do about a refusal.

    `level` is what holds, `written` what the setting says where that is more.
    """

    allowed: bool
    level: Access
    setting: str
    reason: str = ""
    written: Access | None = None

    @property
    def said(self) -> str:
        """The setting as it is written, and that less holds where it does."""
        if self.written is None:
            return f'{self.setting} is "{self.level.name.lower()}"'
        return f'{self.setting} is "{self.written.name.lower()}", but a destructive tool wants a confirmation anyway'


@dataclass(frozen=True)
class AccountGrant:
    """One caller, one tool that concerns no single dealer."""

    caller: Caller
    account: AccountApi


@dataclass(frozen=True)
class Grant:
    """One caller, one tool, one dealer: the client is bound to it, and so is every cursor."""

    caller: Caller
    roadster: DealerApi
    cursors: Seal
    uploads: UploadFolder | None
    belongings: Belongings
    roadie: DeliveriesApi | None
    mykaarma: CustomerRecordsApi | None
    events: EventsInbox
    order: Callable[[str], Awaitable[OrderApi]]
    """That order, which is known to be the dealer's. Raises AccessRefused for any other; nothing was sent."""

    @property
    def deliveries(self) -> DeliveriesApi:
        if self.roadie is None:
            raise NotConfigured("roadie", operation="deliveries")
        return self.roadie

    @property
    def customer_records(self) -> CustomerRecordsApi:
        if self.mykaarma is None:
            raise NotConfigured("mykaarma", operation="crm")
        return self.mykaarma


def verdict(caller: Caller, tool: Tool) -> Verdict:
    """What the caller's access settings say of `tool`: its own setting wins over its toolset's."""
    if tool.toolset in caller.unconfigured:
        missing = caller.unconfigured[tool.toolset]
        return Verdict(False, Access.OFF, missing.strip("[]"), f"{missing} is not set, and {tool.name} needs it")
    if tool.name in caller.access:
        level, setting = caller.access[tool.name], f"callers.{caller.name}.access.{tool.name}"
    elif tool.toolset in caller.access:
        level, setting = caller.access[tool.toolset], f"callers.{caller.name}.access.{tool.toolset}"
        if tool.destructive and level > Access.CONFIRM:
            # Who opens a whole toolset has not said that anything in it may vanish unasked.
            return Verdict(True, Access.CONFIRM, setting, written=level)
    else:
        level, setting = Access.OFF, f"callers.{caller.name}.access"
    needed = Access.PREVIEW if tool.writes else Access.READ
    if level >= needed:
        return Verdict(True, level, setting)
    return Verdict(
        False,
        level,
        setting,
        f'{setting} gives "{level.name.lower()}"; {tool.name} needs at least "{needed.name.lower()}"',
    )


def dealer_verdict(caller: Caller, dealer: str | None) -> Verdict:
    """Whether `dealer`, exactly as given, is one of the caller's."""
    setting = f"callers.{caller.name}.dealers"
    if dealer is not None and dealer in caller.dealers:
        return Verdict(True, Access.READ, setting)
    # The refused name is not repeated: it may hold anything, and a model reads this.
    return Verdict(False, Access.OFF, setting, f"{setting} does not name this dealer; {_choices(caller)}")


@dataclass(frozen=True)
class PendingWrite:
    """A write that has passed the gate and was not sent yet: exactly this request, or none."""

    caller: Caller
    tool: Tool
    dealer: str
    allowed: Verdict
    request: Request


class Previewed(Exception):
    """Ends a write at level "preview": nothing was sent, and `write` is what would have been."""

    def __init__(self, write: PendingWrite) -> None:
        super().__init__(write.tool.name)
        self.write = write


class Oversight(Protocol):
    """What the server does about one call as it goes. Raising from `confirm` or `sending` sends nothing."""

    def caller(self) -> Caller:
        """The caller as the configuration has it now: rights may go while a call waits."""

    async def confirm(self, write: PendingWrite) -> None:
        """Returns once a person has confirmed exactly this write."""

    async def sending(self, write: PendingWrite) -> None:
        """Runs last before the request leaves: what must be on record is, or the write does not happen."""

    def answered(self, answer: Answer) -> None:
        """Is told of each answer of the upstream."""


@dataclass(frozen=True)
class Services:
    """The upstream APIs; the two besides Roadster only where they are configured."""

    roadster: RoadsterApi
    roadie: RoadieApi | None = None
    mykaarma: MyKaarmaApi | None = None


class Gate:
    """Holds the upstream clients and hands them out in grants alone.

    `dealers` gives those of the newest configuration, `belongings` what is known to be a dealer's,
    `events` what a dealer's customers and deliveries caused, as who may see so much of it reads it.
    """

    def __init__(
        self,
        services: Services,
        dealers: Callable[[], Mapping[str, DealerRef]],
        *,
        belongings: Callable[[str], Belongings],
        events: Callable[[str, PersonalData], EventsInbox],
        cursor_key: bytes,
        uploads: UploadFolder | None = None,
    ) -> None:
        self._services = services
        self._dealers = dealers
        self._belongings = belongings
        self._events = events
        self._cursor_key = cursor_key
        self._uploads = uploads
        self._names: dict[str, str] = {}

    def require(self, caller: Caller, tool: Tool) -> None:
        """Raises AccessRefused where the caller may not use the tool at any dealer."""
        _check(verdict(caller, tool))

    def admit_to_account(self, caller: Caller, tool: Tool) -> AccountGrant:
        """A grant for a tool without a dealer. Raises AccessRefused."""
        _check(verdict(caller, tool))
        return AccountGrant(caller, self._services.roadster.for_account(caller.dealers, Lane(caller.name)))

    def admit(self, caller: Caller, tool: Tool, dealer: str | None, oversight: Oversight) -> Grant:
        """A grant at `dealer`, or at the caller's only one for None. Raises AccessRefused and InvalidArguments."""
        allowed = verdict(caller, tool)
        _check(allowed)
        dealer = _checked_dealer(caller, dealer)
        ref = self._dealers()[dealer]
        belongings = self._belongings(dealer)
        overseen = ClientOversight(
            _WriteGuard(caller, tool, dealer, allowed, oversight, lambda request: self._require_own(dealer, request)),
            oversight.answered,
            lambda: oversight.caller().personal_data,
            Lane(caller.name, dealer),
        )
        roadie, mykaarma = self._services.roadie, self._services.mykaarma

        async def order(order_id: str) -> OrderApi:
            await self._require_order(dealer, order_id)
            return self._services.roadster.for_order(ref, order_id, overseen)

        return Grant(
            caller,
            self._services.roadster.for_dealer(ref, overseen),
            Seal.bound_to(self._cursor_key, caller.name, dealer),
            self._uploads,
            belongings,
            roadie.for_dealer(belongings, overseen) if roadie else None,
            mykaarma.for_dealer(ref, overseen) if mykaarma else None,
            self._events(dealer, caller.personal_data),
            order,
        )

    async def _require_own(self, dealer: str, request: Request) -> None:
        """Raises AccessRefused or NotFound where what the request is about is not the dealer's, or no longer."""
        order, delivery = request.path.get("order_id"), request.path.get("shipment_id")
        if order is not None:
            await self._require_order(dealer, order)
        if delivery is not None and not await self._belongings(dealer).has("delivery", delivery):
            name = request.operation.name
            raise NotFound(f"{name}: not found", operation=name)

    async def _require_order(self, dealer: str, order_id: str) -> None:
        ref = self._dealers().get(dealer)
        orders = ref.orders if ref is not None else frozenset()
        if orders == "any" or order_id in orders or await self._belongings(dealer).has("order", order_id):
            return
        setting = f"dealers.{dealer}.orders"
        raise AccessRefused(
            f"{setting} does not list this order, so nothing says that it is this dealer's", setting=setting
        )

    def belongings(self, caller: Caller, tool: Tool, dealer: str | None) -> Belongings:
        """What is known here to be the dealer's, with no way to an upstream. Raises as `admit` does."""
        _check(verdict(caller, tool))
        return self._belongings(_checked_dealer(caller, dealer))

    async def dealer_name(self, caller: Caller, dealer: str) -> str:
        """What a person calls `dealer`, for a question to one; the dpid alone where that is not plain."""
        if dealer not in self._names:
            try:
                found = await self._services.roadster.for_account([dealer], Lane(caller.name)).list_dealers()
            except ClientError:
                found = []
            self._names |= {
                known.dpid: f"{known.name} ({known.dpid})" if _DEALER_NAME.fullmatch(known.name) else known.dpid
                for known in found
            }
        return self._names.get(dealer, dealer)


@dataclass(frozen=True)
class _WriteGuard:
    """Stands before every write of a granted client, and lets it pass as the level says."""

    caller: Caller
    tool: Tool
    dealer: str
    allowed: Verdict
    oversight: Oversight
    require_own: Callable[[Request], Awaitable[None]]

    async def __call__(self, request: Request) -> None:
        if not self.tool.writes:
            raise RuntimeError(f"{self.tool.name} writes, and the catalogue lists it as a read")
        write = PendingWrite(self.caller, self.tool, self.dealer, self.allowed, request)
        if self.allowed.level < Access.CONFIRM:
            raise Previewed(write)
        if self.allowed.level == Access.CONFIRM:
            await self.oversight.confirm(write)
        self._check_again()
        await self.require_own(request)
        await self.oversight.sending(write)

    def _check_again(self) -> None:
        """All that the gate decided about the caller: a person may have thought for minutes."""
        now = self.oversight.caller()
        found = verdict(now, self.tool)
        _check(found)
        if found.level < self.allowed.level:
            raise AccessRefused(f"by now {found.said}", setting=found.setting)
        _check(dealer_verdict(now, self.dealer))


def _check(found: Verdict) -> None:
    if not found.allowed:
        raise AccessRefused(found.reason, setting=found.setting)


def _checked_dealer(caller: Caller, dealer: str | None) -> str:
    if dealer is None:
        if len(caller.dealers) != 1:
            raise InvalidArguments({"dealer": f"must be given: {_choices(caller)}"})
        (dealer,) = caller.dealers
    _check(dealer_verdict(caller, dealer))
    return dealer


def _choices(caller: Caller) -> str:
    return f"one of {', '.join(caller.dealers)}" if caller.dealers else "this caller has no dealer"
