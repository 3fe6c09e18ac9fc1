"""The models of requests to Roadie, and its documented refusals: a list of codes with the parameter of each."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from roadster_client.models.deliveries import parse_time
from roadster_sandbox.answers import Refused

from .requests import RequestModel

Code = Literal[1001, 1002, 1003, 1004, 1005, 1006]

_MESSAGES: dict[Code, str] = {
    1001: "can't be blank.",
    1002: "is invalid.",
    1003: "violates system rules.",
    1004: "cannot be found.",
    1005: "has no valid route.",
    1006: "not found.",
}


class ShipmentRefused(Refused):
    """Roadie's error answer, with a code and a parameter for each mistake.

    Roadie does not document the status for the code 1006. The sandbox answers 404.
    """

    def __init__(self, *errors: tuple[Code, str]) -> None:
        super().__init__(404 if errors[0][0] == 1006 else 400)  # noqa: PLR2004
        self.errors = errors

    @property
    def body(self) -> Any:
        return {
            "errors": [
                {"code": code, "parameter": parameter, "message": f"{_to_words(parameter)} {_MESSAGES[code]}"}
                for code, parameter in self.errors
            ]
        }


def _to_words(parameter: str) -> str:
    return parameter.replace("_", " ").replace(".", " ").capitalize()


def _check_time(text: str) -> str:
    parse_time(text)
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Measure = Annotated[float, Field(gt=0, le=10_000)]
Time = Annotated[str, AfterValidator(_check_time)]
"""A time with an offset, kept as the caller wrote it."""


class RequestedItem(RequestModel):
    description: Text
    reference_id: Reference | None = None
    length: Measure
    width: Measure
    height: Measure
    weight: Measure
    value: Annotated[float, Field(gt=0, le=10_000_000)]
    quantity: Annotated[int, Field(ge=1, le=1000)]


class RequestedAddress(RequestModel):
    name: Text | None = None
    street1: Text
    street2: Text | None = None
    city: Text
    state: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    zip: Annotated[str, StringConstraints(min_length=1, max_length=10)]


class RequestedContact(RequestModel):
    name: Text
    phone: Annotated[str, StringConstraints(min_length=1, max_length=10)]


class RequestedLocation(RequestModel):
    address: RequestedAddress
    contact: RequestedContact
    notes: Annotated[str, StringConstraints(max_length=300)] | None = None


class RequestedWindow(RequestModel):
    start: Time
    end: Time


class RequestedOptions(RequestModel):
    signature_required: bool = False


class ShipmentBody(RequestModel):
    reference_id: Reference
    items: Annotated[list[RequestedItem], Field(min_length=1)]
    pickup_location: RequestedLocation
    delivery_location: RequestedLocation
    pickup_after: Time
    deliver_between: RequestedWindow
    options: RequestedOptions


class ShipmentUpdateBody(RequestModel):
    """The fields that change. Each replaces the whole field of the shipment."""

    reference_id: Reference | None = None
    items: Annotated[list[RequestedItem], Field(min_length=1)] | None = None
    pickup_location: RequestedLocation | None = None
    delivery_location: RequestedLocation | None = None
    pickup_after: Time | None = None
    deliver_between: RequestedWindow | None = None
    options: RequestedOptions | None = None


ModelT = TypeVar("ModelT", bound=RequestModel)


def parse_shipment_request(model: type[ModelT], value: Any) -> ModelT:
    """Returns `value` as `model`. Raises ShipmentRefused with all mistakes."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise ShipmentRefused(*map(_code, error.errors(include_url=False, include_context=False))) from None


def _code(mistake: Any) -> tuple[Code, str]:
    parameter = ".".join(map(str, mistake["loc"])) or "body"
    return (1001 if mistake["type"] == "missing" or mistake["input"] in ("", None) else 1002), parameter
