"""The gate: decides whether a caller may use a tool at a dealer.

The only way to an upstream client is a grant, and only the gate makes grants: for one caller, one tool and, where the
tool concerns a dealer, one dealer. A tool cannot forget the check, because it has no client until the check has passed.
A dealer must be spelled exactly as in the configuration: nothing is trimmed, and case counts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
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
    LeftOut,
    MyKaarmaApi,
    NotConfigured,
    NotFound,
    OnLeftOut,
    OrderApi,
    Origin,
    Ownership,
    Reader,
    Request,
    RoadieApi,
    RoadsterApi,
)
from roadster_client.leniency import ignore_left_out
from roadster_tools.cursors import Seal
from roadster_tools.failures import AccessRefused, InvalidArguments
from roadster_tools.tool import Tool

from .access import Access, Caller, Verdict, dealer_choices, dealer_verdict, verdict
from .approvals import ApprovalReader
from .customers import CustomerIndex
from .inbox import EventsInbox
from .remembered_feeds import RememberedFeeds
from .vehicles import VehicleMirror
from .waiting_files import DownloadLink, Uploads, no_download

_DEALER_NAME = re.compile(r"[\w .,'&()/+-]{1,60}")
"""A dealer's name stands in a question without quotes, so it must not hold characters that could end the question."""


@dataclass(frozen=True)
class AccountGrant:
    """The grant of a tool that concerns no single dealer, to one caller."""

    caller: Caller
    account: AccountApi
    approvals: ApprovalReader
    cursors: Seal
    left_out: Counter[LeftOut]
    """The values that could not be read of the answers. It grows while the call reads them."""


@dataclass(frozen=True)
class Grant:
    """The grant of one tool at one dealer, to one caller. Its clients and cursors work only for that dealer."""

    caller: Caller
    roadster: DealerApi
    cursors: Seal
    uploads: Uploads
    download_link: DownloadLink
    ownership: Ownership
    roadie: DeliveriesApi | None
    mykaarma: CustomerRecordsApi | None
    events: EventsInbox
    customers: CustomerIndex
    vehicles: VehicleMirror
    order: Callable[[str], Awaitable[OrderApi]]
    """Returns the client of one order. Raises AccessRefused unless the order is known to be the dealer's."""
    left_out: Counter[LeftOut]
    """The values that could not be read of the answers. It grows while the call reads them."""
    remember_vins: Callable[[Callable[[], AsyncIterator[str]]], Awaitable[list[str]]]
    """Returns the VINs of the dealer's feed that its argument yields, or those of an earlier call."""
    disclosure_wording: tuple[str, ...] = ()
    """The dealer's own sentences beside a payment, which are repeated word for word."""
    notices: list[str] = field(default_factory=list)
    """Sentences that the caller reads beside the answer. The call adds to them while it runs."""

    @property
    def deliveries(self) -> DeliveriesApi:
        """Raises NotConfigured."""
        if self.roadie is None:
            raise NotConfigured("deliveries", "roadie")
        return self.roadie

    @property
    def customer_records(self) -> CustomerRecordsApi:
        """Raises NotConfigured."""
        if self.mykaarma is None:
            raise NotConfigured("crm", "mykaarma")
        return self.mykaarma


@dataclass(frozen=True)
class PendingWrite:
    """A write that has passed the gate and is not sent yet. Only exactly this `request` may be sent."""

    caller: Caller
    tool: Tool
    dealer: str
    verdict: Verdict
    request: Request


class WritePreview(Exception):
    """Ends a write at level "preview". Nothing was sent, and `write` holds the request that would have been."""

    def __init__(self, write: PendingWrite) -> None:
        super().__init__(write.tool.name)
        self.write = write


class CallOversight(Protocol):
    """The server's part in one call. An error raised by `confirm` or `before_send` means that nothing is sent."""

    def caller(self) -> Caller:
        """Returns the caller as in the newest configuration, because rights may be withdrawn while a call waits."""

    async def confirm(self, write: PendingWrite) -> None:
        """Returns once a person has confirmed exactly this write."""

    async def before_send(self, write: PendingWrite) -> None:
        """Runs last before the request is sent, and records the write in the audit."""

    def on_answer(self, answer: Answer) -> None:
        """Runs at each answer of the upstream."""


@dataclass(frozen=True)
class Services:
    """The upstream APIs. Roadie and myKaarma are there only where they are configured."""

    roadster: RoadsterApi
    roadie: RoadieApi | None = None
    mykaarma: MyKaarmaApi | None = None


class Gate:
    """Holds the upstream clients and hands them out only in grants.

    `dealer` looks one dealer up in the newest configuration and returns None where it is not there. `own_keys` returns
    the keys of the dealers that have an account of their own. `ownership` opens the records of what belongs to a
    dealer. `events` and `customers` open a dealer's events and known customers, masked for a reader. `vehicles` opens
    the mirror of a dealer's feed for a reader. It gets a function that makes clients of that feed, because a mirror
    that is refreshed counts by itself what it cannot read. `uploads` opens the ways in which a caller hands over files,
    and `download_links` those in which a person gets one. `approvals` opens those of a caller's writes.
    `disclosure_wording` returns a dealer's own sentences beside a payment.
    """

    def __init__(
        self,
        services: Services,
        dealer: Callable[[str], DealerRef | None],
        own_keys: Callable[[], Mapping[str, str]],
        *,
        ownership: Callable[[str], Ownership],
        events: Callable[[str, Reader, OnLeftOut], EventsInbox],
        customers: Callable[[str, Reader, OnLeftOut], CustomerIndex],
        vehicles: Callable[[str, Reader, Callable[[OnLeftOut], DealerApi], OnLeftOut], VehicleMirror],
        approvals: Callable[[Caller], ApprovalReader],
        cursor_key: bytes,
        disclosure_wording: Callable[[str], Sequence[str]] = lambda _dealer: (),
        uploads: Callable[[Caller, str], Uploads] = lambda _caller, _dealer: Uploads(),
        download_links: Callable[[Caller, str], DownloadLink] = lambda _caller, _dealer: no_download,
    ) -> None:
        self._services = services
        self._dealer = dealer
        self._own_keys = own_keys
        self._ownership = ownership
        self._events = events
        self._customers = customers
        self._vehicles = vehicles
        self._approvals = approvals
        self._cursor_key = cursor_key
        self._uploads = uploads
        self._download_links = download_links
        self._disclosure_wording = disclosure_wording
        self._names: dict[str, str] = {}
        self._feeds = RememberedFeeds()

    def preparations(self) -> Iterator[Callable[[], object]]:
        """Yields the steps by which the clients get ready. The first calls take those that were left out."""
        for api in (self._services.roadster, self._services.roadie, self._services.mykaarma):
            if api is not None:
                yield from api.preparations()

    def require(self, caller: Caller, tool: Tool) -> None:
        """Raises AccessRefused where the caller may not use the tool at any dealer."""
        _require(verdict(caller, tool))

    def admit_to_account(self, caller: Caller, tool: Tool) -> AccountGrant:
        """Makes the grant of a tool without a dealer. Raises AccessRefused."""
        _require(verdict(caller, tool))
        left_out = Counter[LeftOut]()
        account = self._account(caller, caller.dealer_set, left_out.update)
        return AccountGrant(
            caller, account, self._approvals(caller), Seal.bound_to(self._cursor_key, caller.principal), left_out
        )

    def admit(self, caller: Caller, tool: Tool, dealer: str | None, oversight: CallOversight) -> Grant:
        """Makes a grant at `dealer`. None means the caller's only dealer. Raises AccessRefused, InvalidArguments."""
        current = verdict(caller, tool)
        _require(current)
        dealer = _choose_dealer(caller, dealer)
        ref = self._look_up(dealer)
        ownership = self._ownership(dealer)
        left_out = Counter[LeftOut]()
        policy = ChannelPolicy(
            _WriteGuard(caller, tool, dealer, current, oversight, lambda request: self._require_own(dealer, request)),
            oversight.on_answer,
            lambda: oversight.caller().reader,
            Origin(caller.principal, dealer),
            left_out.update,
        )
        uploads = self._uploads(caller, dealer)
        if current.level < Access.CONFIRM:  # nobody should hand over a file that is never sent
            uploads = replace(uploads, waiting=None)
        roadie, mykaarma = self._services.roadie, self._services.mykaarma

        async def order(order_id: str) -> OrderApi:
            await self._require_order(dealer, order_id)
            return self._services.roadster.for_order(ref, order_id, policy)

        return Grant(
            caller,
            self._services.roadster.for_dealer(ref, policy),
            Seal.bound_to(self._cursor_key, caller.principal, dealer),
            uploads,
            self._download_links(caller, dealer),
            ownership,
            roadie.for_dealer(ownership, policy) if roadie else None,
            mykaarma.for_dealer(ref, policy) if mykaarma else None,
            self._events(dealer, caller.reader, left_out.update),
            self._customers(dealer, caller.reader, left_out.update),
            self._vehicles(dealer, caller.reader, partial(self._feed, ref, caller), left_out.update),
            order,
            left_out,
            partial(self._feeds.vins, dealer),
            tuple(self._disclosure_wording(dealer)),
        )

    def _feed(self, ref: DealerRef, caller: Caller, on_left_out: OnLeftOut) -> DealerApi:
        """Returns a client that only reads. It may be used after the call, by a refresh that the call began.

        It shows the dealer's figures, because the mirror is for every caller. They are dropped as the mirror is read.
        """

        async def refuse(request: Request) -> None:
            raise RuntimeError(f"{request.operation.name} is no read of the feed")

        policy = ChannelPolicy(
            refuse,
            reader=lambda: Reader(dealer_figures=True),
            origin=Origin(caller.principal, ref.dpid),
            on_left_out=on_left_out,
        )
        return self._services.roadster.for_dealer(ref, policy)

    def ownership(self, caller: Caller, tool: Tool, dealer: str | None) -> Ownership:
        """Returns the records of what belongs to the dealer, without a way to an upstream. Raises as `admit` does."""
        _require(verdict(caller, tool))
        return self._ownership(_choose_dealer(caller, dealer))

    def uploads(self, caller: Caller, tool: Tool, dealer: str) -> Uploads:
        """Returns the ways in which the caller hands over files, and none to an upstream. Raises as `admit` does."""
        _require(verdict(caller, tool))
        return self._uploads(caller, _choose_dealer(caller, dealer))

    async def dealer_name(self, caller: Caller, dealer: str) -> str:
        """Returns the dealer's name and dpid for a question to a person, only the dpid where the name is not plain."""
        if dealer not in self._names:
            try:
                dealers = (await self._account(caller, [dealer]).list_dealers()).dealers
            except ClientError:
                dealers = []
            self._names |= {
                row.dpid: f"{row.name} ({row.dpid})" if _DEALER_NAME.fullmatch(row.name or "") else row.dpid
                for row in dealers
            }
        return self._names.get(dealer, dealer)

    def _account(
        self, caller: Caller, dealers: Collection[str], on_left_out: OnLeftOut = ignore_left_out
    ) -> AccountApi:
        origin = Origin(caller.principal)
        return self._services.roadster.for_account(dealers, origin, on_left_out, self._own_keys())

    def _look_up(self, dealer: str) -> DealerRef:
        """Returns the dealer as configured now. Raises AccessRefused where the configuration has dropped it."""
        ref = self._dealer(dealer)
        if ref is None:
            raise AccessRefused(f"dealers.{dealer} is not in the configuration any more", setting=f"dealers.{dealer}")
        return ref

    async def _require_own(self, dealer: str, request: Request) -> None:
        """Raises AccessRefused or NotFound where the dealer, or its order or delivery, is not there any more."""
        self._look_up(dealer)
        order, delivery = request.path.get("order_id"), request.path.get("shipment_id")
        if order is not None:
            await self._require_order(dealer, order)
        if delivery is not None and not await self._ownership(dealer).has("delivery", delivery):
            name = request.operation.name
            raise NotFound(name, "not found")

    async def _require_order(self, dealer: str, order_id: str) -> None:
        orders = self._look_up(dealer).orders
        if orders == "any" or order_id in orders or await self._ownership(dealer).has("order", order_id):
            return
        setting = f"dealers.{dealer}.orders"
        raise AccessRefused(
            f"{setting} does not list this order, so nothing says that it is this dealer's", setting=setting
        )


@dataclass(frozen=True)
class _WriteGuard:
    """Runs before every write of a granted client.

    At level "preview" it stops the write and shows it. At "confirm" it asks a person first. At "write" it lets it pass.
    """

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
        """Repeats the gate's decisions: the settings may have changed while a person decided."""
        caller = self.oversight.caller()
        current = verdict(caller, self.tool)
        _require(current)
        if current.level < self.verdict.level:
            raise AccessRefused(f"by now {current.description}", setting=current.setting)
        _require(dealer_verdict(caller, self.dealer))


def _require(current: Verdict) -> None:
    if not current.is_allowed:
        raise AccessRefused(current.reason, setting=current.setting, mend=current.mend)


def _choose_dealer(caller: Caller, dealer: str | None) -> str:
    """Returns `dealer`, or the caller's only one for None. Raises AccessRefused and InvalidArguments."""
    if dealer is None:
        if len(caller.dealers) != 1:
            raise InvalidArguments({"dealer": f"must be given: {dealer_choices(caller)}"})
        (dealer,) = caller.dealers
    _require(dealer_verdict(caller, dealer))
    return dealer
