"""The models of requests to Roadster and myKaarma, and the documented refusals.

These are not the client's models. The client sends strictly what is documented, while the reference's samples need a
lenient reader, for instance for a zip code that is an int. The emulator must not start to accept a mistake of the
client because both share a model.

Bodies are named `…Body` and query parameters `…Query`. The OpenAPI description is derived from both.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from roadster_client.models.values import UUID_PATTERN, VIN_PATTERN
from roadster_sandbox.answers import Refused
from roadster_sandbox.world.dealers import SandboxDealer, find_dealer

Vin = Annotated[str, StringConstraints(pattern=f"^{VIN_PATTERN}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Dollars = Annotated[float, Field(ge=0, le=10_000_000)]
Year = Annotated[int, Field(ge=1900, le=2100)]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
Miles = Annotated[int, Field(ge=0, le=1_000_000)]
DocumentId = Annotated[int, Field(ge=1)]
Uuid = Annotated[str, StringConstraints(pattern=f"^{UUID_PATTERN}$")]


class RequestModel(BaseModel):
    """A part of a request. It ignores unknown fields, and takes a number where a string is documented."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False, defer_build=True
    )


class RequestedDealer(RequestModel):
    """The dealer of a request. Exactly one of the two ids must be given: `resolve_dealer` checks that."""

    dpid: Text | None = None
    partner_id: Text | None = None


class RequestedPlan(RequestModel):
    id: int
    code: str | None = None
    tier: str | None = None


class RequestedVehicle(RequestModel):
    vin: Vin | None = None
    make: Text | None = None
    model: Text | None = None
    trim: Text | None = None
    year: Year | None = None


class UtmTags(RequestModel):
    """The documented `analytics` of a link."""

    utm_source: Text | None = None
    utm_medium: Text | None = None
    utm_campaign: Text | None = None


class LinkBody(RequestModel):
    dealer: RequestedDealer
    vehicle: RequestedVehicle = RequestedVehicle()
    analytics: UtmTags = UtmTags()


class RequestedCustomer(RequestModel):
    first_name: Text
    last_name: Text
    email: Email
    phone: Text | None = None
    partner_id: Text | None = None


class PreferredPayment(RequestModel):
    deal_type: Literal["lease", "finance"] | None = None
    lease_down: Dollars | None = None
    lease_months: Annotated[int, Field(gt=0, le=120)] | None = None
    lease_miles: Annotated[int, Field(gt=0, le=100_000)] | None = None
    finance_down: Dollars | None = None
    finance_months: Annotated[int, Field(gt=0, le=120)] | None = None


class RequestedAccessory(RequestModel):
    code: Text


class CustomerBody(RequestModel):
    dealer: RequestedDealer
    customer: RequestedCustomer
    vehicle: RequestedVehicle = RequestedVehicle()
    payment: PreferredPayment | None = None
    plans: tuple[RequestedPlan, ...] = ()
    accessories: tuple[RequestedAccessory, ...] = ()
    analytics: UtmTags = UtmTags()
    checkout: bool = False


class RequestedAgent(RequestModel):
    """The agent of a customer, by at least one of the two ids."""

    id: Text | None = None
    email: Email | None = None


class CustomerUpdateBody(RequestModel):
    dealer: RequestedDealer
    agent: RequestedAgent | None = None


class TradeOfferBody(RequestModel):
    """A trade-in offer. It names its dealer by a dpid at the top, without a `dealer` object."""

    dpid: Text
    email: Email
    vin: Vin
    value: Annotated[int, Field(ge=0, le=10_000_000)]
    year: Year | None = None
    make: Text | None = None
    model: Text | None = None
    trim: Text | None = None
    mileage: Miles | None = None


class Shopper(RequestModel):
    """The customer of a quote. The documents give no bounds: those here are as wide as the tools'."""

    credit_score: Annotated[int, Field(ge=300, le=900)] = 750
    incentives: tuple[str, ...] = ()
    zip_code: str | None = None


class VehicleToQuote(RequestModel):
    vin: Vin


class RequestedTerms(RequestModel):
    """The terms of a quote. `term` in months and `customer_cash` are for the deal that `deal_type` names.

    `annual_mileage` is for the lease, under every `deal_type`.
    """

    deal_type: Literal["cash", "finance", "lease"] = "finance"
    customer_cash: Dollars = 0
    term: Annotated[int, Field(ge=12, le=96)] | None = None
    annual_mileage: Annotated[int, Field(ge=1, le=100_000)] = 12_000
    no_taxes_or_fees: bool = False


class RequestedTradeIn(RequestModel):
    value: Dollars
    ownership: Literal["owned", "financed", "leased"] | None = None
    payoff: Dollars = 0
    mileage: Miles | None = None
    is_offer: bool | None = None


class QuoteBody(RequestModel):
    dealer: RequestedDealer
    customer: Shopper
    vehicle: VehicleToQuote
    payment: RequestedTerms = RequestedTerms()
    trade_in: RequestedTradeIn | None = None
    plans: tuple[RequestedPlan, ...] = ()


class DocumentUploadBody(RequestModel):
    dealer: RequestedDealer
    document_name: Text
    document_type: Literal["license", "license_back", "insurance", "income", "residency", "other", "deal"]
    file_name: Annotated[
        str, StringConstraints(pattern=r"^[^/\\\x00]{1,200}\.([jJ][pP][eE]?[gG]|[pP][nN][gG]|[pP][dD][fF])$")
    ]
    contents: Annotated[str, StringConstraints(min_length=1)]
    relationship: Literal["self", "co_app"] | None = None
    co_app_email_id: str | None = None


class DocumentListBody(RequestModel):
    dealer: RequestedDealer
    doc_type: Literal["user_docs", "deal_docs", "all"]


class DocumentContentsBody(RequestModel):
    dealer: RequestedDealer


class DocumentDeletionBody(RequestModel):
    dealer: RequestedDealer
    doc_ids: Annotated[tuple[DocumentId, ...], Field(min_length=1)]


class RequestedField(RequestModel):
    x: float
    y: float
    name: Text
    type: Text
    width: float | None = None
    height: float | None = None
    signee: Text | None = None
    fontSize: float | None = None  # noqa: N815
    formLabel: Text | None = None  # noqa: N815
    agentFilledRequired: bool | None = None  # noqa: N815


class RequestedPage(RequestModel):
    fields: tuple[RequestedField, ...]


class RequestedDefinition(RequestModel):
    pages: tuple[RequestedPage, ...]


class RequestedTemplate(RequestModel):
    name: Text
    file_name: Annotated[str, StringConstraints(pattern=r"^[^/\\\x00]{1,200}\.[pP][dD][fF]$")]
    description: Text | None = None
    form_definition: RequestedDefinition


class TemplateBody(RequestModel):
    """A new template. `file_stream` is a data URL: its header, and then a PDF in base64."""

    form_data: RequestedTemplate
    file_stream: Annotated[str, StringConstraints(min_length=1)]


class FormsBody(RequestModel):
    title: Text
    template_ids: Annotated[tuple[DocumentId, ...], Field(min_length=1)]


class RecordBody(RequestModel):
    """A request for a customer record at myKaarma."""

    requester_user_uuid: Annotated[Uuid, Field(alias="requesterUserUUID")]
    dealer_uuids: Annotated[tuple[Uuid, ...], Field(alias="dealerUUIDList", min_length=1)]


class DpidQuery(RequestModel):
    """The dealer of a request without a body. The title is the field's name in a refusal."""

    dpid: Annotated[str, Field(min_length=1, title="dealer")]

    @property
    def dealer(self) -> RequestedDealer:
        """Raises Refused(400) for a dpid that is too long."""
        return parse_request(RequestedDealer, {"dpid": self.dpid})


class PartnerIdQuery(RequestModel):
    """The same, for the operations that take the partner id instead."""

    partner_id: Annotated[str, Field(alias="dealer[partner_id]", min_length=1, title="dealer")]

    @property
    def dealer(self) -> RequestedDealer:
        """Raises Refused(400) for a partner id that is too long."""
        return parse_request(RequestedDealer, {"partner_id": self.partner_id})


class InventoryQuery(RequestModel):
    size: Annotated[int, Field(ge=1, le=500)] = 100
    from_vin: Text | None = None
    updated_since: Annotated[int, Field(ge=0, description="epoch seconds")] | None = None
    in_stock: Literal["any"] | None = None


class PlansQuery(RequestModel):
    vin: Vin
    deal_type: Literal["cash", "finance", "lease"]
    deal_rate: Annotated[float, Field(ge=0, le=100, description="the APR in percent")] | None = None
    deal_term: Annotated[int, Field(ge=1, le=120, description="months")] | None = None
    amount_financed: Annotated[int, Field(ge=0, le=10_000_000)] | None = None


class CustomerIdQuery(RequestModel):
    id: Annotated[int, Field(ge=1)]


class DocumentIdQuery(RequestModel):
    doc_id: DocumentId


class TemplateIdQuery(RequestModel):
    template_id: DocumentId


class RecordQuery(RequestModel):
    """The reference does not say what this parameter does, so here it does nothing."""

    exclude_order_type: Annotated[bool | None, Field(alias="excludeOrderType")] = None


class RecordPath(RequestModel):
    customer_uuid: Uuid


ModelT = TypeVar("ModelT", bound=RequestModel)


def parse_request(model: type[ModelT], value: Any) -> ModelT:
    """Returns `value` as `model`.

    Raises Refused(400) with the first mistake, for instance "Missing email" or "Invalid vin".
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        missing = first["type"] == "missing" or first["input"] in ("", None)
        raise Refused(400, f"{'Missing' if missing else 'Invalid'} {_spoken_name(model, first['loc'])}") from None


def _spoken_name(model: type[RequestModel], location: tuple[str | int, ...]) -> str:
    """Returns the title of a field that has one, or the name of the innermost field in words."""
    names = [step for step in location if isinstance(step, str)]
    if not names:
        return "body"
    titles = {field.alias or name: field.title for name, field in model.model_fields.items()}
    return titles.get(names[-1]) or names[-1].replace("_", " ")


def resolve_dealer(ids: RequestedDealer) -> SandboxDealer:
    """Returns the dealer of a request.

    Raises Refused: 400 unless the request names exactly one id, 404 for an unknown dealer.
    """
    if ids.dpid is None and ids.partner_id is None:
        raise Refused(400, "Missing dealer")
    if ids.dpid is not None and ids.partner_id is not None:
        raise Refused(400, "Invalid dealer")
    dealer = find_dealer(dpid=ids.dpid, partner_id=ids.partner_id)
    if dealer is None:
        raise Refused(404)
    return dealer
