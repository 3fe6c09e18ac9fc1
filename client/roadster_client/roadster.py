"""Roadster's operations, bound to one dealer. No method takes a dealer, so nobody can pass the wrong one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

from anyio import CapacityLimiter, create_task_group
from pydantic import TypeAdapter

from . import errors
from .answered_vehicle import check_vin
from .channel import Api, Channel, ChannelPolicy, IsOwn, read
from .dealer_ref import DealerRef
from .express_link import customer_link
from .identity import comparable_id, dealer_ids, read_id
from .leniency import LeftOut, OnLeftOut, ignore_left_out
from .models.customers import CustomerContact, CustomerCreated, CustomerUpdate, CustomerUpdated, NewCustomer
from .models.dealers import Dealer, DealerDetails
from .models.documents import (
    Document,
    DocumentContents,
    DocumentContentsQuery,
    DocumentDeletion,
    DocumentQuery,
    DocumentsDeleted,
    DocumentUploaded,
    NewDocument,
)
from .models.forms import FormsCreated, NewForms
from .models.links import LinkCreated, LinkRequest
from .models.parts import Sent
from .models.payments import DealType, PaymentRequest, PaymentTerms
from .models.plans import PlanCatalogue
from .models.quotes import Quote
from .models.templates import NewTemplate, Template, TemplateReceipt
from .models.trades import TradeValuation, TradeValued
from .models.values import decode_file
from .models.vehicles import InventoryPage, InventoryRows, InventoryVehicle, VehicleDetails
from .quoted_deals import QuotedDeals, combine_deals, only_deal
from .upstream.exchange import About, Origin, Request, about_nothing

_AnswerT = TypeVar("_AnswerT")

_DAY = 24 * 60 * 60
"""Seconds."""


@dataclass(frozen=True)
class RoadsterApi(Api):
    """The Roadster API. It makes clients that are bound to one dealer, one order, or an account's dealers."""

    random: Callable[[int], bytes] = os.urandom
    """Returns that many bytes, for the encryption of customers' links."""

    def for_dealer(self, dealer: DealerRef, policy: ChannelPolicy) -> DealerApi:
        return DealerApi(Channel(self.with_key(dealer.api_key), policy), dealer, self.random)

    def for_order(self, dealer: DealerRef, order_id: str, policy: ChannelPolicy) -> OrderApi:
        """Returns a client for an order. Check first that it is the dealer's, because the upstream does not."""
        return OrderApi(Channel(self.with_key(dealer.api_key), policy), dealer, order_id)

    def for_account(
        self,
        dpids: Collection[str],
        origin: Origin,
        on_left_out: OnLeftOut = ignore_left_out,
        own_keys: Mapping[str, str] = MappingProxyType({}),
    ) -> AccountApi:
        """Returns a client for some dealers. `own_keys` has the keys of those with an account of their own, by dpid."""
        return AccountApi(self, frozenset(dpids), origin, on_left_out, own_keys)

    def with_key(self, key: str | None) -> RoadsterApi:
        """Returns the API with a dealer's own key, or as it is for None."""
        return self if key is None else replace(self, upstream=self.upstream.with_key(key))


@dataclass(frozen=True)
class ListedDealers:
    """The dealers of one or more accounts."""

    dealers: list[Dealer]
    errors: Mapping[str, errors.ClientError]
    """The errors of accounts that did not answer, by the dpids that are therefore missing."""


class AccountApi:
    """Operations of no single dealer, limited to the bound dealers."""

    def __init__(
        self,
        api: RoadsterApi,
        dpids: frozenset[str],
        origin: Origin,
        on_left_out: OnLeftOut,
        own_keys: Mapping[str, str],
    ) -> None:
        self._api = api
        self._dpids = dpids
        self._origin = origin
        self._on_left_out = on_left_out
        self._own_keys = own_keys

    async def list_dealers(self) -> ListedDealers:
        """GET /dealers, once for each key: its dealers, without those that are not bound. Raises if all of them fail.

        A row without a dpid counts as left out where a bound dealer is missing, which it may be.
        """
        dpids = self._by_key()
        results: dict[str | None, list[Dealer] | errors.ClientError] = {key: [] for key in dpids}
        places = CapacityLimiter(_KEYS_AT_ONCE)

        async def ask(key: str | None) -> None:
            async with places:
                try:
                    results[key] = await self._list(key, dpids[key])
                except errors.ClientError as error:
                    results[key] = error

        async with create_task_group() as tasks:
            for key in results:
                tasks.start_soon(ask, key)
        failures = {key: result for key, result in results.items() if isinstance(result, errors.ClientError)}
        if len(failures) == len(results):
            raise next(iter(failures.values()))
        return ListedDealers(
            [dealer for result in results.values() if isinstance(result, list) for dealer in result],
            {dpid: error for key, error in failures.items() for dpid in sorted(dpids[key])},
        )

    def _by_key(self) -> dict[str | None, frozenset[str]]:
        """Returns the bound dealers by their own key. None is the key of the account that most dealers share."""
        with_own = self._own_keys.keys() & self._dpids
        by_key: dict[str | None, set[str]] = {}
        for dpid in sorted(with_own):
            by_key.setdefault(self._own_keys[dpid], set()).add(dpid)
        shared = self._dpids - with_own
        of_account = {None: shared} if shared or not by_key else {}
        return of_account | {key: frozenset(dpids) for key, dpids in by_key.items()}

    async def _list(self, key: str | None, dpids: frozenset[str]) -> list[Dealer]:
        # Another account has a breaker of its own: that of one of its dealers.
        first = min(dpids) if key is not None else None
        origin = replace(self._origin, dealer=first)
        request = Request(self._api.operations["list_dealers"], account=first)
        answer = await self._api.with_key(key).upstream.send(request, origin)
        # Chosen as received: without its invisible characters, another dealer's id may read like a bound one.
        own = _rows_of(dpids, answer.json) if isinstance(answer.json, list) else answer.json
        dealers: tuple[Dealer, ...] = read(replace(answer, json=own), on_left_out=self._on_left_out)
        return [*dealers]


_KEYS_AT_ONCE = 8
"""Requests of one list of dealers. A group may have hundreds of accounts."""


def _rows_of(bound: frozenset[str], rows: list[Any]) -> list[Any]:
    """Returns the rows of bound dealers, and those of no readable dealer without what they have in its place."""
    dpids = [read_id(row.get("dpid")) if isinstance(row, dict) else None for row in rows]
    is_complete = bound <= set(dpids)
    return [
        row | {"dpid": dpid} if isinstance(row, dict) else row
        for row, dpid in zip(rows, dpids, strict=True)
        if dpid in bound or (dpid is None and not is_complete)
    ]


@cache
def _vehicles() -> TypeAdapter[tuple[InventoryVehicle, ...]]:
    return TypeAdapter(tuple[InventoryVehicle, ...])


class DealerApi:
    """The operations of one dealer.

    Each method names the dealer in the form that its operation wants, and withholds an answer that names another one.
    It raises the errors of `roadster_client.errors`.
    """

    def __init__(self, channel: Channel, dealer: DealerRef, random: Callable[[int], bytes] = os.urandom) -> None:
        self._channel = channel
        self._dealer = dealer
        self._random = random

    @property
    def dpid(self) -> str:
        return self._dealer.dpid

    async def get_dealer(self) -> DealerDetails:
        """GET /dealers/{dpid}: the dealer with its fees and markups."""
        return await self._call("get_dealer", path={"dpid": self.dpid})

    async def list_inventory(
        self, *, size: int, from_vin: str | None = None, updated_since: int | None = None, in_stock_only: bool = True
    ) -> InventoryPage:
        """GET /vehicles: the next `size` vehicles after `from_vin`, sorted by VIN.

        `updated_since` is in epoch seconds.
        """
        query = self._inventory_query(size, from_vin, updated_since, in_stock_only)
        page: InventoryPage = await self._call("list_inventory", query=query)
        if from_vin is None and updated_since is None:
            self._report_contradiction(page)
        return page

    async def list_inventory_rows(
        self,
        *,
        size: int,
        from_vin: str | None = None,
        skip: int = 0,
        updated_since: int | None = None,
        in_stock_only: bool = True,
    ) -> InventoryRows:
        """GET /vehicles: as `list_inventory`, row by row.

        `skip` is the number of rows after `from_vin` to go past: those of an earlier page that could not be read.

        A page without rows says that there are no more, so it must be sound: it needs a total, and the first page may
        be empty only if that is 0. Any other raises MalformedAnswer.
        """
        operation = "list_inventory"
        query = self._inventory_query(size + skip, from_vin, updated_since, in_stock_only)
        answer = await self._channel.send(operation, query=query, dealer={"dealer": {"dpid": self.dpid}})
        page, rows, read_row = await self._channel.read_rows(answer, "vehicles", _vehicles(), _names_only(self._dealer))
        # The document does not say whether a page repeats `from_vin`. Rows up to it were there before.
        vins = [row.get("vin") if isinstance(row, dict) else None for row in rows]
        repeated = vins.index(from_vin) + 1 if from_vin is not None and from_vin in vins else 0
        is_first = from_vin is None and updated_since is None
        if is_first and page.total and not rows:
            raise answer.malformed_error("has an empty list, although its total is not 0")
        rows, vins = rows[repeated + skip :], vins[repeated + skip :]
        if not rows and page.total is None:
            raise answer.malformed_error("has neither vehicles nor a total")
        return InventoryRows(map(read_row, rows), vins, len(rows), page.total)

    async def honours_updated_since(self, now: int) -> bool:
        """Tells whether the feed honours `updated_since`: it then has no updates later than tomorrow.

        `now` is in epoch seconds. A feed that refuses the question does not honour it.
        """
        try:
            rows = await self.list_inventory_rows(size=1, updated_since=now + _DAY, in_stock_only=False)
        except errors.RequestRefused:
            return False
        return rows.count == 0

    def _report_contradiction(self, page: InventoryPage) -> None:
        """Counts the list of the first page as left out if it has no rows, although the total is not 0."""
        if page.total and not page.vehicles and "vehicles" in page.model_fields_set:
            self._channel.policy.on_left_out(Counter([LeftOut("list_inventory", "vehicles")]))

    def _inventory_query(
        self, size: int, from_vin: str | None, updated_since: int | None, in_stock_only: bool
    ) -> dict[str, str | int]:
        query: dict[str, str | int] = {"dpid": self.dpid, "size": size}
        if from_vin is not None:
            query["from_vin"] = from_vin
        if updated_since is not None:
            query["updated_since"] = updated_since
        if not in_stock_only:
            query["in_stock"] = "any"
        return query

    async def get_vehicle(self, vin: str) -> VehicleDetails:
        """GET /vehicles/{vin}: takes the dealer only by partner id."""
        query = {"dealer[partner_id]": self._partner_id("get_vehicle")}
        return await self._call("get_vehicle", path={"vin": vin}, query=query, vin=vin)

    async def quote_payments(self, request: PaymentRequest) -> Quote:
        """POST /payments: cash, finance and lease for one vehicle."""
        return await self._call("quote_payments", content=request, vin=request.vehicle.vin)

    async def quote_deals(self, request: PaymentRequest, deal_types: Collection[DealType]) -> QuotedDeals:
        """POST /payments for each deal at once, with the same terms. Raises the first error if all of them fail.

        The documents show terms for one deal only, so each deal is taken from the answer to its own request.
        """
        results: dict[DealType, Quote | errors.ClientError] = {}

        async def ask(deal_type: DealType) -> None:
            try:
                results[deal_type] = await self._quote_deal(request, deal_type)
            except errors.ClientError as error:
                results[deal_type] = error

        async with create_task_group() as tasks:
            for deal_type in deal_types:
                tasks.start_soon(ask, deal_type)
        return combine_deals({deal_type: results[deal_type] for deal_type in deal_types})

    async def _quote_deal(self, request: PaymentRequest, deal_type: DealType) -> Quote:
        terms = (request.payment or PaymentTerms()).model_copy(update={"deal_type": deal_type})
        content = request.model_copy(update={"payment": terms})
        answer = await self._channel.send("quote_payments", content=content, dealer={"dealer": {"dpid": self.dpid}})
        quote: Quote = await self._channel.read(
            answer, _names_only(self._dealer), lambda json: only_deal(json, deal_type)
        )
        check_vin(answer, request.vehicle.vin)
        return quote

    async def list_plans(
        self,
        vin: str,
        deal_type: DealType,
        *,
        deal_rate: float | None = None,
        deal_term: int | None = None,
        amount_financed: int | None = None,
    ) -> PlanCatalogue:
        """GET /plans: takes the dealer only by partner id. Finance and lease need all three terms.

        `deal_rate` is the APR in percent, `deal_term` in months, `amount_financed` in the currency's units.
        """
        query: dict[str, str | int | float] = {
            "dealer[partner_id]": self._partner_id("list_plans"),
            "vin": vin,
            "deal_type": deal_type,
        }
        terms = {"deal_rate": deal_rate, "deal_term": deal_term, "amount_financed": amount_financed}
        query |= {name: value for name, value in terms.items() if value is not None}
        return await self._call("list_plans", query=query)

    async def create_link(self, request: LinkRequest) -> LinkCreated:
        """POST /links: a link to a vehicle, or to the results for a make or model."""
        return await self._call("create_link", content=request)

    async def create_customer(self, request: NewCustomer) -> CustomerCreated:
        """POST /customers: creates the customer's account. `duplicate` is true where the email address has one."""
        return await self._call("create_customer", content=request)

    async def update_customer(self, customer_id: int, update: CustomerUpdate) -> CustomerUpdated:
        """PUT /customers?id=: assigns the customer's agent."""
        return await self._call("update_customer", query={"id": customer_id}, content=update)

    async def submit_trade_valuation(self, valuation: TradeValuation) -> TradeValued:
        """POST /create_tradein_offer: creates the customer's offer for that VIN, or updates it."""
        return await self._call("submit_trade_valuation", content=valuation, dealer={"dpid": self.dpid})

    async def list_documents(self, customer_id: int, query: DocumentQuery) -> tuple[Document, ...]:
        """GET /customers/{id}/documents: the documents in the customer's and the deal's binder."""
        return await self._call("list_documents", path={"customer_id": str(customer_id)}, content=query)

    async def upload_document(self, customer_id: int, document: NewDocument) -> DocumentUploaded:
        """POST /customers/{id}/documents: adds a document to the customer's or the deal's binder."""
        return await self._call("upload_document", path={"customer_id": str(customer_id)}, content=document)

    async def get_document(self, customer_id: int, document_id: int) -> bytes:
        """GET /customers/{id}/documents/content: the file itself."""
        operation = "get_document"
        document: DocumentContents = await self._call(
            operation,
            path={"customer_id": str(customer_id)},
            query={"doc_id": document_id},
            content=DocumentContentsQuery(),
        )
        return _decode(document.contents, operation)

    async def delete_documents(self, customer_id: int, deletion: DocumentDeletion) -> DocumentsDeleted:
        """DELETE /customers/{id}/documents: removes documents from the customer's and the deal's binder for good."""
        operation = "delete_documents"

        async def about() -> Mapping[str, Any]:
            documents = await DealerApi(self._channel.for_person(), self._dealer).list_documents(
                customer_id, DocumentQuery(doc_type="all")
            )
            summaries = {document.id: document.summary() for document in documents}
            if not summaries.keys() >= set(deletion.doc_ids):
                raise errors.NotFound(operation, "not all of these documents are there")
            return {"doc_ids": [summaries[id_] for id_ in deletion.doc_ids]}

        return await self._call(operation, path={"customer_id": str(customer_id)}, content=deletion, about=about)

    async def list_templates(self) -> tuple[Template, ...]:
        """GET /templates: all of the dealer's templates, also deleted ones."""
        return await self._call("list_templates", query={"dpid": self.dpid})

    async def get_template(self, template_id: str) -> Template:
        """GET /templates/details: one of the dealer's templates."""
        operation = "get_template"
        template: Template = await self._call(operation, query={"dpid": self.dpid, "template_id": template_id})
        if str(template.id) != template_id:
            raise errors.MalformedAnswer(operation, "the answer is another template")
        return template

    async def get_templates(self, template_ids: Sequence[str]) -> list[Template]:
        """Returns each as `get_template` does. The `place` of NotFound says which of them is missing."""
        templates = []
        for place, template_id in enumerate(template_ids):
            try:
                templates.append(await self.get_template(template_id))
            except errors.NotFound as error:
                error.place = place
                raise
        return templates

    async def get_template_file(self, template_id: str) -> bytes:
        """GET /templates/file: the PDF. The answer is a JSON string of base64."""
        operation = "get_template_file"
        contents: str = await self._call(operation, query={"dpid": self.dpid, "template_id": template_id})
        return _decode(contents, operation)

    async def create_template(self, template: NewTemplate) -> TemplateReceipt:
        """POST /templates. The reference names no dealer here, so the query names it, as for the other operations."""
        return await self._call("create_template", query={"dpid": self.dpid}, content=template, dealer={})

    def customer_link(self, vin: str, contact: CustomerContact) -> str:
        """Returns the encrypted link (`mem`) without sending a request. Raises NotConfigured."""
        host, key = self._dealer.express_host, self._dealer.link_key
        if host is None:
            raise errors.NotConfigured("build_deep_link", f"dealers.{self.dpid}.express_host")
        if key is None:
            raise errors.NotConfigured("build_deep_link", f"dealers.{self.dpid}.link_key")
        fields = {
            "email": contact.email,
            "fname": contact.first_name,
            "lname": contact.last_name,
            "phone": contact.phone,
            "custid": contact.partner_id,
        }
        return customer_link(
            host, vin, fields, key=key, key_encoding=self._dealer.link_key_encoding, random=self._random
        )

    async def _call(
        self,
        operation: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str | int | float] | None = None,
        content: Sent | None = None,
        dealer: Mapping[str, Any] | None = None,
        about: About = about_nothing,
        vin: str | None = None,
    ) -> _AnswerT:
        """Sends a request and returns its answer, in the operation's `answer_type`.

        `dealer` names the dealer in the body, by default as `{"dealer": {"dpid": …}}`. `vin` is the vehicle that the
        answer must be about.
        """
        dealer = {"dealer": {"dpid": self.dpid}} if dealer is None else dealer
        answer = await self._channel.send(
            operation, path=path, query=query, content=content, dealer=dealer, about=about
        )
        # Looked up by the operation's name, so mypy cannot check it. tests/client/test_operations.py does.
        value: _AnswerT = await self._channel.read(answer, _names_only(self._dealer))
        if vin is not None:
            check_vin(answer, vin)
        return value

    def _partner_id(self, operation: str) -> str:
        if self._dealer.partner_id is None:
            raise errors.NotConfigured(operation, f"dealers.{self.dpid}.partner_id")
        return self._dealer.partner_id


class OrderApi:
    """The operations of one order. The order binds the requests to its dealer, because none of them names one."""

    def __init__(self, channel: Channel, dealer: DealerRef, order_id: str) -> None:
        self._channel = channel
        self._dealer = dealer
        self._order_id = order_id

    async def create_forms(self, title: str, templates: Sequence[Template]) -> FormsCreated:
        """POST /orders/{order_id}/forms: creates a packet of forms for consumer and dealer to complete and sign.

        Takes templates instead of ids, so that a caller must have read them as the dealer's own.
        """
        forms = NewForms(
            title=title,
            template_ids=tuple(template.id for template in templates),
            template_names={template.id: template.name for template in templates if template.name},
        )

        async def about() -> Mapping[str, Any]:
            dealer = DealerApi(self._channel.for_person(), self._dealer)
            current = [await dealer.get_template(str(template.id)) for template in templates]
            if any(template.unusable_reason(self._order_id) for template in current):
                raise errors.NotFound("create_forms", "a template is gone")
            return {"template_ids": [template.summary() for template in current]}

        answer = await self._channel.send("create_forms", path={"order_id": self._order_id}, content=forms, about=about)
        forms_created: FormsCreated = await self._channel.read(answer, _names_only(self._dealer))
        return forms_created


def _decode(contents: str, operation: str) -> bytes:
    try:
        file = decode_file(contents)
    except ValueError:
        raise errors.MalformedAnswer(operation, "the contents are not base64") from None
    if not file:
        raise errors.MalformedAnswer(operation, "the file is empty")
    return file


def _names_only(dealer: DealerRef) -> IsOwn:
    """Returns a check that an object names no dealer except `dealer`.

    The documents name a dealer in `dpid`, or in `dealer` or `dealership`, which hold an id or an object with an id. Any
    id in there that is not the dealer's is refused, also of a dealer that nobody knows. Under other names, an id is
    refused where it is another dealer's of the configuration: nobody knows what else the upstream puts there.
    """
    own = {comparable_id(value) for value in (dealer.dpid, dealer.partner_id, dealer.mykaarma_dealer_uuid) if value}

    def is_own(node: Mapping[str, Any]) -> bool:
        dpid = node.get("dpid")
        if dpid is not None and read_id(dpid) != dealer.dpid:
            return False
        if dealer.partner_id is not None:
            for value in (node.get("dealer"), node.get("dealership")):
                partner_id = value.get("partner_id") if isinstance(value, dict) else value
                if partner_id is not None and read_id(partner_id) not in (dealer.dpid, dealer.partner_id):
                    return False
        return all(each in own or each not in dealer.configured_ids for each in dealer_ids(node))

    return is_own
