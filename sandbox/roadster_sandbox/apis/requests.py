"""What requests must hold, read as leniently as the reference's samples need, and the documented refusals.

Not the client's models: those send strictly what is documented, while the samples have a zip code as an int,
and what the emulator demands must not change with what the client happens to send.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from roadster_client.models.values import UUID_PATTERN, VIN_PATTERN
from roadster_sandbox.answers import Refused
from roadster_sandbox.world.dealers import SandboxDealer, dealer_by

Vin = Annotated[str, StringConstraints(pattern=f"^{VIN_PATTERN}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Dollars = Annotated[float, Field(ge=0, le=10_000_000)]
Year = Annotated[int, Field(ge=1900, le=2100)]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
Miles = Annotated[int, Field(ge=0, le=1_000_000)]
DocumentId = Annotated[int, Field(ge=1)]


class RequestModel(BaseModel):
    model_config = ConfigDict(
        extra="ignore", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False, defer_build=True
    )


class RequestedDealer(RequestModel):
    """Exactly one of the two."""

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
    """At least one of the two."""

    id: Text | None = None
    email: Email | None = None


class CustomerUpdateBody(RequestModel):
    dealer: RequestedDealer
    agent: RequestedAgent | None = None


class CustomerUpdateQuery(RequestModel):
    id: Annotated[int, Field(ge=1)]


class TradeOfferBody(RequestModel):
    """Names its dealer by the bare dpid."""

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
    credit_score: Annotated[int, Field(ge=300, le=850)] = 750
    incentives: tuple[str, ...] = ()
    zip_code: str | None = None


class VehicleToQuote(RequestModel):
    vin: Vin


class RequestedTerms(RequestModel):
    """`term` in months and `customer_cash` belong to the deal that `deal_type` names, `annual_mileage` to the lease."""

    deal_type: Literal["cash", "finance", "lease"] = "finance"
    customer_cash: Dollars = 0
    term: Annotated[int, Field(ge=12, le=96)] | None = None
    annual_mileage: Annotated[int, Field(ge=1000, le=50_000)] = 12_000
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


class DocumentIdQuery(RequestModel):
    doc_id: DocumentId


class DocumentDeletionBody(RequestModel):
    dealer: RequestedDealer
    doc_ids: Annotated[tuple[DocumentId, ...], Field(min_length=1)]


class TemplateQuery(RequestModel):
    template_id: DocumentId


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
    """`file_stream` is a PDF in base64 behind the header of a data URL."""

    form_data: RequestedTemplate
    file_stream: Annotated[str, StringConstraints(min_length=1)]


class FormsBody(RequestModel):
    title: Text
    template_ids: Annotated[tuple[DocumentId, ...], Field(min_length=1)]


class PlansQuery(RequestModel):
    """`deal_rate` is the APR in percent, `deal_term` in months."""

    vin: Vin
    deal_type: Literal["cash", "finance", "lease"]
    deal_rate: Annotated[float, Field(ge=0, le=100)] | None = None
    deal_term: Annotated[int, Field(ge=1, le=120)] | None = None
    amount_financed: Annotated[int, Field(ge=0, le=10_000_000)] | None = None


class InventoryQuery(RequestModel):
    size: Annotated[int, Field(ge=1, le=500)] = 100
    from_vin: Text | None = None
    updated_since: Annotated[int, Field(ge=0)] | None = None
    in_stock: Literal["any"] | None = None


Uuid = Annotated[str, StringConstraints(pattern=f"^{UUID_PATTERN}$")]


class RecordBody(RequestModel):
    """Of myKaarma."""

    requester_user_uuid: Annotated[Uuid, Field(alias="requesterUserUUID")]
    dealer_uuids: Annotated[tuple[Uuid, ...], Field(alias="dealerUUIDList", min_length=1)]


class RecordPath(RequestModel):
    customer_uuid: Uuid


class RecordQuery(RequestModel):
    """Nothing says what it does: here, nothing."""

    exclude_order_type: Annotated[bool | None, Field(alias="excludeOrderType")] = None


ModelT = TypeVar("ModelT", bound=RequestModel)


def parse_request(model: type[ModelT], given: Any) -> ModelT:
    """`given` as `model`. Raises Refused(400) with the first thing that is wrong: "Missing email", "Invalid vin"."""
    try:
        return TypeAdapter(model).validate_python(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        names = [step for step in first["loc"] if isinstance(step, str)]
        name = names[-1].replace("_", " ") if names else "body"
        missing = first["type"] == "missing" or first["input"] in ("", None)
        raise Refused(400, f"{'Missing' if missing else 'Invalid'} {name}") from None


def find_dealer(ref: RequestedDealer) -> SandboxDealer:
    """The dealer of a request. Raises Refused: 400 unless exactly one id is given, 404 where it is unknown."""
    if ref.dpid is None and ref.partner_id is None:
        raise Refused(400, "Missing dealer")
    if ref.dpid is not None and ref.partner_id is not None:
        raise Refused(400, "Invalid dealer")
    dealer = dealer_by(dpid=ref.dpid, partner_id=ref.partner_id)
    if dealer is None:
        raise Refused(404)
    return dealer
