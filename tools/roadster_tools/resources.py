"""The resources: what a tool reads, by address. All of them are the table `RESOURCES`.

A resource is another way to use a tool: the address gives its arguments, and whoever may not use the
tool at the dealer may not read the resource. Each resource has one address, in one spelling.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote

from roadster_client.models.values import ID_PATTERN, VIN_PATTERN

from .answers import ToolAnswer
from .failures import AccessRefused
from .files import File
from .gate.access import Access, Caller, Verdict
from .gate.admission import AdmittedCall
from .toolsets.dealers import get_dealer
from .toolsets.documents import document_file, get_document, list_documents
from .toolsets.events import get_customer
from .toolsets.forms import get_template, get_template_file, template_file
from .toolsets.inventory import get_vehicle

_PLACES: Mapping[str, tuple[str, Callable[[str], str | int]]] = {
    "dealer": (r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+", unquote),
    "vin": (VIN_PATTERN, str),
    "customer_id": (ID_PATTERN, int),
    "document_id": (ID_PATTERN, int),
    "template_id": (ID_PATTERN, str),
}
"""What may stand in an address for each argument, and how it is read."""


@dataclass(frozen=True)
class Resource:
    """A row of the table: the address with `{arguments}`, the tool that reads it, what a person is told of it.

    `file` gives the bytes instead of the tool's answer, with the same grant and arguments. `extra_arguments` are those
    that the address does not hold. `needs_contact_data` keeps it from callers who may not see contact data.
    """

    template: str
    tool_name: str
    name: str
    title: str
    description: str
    extra_arguments: Mapping[str, Any] = field(default_factory=dict)
    file: Callable[..., Awaitable[File]] | None = None
    mime_type: str | None = "application/json"
    needs_contact_data: bool = False

    @property
    def parameters(self) -> list[str]:
        """The arguments that stand in the address."""
        return re.findall(r"\{(\w+)\}", self.template)

    def address(self, **values: str | int) -> str:
        """The address of the one resource with these arguments."""
        return self.template.format_map({name: quote(str(value), safe="") for name, value in values.items()})

    def arguments_in(self, uri: str) -> dict[str, Any] | None:
        """The tool's arguments, None where `uri` is not an address of this row, spelt as `address` spells it."""
        found = self._pattern.fullmatch(uri)
        if found is None:
            return None
        values = {name: _PLACES[name][1](given) for name, given in found.groupdict().items()}
        return {**values, **self.extra_arguments} if self.address(**values) == uri else None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", self.template)
        return re.compile(
            "".join(f"(?P<{part}>{_PLACES[part][0]})" if odd % 2 else re.escape(part) for odd, part in enumerate(parts))
        )

    def visibility(self, caller: Caller) -> Verdict:
        """Whether the caller, who may use the tool, may also see what stands there."""
        setting = f"callers.{caller.name}.personal_data"
        if self.needs_contact_data and caller.personal_data == "masked":
            reason = f'{setting} is "masked", and a document\'s contents need "contact"'
            return Verdict(False, Access.OFF, setting, reason)
        return Verdict(True, Access.READ, setting)

    async def read(self, admitted: AdmittedCall) -> ToolAnswer | File:
        """What stands there. Raises AccessRefused, ToolFailure and ClientError."""
        allowed = self.visibility(admitted.grant.caller)
        if not allowed.is_allowed:
            raise AccessRefused(allowed.reason, setting=allowed.setting)
        if self.file is None:
            return await admitted.run()
        return await admitted.run_as(self.file, **admitted.values)


CUSTOMER_RESOURCE = Resource(
    "roadster://{dealer}/customers/{customer_id}",
    get_customer.name,
    "customer",
    "Customer",
    "Where one customer's deal stands, from the events received. It can be followed.",
)
"""The one whose changes are announced: events bring them."""

RESOURCES = (
    Resource(
        "roadster://{dealer}",
        get_dealer.name,
        "dealer",
        "Dealer",
        "One dealer: address, fees, finance markups. For the dealer's staff.",
    ),
    Resource(
        "roadster://{dealer}/vehicles/{vin}",
        get_vehicle.name,
        "vehicle",
        "Vehicle",
        "One vehicle of a dealer: make, model, year, trim, consumption or range.",
    ),
    CUSTOMER_RESOURCE,
    Resource(
        "roadster://{dealer}/customers/{customer_id}/documents",
        list_documents.name,
        "documents",
        "Documents of a customer",
        "What is in a customer's binder at a dealer, without contents.",
        extra_arguments={"limit": 100},
    ),
    Resource(
        "roadster://{dealer}/customers/{customer_id}/documents/{document_id}/file",
        get_document.name,
        "document_file",
        "File of a document",
        "One document itself: JPEG, PNG or PDF, up to 1 MiB.",
        extra_arguments={"detail": "full"},
        file=document_file,
        mime_type=None,
        needs_contact_data=True,
    ),
    Resource(
        "roadster://{dealer}/templates/{template_id}",
        get_template.name,
        "template",
        "Form template",
        "One template of a dealer's forms, with each of its fields.",
        extra_arguments={"detail": "full"},
    ),
    Resource(
        "roadster://{dealer}/templates/{template_id}/file",
        get_template_file.name,
        "template_file",
        "PDF of a form template",
        "A template's blank PDF, up to 1 MiB.",
        file=template_file,
        mime_type="application/pdf",
    ),
)
"""Every template, in the order of `resources/templates/list`."""


def resource_at(uri: str) -> tuple[Resource, dict[str, Any]] | None:
    """The row that `uri` is an address of, and the arguments in it; None for whatever is no address."""
    for resource in RESOURCES:
        arguments = resource.arguments_in(uri)
        if arguments is not None:
            return resource, arguments
    return None
