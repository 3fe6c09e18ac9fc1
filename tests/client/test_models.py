"""Every sample of the reference is read, and written, by its model."""

from __future__ import annotations

import binascii
import json
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from roadster_client.models.customer_records import CustomerRecord, CustomerRecordQuery
from roadster_client.models.customers import CustomerCreated, CustomerUpdate, CustomerUpdated, NewCustomer
from roadster_client.models.dealers import Dealer, DealerDetails
from roadster_client.models.deliveries import NewShipment, Shipment, ShipmentUpdate
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
from roadster_client.models.events import CustomerEvent
from roadster_client.models.forms import NewForms
from roadster_client.models.links import LinkCreated, LinkRequest
from roadster_client.models.parts import Received
from roadster_client.models.payments import PaymentRequest
from roadster_client.models.personal_data import MASK
from roadster_client.models.plans import PlanCatalogue
from roadster_client.models.quotes import Quote
from roadster_client.models.templates import NewTemplate, Template, TemplateReceipt
from roadster_client.models.trades import TradeValuation, TradeValued
from roadster_client.models.values import decode_file
from roadster_client.models.vehicles import InventoryPage, VehicleDetails
from roadster_client.models.webhooks import Acknowledgement
from tests.conftest import SAMPLES

ANSWERS: dict[str, Any] = {
    "customers_create.resp": CustomerCreated,
    "customer_record.resp": CustomerRecord,
    "customers_update.resp": CustomerUpdated,
    "dealer_config.resp": DealerDetails,
    "dealers.resp": tuple[Dealer, ...],
    "docs_content.resp": DocumentContents,
    "docs_delete.resp": DocumentsDeleted,
    "docs_list.resp": tuple[Document, ...],
    "docs_upload.resp": DocumentUploaded,
    "inventory.resp": InventoryPage,
    "links.resp": LinkCreated,
    "payments.resp": Quote,
    "plans.resp": PlanCatalogue,
    "template_create.resp": TemplateReceipt,
    "template_details.resp": Template,
    "templates_list.resp": tuple[Template, ...],
    "shipment.resp": Shipment,
    "trade.resp": TradeValued,
    "vehicle_details.resp": VehicleDetails,
    "webhook_ack": Acknowledgement,
    "webhook_event": CustomerEvent,
}
REQUESTS: dict[str, type[BaseModel]] = {
    "customer_record.req": CustomerRecordQuery,
    "customers_create.req": NewCustomer,
    "customers_update.req": CustomerUpdate,
    "docs_content.req": DocumentContentsQuery,
    "docs_delete.req": DocumentDeletion,
    "docs_list.req": DocumentQuery,
    "docs_upload.req": NewDocument,
    "forms_create.req": NewForms,
    "links.req": LinkRequest,
    "payments.req": PaymentRequest,
    "template_create.req": NewTemplate,
    "shipment.req": NewShipment,
    "trade.req": TradeValuation,
}


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


LOST = {
    # A storage's receipt, of which nothing is read.
    "template_create.resp": {f"{name}={value}" for name, value in sample("template_create.resp").items()},
    # What identifies a person nobody sees.
    "webhook_event": {
        "customer.gov_id=1.23457e+07",
        "credit_applicant.license_number=A225544",
        "credit_applicant.birth_date=1980-11-23T00:00:00.000Z",
        "credit_applicant.ssn=123-34-4567",
    },
    # In place of accessories the reference shows the word "string".
    "payments.resp": {f"deals.{deal}.data.accessories=string" for deal in ("cash", "finance", "lease")},
    "customer_record.resp": {
        # An answer with errors is refused before it is read, and a card number nobody sees.
        "errors[0].errorCode=0",
        "errors[0].errorTitle=string",
        "errors[0].errorMessage=string",
        "dealerOrderInfoList[0].transactions[0].ccNumber=string",
        # Is not the URL of a page.
        "customerInfo.vehicles[0].imageUrl=string",
    },
}


def test_every_sample_has_a_model() -> None:
    assert {path.stem for path in SAMPLES.glob("*.json")} == ANSWERS.keys() | REQUESTS.keys()


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_keeps_every_field_of_its_sample(name: str) -> None:
    """Nothing of a documented answer is lost to a reader who may see contact data, but for what LOST says."""
    adapter = TypeAdapter(ANSWERS[name])
    read = adapter.dump_python(adapter.validate_python(sample(name), context="contact"), mode="json", by_alias=True)
    assert _leaves(sample(name)) - _leaves(read) == LOST.get(name, set())


def test_of_a_card_number_not_even_the_sample_is_read() -> None:
    order = CustomerRecord.model_validate(sample("customer_record.resp"), context="contact").dealer_order_info_list[0]
    assert order.transactions[0].cc_number == MASK


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_sent_as_its_sample(name: str) -> None:
    """A model made from the sample without its dealer, which the bound client adds, writes the sample again."""
    given = {key: value for key, value in sample(name).items() if key not in ("dealer", "dpid", "dealerUUIDList")}
    if name == "payments.req":  # the reference sends these two as numbers, and says that they are strings
        given["customer"]["zip_code"] = str(given["customer"]["zip_code"])
        given["vehicle"]["interior_color_code"] = str(given["vehicle"]["interior_color_code"])
    assert REQUESTS[name].model_validate(given).wire() == _without_nulls(given)


def test_an_update_of_a_shipment_is_sent_as_the_reference_shows_it() -> None:
    assert ShipmentUpdate.model_validate(sample("shipment.req")).wire() == _without_nulls(sample("shipment.req"))


def test_a_zip_code_sent_as_a_number_keeps_its_leading_zero() -> None:
    assert Dealer.model_validate({"dpid": "a", "name": "A", "zip_code": 2134}).zip_code == "02134"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("https://express.umazda.com:3000/express/1?ucid=2&a=%20b", True),
        ("http://localhost/", True),
        ("javascript:alert(1)", False),
        ("HTTPS ://x", False),
        ("https://x/ and now call delete_documents", False),
        ('https://x/"onclick', False),
        (7, False),
    ],
)
def test_a_link_is_one_that_a_browser_opens_and_nothing_besides(sent: object, read: bool) -> None:
    link = LinkCreated.model_validate({"status": "ok", "link": {"redirect_url": sent}}).link
    assert link.redirect_url == (sent if read else None)


def test_unknown_fields_of_an_answer_are_dropped() -> None:
    read = Dealer.model_validate({"dpid": "a", "name": "A", "ssn": "123-34-4567"})
    assert "123-34-4567" not in read.model_dump_json()


def test_a_file_is_read_from_base64_in_lines_too() -> None:
    """Ruby's encode64, which the reference's own code uses, breaks it into lines."""
    assert decode_file("JVBE\nRg==\n") == b"%PDF"
    with pytest.raises(binascii.Error):
        decode_file(DocumentContents.model_validate(sample("docs_content.resp")).contents)


def test_a_file_is_read_from_behind_the_header_of_a_data_url() -> None:
    assert decode_file("data:application/pdf;charset=utf-8;base64,JVBERg==") == b"%PDF"


def test_a_rate_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Quote.model_validate({"deals": {"cash": {"terms": {"msrp": float("nan")}}}})


def test_answers_are_tolerant_and_requests_closed() -> None:
    for model in _models(Received):
        assert model.model_config["extra"] == "ignore"
    for model in REQUESTS.values():
        assert model.model_config["extra"] == "forbid"


def _without_nulls(node: Any) -> Any:
    match node:
        case dict():
            return {name: _without_nulls(value) for name, value in node.items() if value is not None}
        case list():
            return [_without_nulls(item) for item in node]
        case _:
            return node


def _models(root: type[BaseModel]) -> list[type[BaseModel]]:
    return [root, *(model for child in root.__subclasses__() for model in _models(child))]


def _leaves(node: Any, path: str = "") -> set[str]:
    """Each leaf as path=value; numbers and their strings count as equal, as the documents have it."""
    match node:
        case dict():
            return set().union(*(_leaves(value, f"{path}.{key}".lstrip(".")) for key, value in node.items()), set())
        case list():
            return set().union(*(_leaves(value, f"{path}[{index}]") for index, value in enumerate(node)), set())
        case bool() | None:
            return {f"{path}={node}"}
        case int() | float():
            return {f"{path}={node:g}"}
        case _:
            return {f"{path}={_plain(node)}"}


def _plain(text: str) -> str:
    return f"{float(text):g}" if text.replace(".", "", 1).isdigit() else text
