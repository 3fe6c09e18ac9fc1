"""The form templates of each dealer. The same seed makes the same templates."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from .dealers import DEALERS
from .ids import first_ids
from .pdf import make_pdf

_CREATED_AT = "2025-01-01T00:00:00.000Z"
"""Always the same time, because the sandbox has no clock."""


@dataclass(frozen=True)
class FormTemplate:
    """A template of a form, with its blank PDF in `file`. `definition` is the documented `form_definition`."""

    id: int
    dpid: str
    name: str
    file_name: str
    description: str | None
    definition: dict[str, Any]
    file: bytes
    is_deleted: bool = False

    def to_listing(self) -> dict[str, Any]:
        """Returns the template as `GET /templates` lists it. It names no dealer."""
        return {
            **self._common_fields(),
            "id": self.id,
            "doc_identifier": str(UUID(int=self.id, version=4)),
            "created_at": _CREATED_AT,
            "updated_at": _CREATED_AT,
            "is_deleted": self.is_deleted,
            "order_id": None,
        }

    def to_record(self) -> dict[str, Any]:
        """Returns the template as the grading endpoint shows it."""
        digest = hashlib.sha256(self.file).hexdigest()
        return {"id": self.id, "dpid": self.dpid, **self._common_fields(), "sha256": digest, "size": len(self.file)}

    def _common_fields(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "file_name": self.file_name,
            "description": self.description,
            "form_definition": self.definition,
        }


def next_id(templates: Sequence[FormTemplate]) -> int:
    """Returns the id of the template that is added to `templates` next."""
    return templates[-1].id + 1


def make_templates(seed: int) -> list[FormTemplate]:
    """Returns the templates that exist from the start: four of each dealer. Its last one is deleted."""
    random = Random(f"templates {seed}")  # noqa: S311  # no secrets, only places on a page
    templates: list[FormTemplate] = []
    first = first_ids(seed).template
    for dealer in DEALERS:
        for form in _FORMS:
            template = FormTemplate(
                id=first + len(templates),
                dpid=dealer.dpid,
                name=form.name,
                file_name=f"{form.name}.pdf",
                description=form.description,
                definition={"pages": [{"fields": _fields(page, random)} for page in form.pages]},
                file=make_pdf(f"{dealer.name}: {form.name}", len(form.pages)),
                is_deleted=form.is_deleted,
            )
            templates.append(template)
    return templates


@dataclass(frozen=True)
class _Form:
    """A form that every dealer has. `pages` lists the fields of each page: type, label, signee."""

    name: str
    description: str
    pages: tuple[tuple[tuple[str, str, str], ...], ...]
    is_deleted: bool = False


_CUSTOMER, _AGENT = "__customer__", "__agent__"
_VEHICLE = (
    ("vehicleYear", "Year", _CUSTOMER),
    ("vehicleMake", "Make", _CUSTOMER),
    ("vehicleModel", "Model", _CUSTOMER),
    ("vin", "VIN", _CUSTOMER),
)
_SIGNATURE = (("signature", "Signature", _CUSTOMER), ("date", "Date", _CUSTOMER))
_FORMS = (
    _Form(
        "Insurance Acknowledgement",
        "This is for insurance details",
        ((*_VEHICLE, ("text", "Insurer", _AGENT)), _SIGNATURE),
    ),
    _Form("Privacy Notice", "What the dealer does with a customer's data", (_SIGNATURE,)),
    _Form(
        "Odometer Disclosure",
        "The mileage of a trade-in, as the law wants it",
        (
            (
                *_VEHICLE,
                ("mileage", "Odometer reading", _CUSTOMER),
                *_SIGNATURE,
                ("signature", "For the dealer", _AGENT),
            ),
        ),
    ),
    _Form("Insurance Acknowledgement 2019", "Replaced", (_SIGNATURE,), is_deleted=True),
)


def _fields(page: Sequence[tuple[str, str, str]], random: Random) -> list[dict[str, Any]]:
    """Returns the fields of one page, each below the one before it."""
    return [
        {
            "x": random.randrange(72, 120),
            "y": 640 - 40 * row,
            "name": f"{kind}_{row + 1}",
            "type": kind,
            "width": random.randrange(40, 200, 10),
            "height": 12,
            "signee": signee,
            "fontSize": 8,
            "formLabel": label,
            "agentFilledRequired": signee == _AGENT,
        }
        for row, (kind, label, signee) in enumerate(page)
    ]
