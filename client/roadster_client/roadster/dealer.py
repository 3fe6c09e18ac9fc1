"""The operations of one dealer."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, Unpack

from anyio import create_task_group
from pydantic import TypeAdapter

from roadster_client import errors
from roadster_client.channel import Channel
from roadster_client.dealer_ref import DealerRef
from roadster_client.leniency import LeftOut
from roadster_client.models.customers import (
    CustomerContact,
    CustomerCreated,
    CustomerUpdate,
    CustomerUpdated,
    NewCustomer,
)
from roadster_client.models.dealers import DealerDetails
from roadster_client.models.documents import (
    Document,
    DocumentContents,
    DocumentContentsQuery,
    DocumentDeletion,
    DocumentQuery,
    DocumentsDeleted,
    DocumentUploaded,
    NewDocument,
)
from roadster_client.models.links import LinkCreated, LinkRequest
from roadster_client.models.payments import DealType, PaymentRequest, PaymentTerms
from roadster_client.models.plans import PlanCatalogue
from roadster_client.models.quotes import Quote
from roadster_client.models.templates import NewTemplate, Template, TemplateReceipt
from roadster_client.models.trades import TradeValuation, TradeValued
from roadster_client.models.values import decode_file
from roadster_client.models.vehicles import InventoryPage, InventoryRows, InventoryVehicle, VehicleDetails
from roadster_client.upstream.exchange import RequestParts

from .answered_vehicle import check_vin
from .express_link import customer_link
from .own_dealer import names_only
from .quoted_deals import QuotedDeals, combine_deals, only_deal

_AnswerT = TypeVar("_AnswerT")

_DAY = 24 * 60 * 60
"""Seconds."""


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
        page, rows, read_row = await self._channel.read_rows(answer, "vehicles", _vehicles(), names_only(self._dealer))
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
            answer, names_only(self._dealer), lambda json: only_deal(json, deal_type)
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

    async def _call(self, operation: str, *, vin: str | None = None, **parts: Unpack[RequestParts]) -> _AnswerT:
        """Sends a request and returns its answer, in the operation's `answer_type`.

        A body names the dealer as `{"dealer": {"dpid": …}}` unless `parts` has another `dealer`. `vin` is the vehicle
        that the answer must be about.
        """
        parts.setdefault("dealer", {"dealer": {"dpid": self.dpid}})
        answer = await self._channel.send(operation, **parts)
        # Looked up by the operation's name, so mypy cannot check it. tests/client/test_operations.py does.
        value: _AnswerT = await self._channel.read(answer, names_only(self._dealer))
        if vin is not None:
            check_vin(answer, vin)
        return value

    def _partner_id(self, operation: str) -> str:
        if self._dealer.partner_id is None:
            raise errors.NotConfigured(operation, f"dealers.{self.dpid}.partner_id")
        return self._dealer.partner_id


def _decode(contents: str, operation: str) -> bytes:
    try:
        file = decode_file(contents)
    except ValueError:
        raise errors.MalformedAnswer(operation, "the contents are not base64") from None
    if not file:
        raise errors.MalformedAnswer(operation, "the file is empty")
    return file
