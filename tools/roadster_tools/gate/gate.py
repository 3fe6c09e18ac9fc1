"""The gate: may this caller use this tool at this dealer?

The only way to an upstream client is a grant, and the gate alone makes grants: for one caller, one
tool and, where the tool concerns a dealer, one dealer. A tool cannot forget the check, because it
has nothing to call with until the check has passed. What is not allowed is refused, and a dealer
must be named exactly as its table in the configuration is: no trimming, no folding of case.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from roadster_client import (
    AccountApi,
    Answer,
    ChannelPolicy,
    ClientError,
    CustomerRecordsApi,
    DealerApi,
    DealerRef,
    DeliveriesApi,
    MyKaarmaApi,
    NotConfigured,
    NotFound,
    OrderApi,
    Origin,
    Ownership,
    PersonalData,
    Request,
    RoadieApi,
    RoadsterApi,
)
from roadster_tools.cursors import Seal
from roadster_tools.failures import AccessRefused, InvalidArguments
from roadster_tools.files import UploadFolder
from roadster_tools.tool import Tool

from .access import Access, Caller, Verdict, dealer_choices, dealer_verdict, verdict
from .inbox import EventsInbox

_DEALER_NAME = re.compile(r"[\w .,'&()/+-]{1,60}")
"""What stands in a question unquoted must not be able to end it."""


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
    ownership: Ownership
    roadie: DeliveriesApi | None
    mykaarma: CustomerRecordsApi | None
    events: EventsInbox
    order: Callable[[str], Awaitable[OrderApi]]
    """That order, which is known to be the dealer's. Raises AccessRefused for any other; nothing was sent."""

    @property
    def deliveries(self) -> DeliveriesApi:
        if self.roadie is None:
            raise NotConfigured("deliveries", "roadie")
        return self.roadie

    @property
    def customer_records(self) -> CustomerRecordsApi:
        if self.mykaarma is None:
            raise NotConfigured("crm", "mykaarma")
        return self.mykaarma


@dataclass(frozen=True)
class PendingWrite:
    """A write that has passed the gate and was not sent yet: exactly this request, or none."""

    caller: Caller
    tool: Tool
    dealer: str
    verdict: Verdict
    request: Request


class WritePreview(Exception):
    """Ends a write at level "preview": nothing was sent, and `write` is what would have been."""

    def __init__(self, write: PendingWrite) -> None:
        super().__init__(write.tool.name)
        self.write = write


class CallOversight(Protocol):
    """What the server does about one call as it goes. Raising from `confirm` or `before_send` sends nothing."""

    def caller(self) -> Caller:
        """The caller as the configuration has it now: rights may go while a call waits."""

    async def confirm(self, write: PendingWrite) -> None:
        """Returns once a person has confirmed exactly this write."""

    async def before_send(self, write: PendingWrite) -> None:
        """Runs last before the request leaves: what must be on record is, or the write does not happen."""

    def on_answer(self, answer: Answer) -> None:
        """Is told of each answer of the upstream."""


@dataclass(frozen=True)
class Services:
    """The upstream APIs; the two besides Roadster only where they are configured."""

    roadster: RoadsterApi
    roadie: RoadieApi | None = None
    mykaarma: MyKaarmaApi | None = None


class Gate:
    """Holds the upstream clients and hands them out in grants alone.

    `dealer` looks one dealer up in the newest configuration and returns None where it is not there. `ownership`
    gives what is known to be a dealer's, `events` what a dealer's customers and deliveries caused, as who may see so
    much of it reads it.
    """

    def __init__(
        self,
        services: Services,
        dealer: Callable[[str], DealerRef | None],
        *,
        ownership: Callable[[str], Ownership],
        events: Callable[[str, PersonalData], EventsInbox],
        cursor_key: bytes,
        uploads: UploadFolder | None = None,
    ) -> None:
        self._services = services
        self._dealer = dealer
        self._ownership = ownership
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
        return AccountGrant(caller, self._services.roadster.for_account(caller.dealers, Origin(caller.name)))

    def admit(self, caller: Caller, tool: Tool, dealer: str | None, oversight: CallOversight) -> Grant:
        """A grant at `dealer`, or at the caller's only one for None. Raises AccessRefused and InvalidArguments."""
        allowed = verdict(caller, tool)
        _check(allowed)
        dealer = _checked_dealer(caller, dealer)
        ref = self._configured(dealer)
        ownership = self._ownership(dealer)
        overseen = ChannelPolicy(
            _WriteGuard(caller, tool, dealer, allowed, oversight, lambda request: self._require_own(dealer, request)),
            oversight.on_answer,
            lambda: oversight.caller().personal_data,
            Origin(caller.name, dealer),
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
            ownership,
            roadie.for_dealer(ownership, overseen) if roadie else None,
            mykaarma.for_dealer(ref, overseen) if mykaarma else None,
            self._events(dealer, caller.personal_data),
            order,
        )

    def _configured(self, dealer: str) -> DealerRef:
        """Raises AccessRefused where the configuration has dropped the dealer since the caller was looked up."""
        ref = self._dealer(dealer)
        if ref is None:
            raise AccessRefused(f"dealers.{dealer} is not in the configuration any more", setting=f"dealers.{dealer}")
        return ref

    async def _require_own(self, dealer: str, request: Request) -> None:
        """Raises AccessRefused or NotFound where what the request is about is not the dealer's, or no longer."""
        order, delivery = request.path.get("order_id"), request.path.get("shipment_id")
        if order is not None:
            await self._require_order(dealer, order)
        if delivery is not None and not await self._ownership(dealer).has("delivery", delivery):
            name = request.operation.name
            raise NotFound(name, "not found")

    async def _require_order(self, dealer: str, order_id: str) -> None:
        orders = self._configured(dealer).orders
        if orders == "any" or order_id in orders or await self._ownership(dealer).has("order", order_id):
            return
        setting = f"dealers.{dealer}.orders"
        raise AccessRefused(
            f"{setting} does not list this order, so nothing says that it is this dealer's", setting=setting
        )

    def ownership(self, caller: Caller, tool: Tool, dealer: str | None) -> Ownership:
        """What is known here to be the dealer's, with no way to an upstream. Raises as `admit` does."""
        _check(verdict(caller, tool))
        return self._ownership(_checked_dealer(caller, dealer))

    async def dealer_name(self, caller: Caller, dealer: str) -> str:
        """What a person calls `dealer`, for a question to one; the dpid alone where that is not plain."""
        if dealer not in self._names:
            try:
                found = await self._services.roadster.for_account([dealer], Origin(caller.name)).list_dealers()
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
    verdict: Verdict
    oversight: CallOversight
    require_own: Callable[[Request], Awaitable[None]]

    async def __call__(self, request: Request) -> None:
        if not self.tool.writes:
            raise RuntimeError(f"{self.tool.name} writes, and the catalogue lists it as a read")
        write = PendingWrite(self.caller, self.tool, self.dealer, self.verdict, request)
        if self.verdict.level < Access.CONFIRM:
            raise WritePreview(write)
        if self.verdict.level == Access.CONFIRM:
            await self.oversight.confirm(write)
        self._check_again()
        await self.require_own(request)
        await self.oversight.before_send(write)

    def _check_again(self) -> None:
        """All that the gate decided about the caller: a person may have thought for minutes."""
        now = self.oversight.caller()
        found = verdict(now, self.tool)
        _check(found)
        if found.level < self.verdict.level:
            raise AccessRefused(f"by now {found.description}", setting=found.setting)
        _check(dealer_verdict(now, self.dealer))


def _check(found: Verdict) -> None:
    if not found.is_allowed:
        raise AccessRefused(found.reason, setting=found.setting)


def _checked_dealer(caller: Caller, dealer: str | None) -> str:
    if dealer is None:
        if len(caller.dealers) != 1:
            raise InvalidArguments({"dealer": f"must be given: {dealer_choices(caller)}"})
        (dealer,) = caller.dealers
    _check(dealer_verdict(caller, dealer))
    return dealer
