"""Each field of the models that holds personal data has a class, and each class shows only what it may."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, PlainSerializer, TypeAdapter

from roadster_client import models
from roadster_client.models.parts import Received, Sent
from roadster_client.models.personal_data import (
    MASK,
    ContactData,
    FinancialAmount,
    FinancialData,
    IdentityData,
    PersonalDataClass,
)
from roadster_client.models.reader import Reader

for module in pkgutil.iter_modules(models.__path__):
    importlib.import_module(f"{models.__name__}.{module.name}")


PERSONAL = re.compile(
    r"ssn|social|licen[cs]e|birth|dob|gov|passport|e_?mail|phone|mobile|income|rent(?!_)|salary|employ|occupation|"
    r"first_?name|last_?name|full_?name|file_?name|document_?name|^[fl]name$|^name$|company|street|address|line_?[12]|"
    r"city$|zip|cc_?number|card|account|routing|score|payoff|comm_?value|customer_?key|guid|partner_id|^description$|"
    r"contents$|note|message",
    re.IGNORECASE,
)


NOT_PERSONAL = {
    # A dealership's own data, which its website shows. The tools withhold its partner id.
    *(f"Dealer.{name}" for name in ("name", "address", "city", "zip_code", "phone", "partner_id")),
    *(f"DealerDetails.{name}" for name in ("name", "address", "city", "zip_code", "phone", "partner_id")),
    # Names of things.
    *("Option.name", "Incentive.name", "Rebate.name", "LeaseProgram.name", "Plan.description"),
    # A fee, the least score that a program takes, miles a gallon in town.
    *("Fees.license", "FinanceProgram.min_score", "LeaseProgram.min_score"),
    # A file, which get_document shows by a rule of its own. Roadster's sentence about a deletion.
    *("DocumentContents.contents", "DocumentsDeleted.message"),
    # Whole lists: their parts have a class.
    *("CustomerRecord.address_list", "CustomerRecord.address_list_v2"),
    *("CreditApplicant.addresses", "CustomerEvent.message", "EventCustomer.address", "Job.address"),
    *("Place.address", "RelatedPerson.address"),
    # A dealership as events name it, the lender, and the name of an identifier in our own system.
    *("DealerAddress.city", "DealerAddress.street", "DealerAddress.zip"),
    *("EventDealer.address", "EventDealer.name", "EventDealer.partner_id"),
    *("CreditDecision.finance_company", "OurIdentifiers.name"),
    # A kind of document, a fee.
    *("EventCustomer.gov_id_type", "Financing.license_fee"),
    # A dealer's blank form and the names of its fields. A thing that is sent.
    *("Template.name", "Template.file_name", "Template.description", "FormField.name", "ShippedItem.description"),
}
"""Received fields that sound personal and are not."""


NOT_PERSONAL_WHEN_SENT = {
    # A quote is a read, so nothing shows its request.
    *("QuotedCustomer.credit_score", "QuotedCustomer.zip_code", "TradeIn.payoff"),
    # A blank form and the names of its fields. A thing that is sent. A whole address: its parts are masked.
    *("TemplateData.name", "TemplateData.file_name", "TemplateData.description", "NewFormField.name"),
    *("Item.description", "Location.address"),
}


def subclasses(root: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in root.__subclasses__():
        if child.__module__.startswith(models.__name__):
            yield child
            yield from subclasses(child)


def fields(root: type[BaseModel]) -> dict[str, Any]:
    """Returns the annotation and metadata of every field of every model, by `Model.field`."""
    return {
        f"{model.__name__}.{name}": (field.annotation, *field.metadata)
        for model in subclasses(root)
        for name, field in model.model_fields.items()
    }


def parts(annotation: Any) -> Iterator[Any]:
    for part in annotation if isinstance(annotation, tuple) else (annotation,):
        yield part
        yield from parts(get_args(part)) if get_args(part) else getattr(part, "__metadata__", ())


def personal_class(annotation: Any) -> str | None:
    return next((part for part in parts(annotation) if part in get_args(PersonalDataClass)), None)


RECEIVED_FIELDS = fields(Received)
SENT_FIELDS = fields(Sent)


def test_received_fields_that_sound_personal_have_a_class() -> None:
    without_class = {
        name
        for name, annotation in RECEIVED_FIELDS.items()
        if PERSONAL.search(name.partition(".")[2]) and personal_class(annotation) is None
    }
    assert without_class == NOT_PERSONAL


def test_sent_fields_that_sound_personal_are_masked() -> None:
    """These are the models of requests, and a preview shows them."""
    visible = {
        name
        for name, annotation in SENT_FIELDS.items()
        if PERSONAL.search(name.partition(".")[2])
        and not any(isinstance(p, PlainSerializer) for p in parts(annotation))
    }
    assert visible == NOT_PERSONAL_WHEN_SENT


IDENTITY = re.compile(
    r"ssn|social_sec|licen[cs]e_(?!state|fee)|birth|dob|gov_|passport|cc_?number|card_?number", re.IGNORECASE
)


FINANCIAL = re.compile(r"income|rent|salary|score|payoff|housing_cost|other_sources", re.IGNORECASE)


def test_identity_and_financial_fields_have_their_class() -> None:
    for name, annotation in RECEIVED_FIELDS.items():
        current = personal_class(annotation)
        if current is not None:
            field = name.partition(".")[2]
            right = "identity" if IDENTITY.search(field) else "financial" if FINANCIAL.search(field) else "contact"
            assert current == right, name


@pytest.mark.parametrize(
    ("kind", "value", "visible"),
    [
        (ContactData, "Zebulon", "Zebulon"),
        (ContactData, 2065550171, "2065550171"),
        (FinancialData, "5000", "5000"),
        (FinancialAmount, 5000.5, 5000.5),
        (IdentityData, "078-05-1120", MASK),
        (IdentityData, 78051120, MASK),
    ],
)
@pytest.mark.parametrize("context", ["mask", None, "person", "contact", Reader(), Reader("contact")])
def test_personal_data_class_shows_what_it_may(kind: Any, value: Any, visible: Any, context: Any) -> None:
    """A context that is no reader gives no right."""
    adapter = TypeAdapter(kind, config={"coerce_numbers_to_str": True})
    mask = None if kind is FinancialAmount else MASK
    assert adapter.validate_python(value, context=context) == (visible if context == Reader("contact") else mask)
