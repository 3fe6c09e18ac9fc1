"""The resources: what a tool reads, by address. The table `RESOURCES` holds all of them.

A resource is another way to use a tool. The address gives the tool's arguments, and a caller who may not use the tool
at the dealer may not read the resource. Each resource has one address, in one spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from roadster_client.models.values import ID_PATTERN, VIN_PATTERN

from .failures import AccessRefused
from .gate.access import Access, Caller, Verdict

if TYPE_CHECKING:  # for start time
    from .answers import ToolAnswer
    from .files.files import File
    from .gate.admission import AdmittedCall

_PARAMETERS: Mapping[str, tuple[str, Callable[[str], str | int]]] = {
    "dealer": (r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+", unquote),
    "vin": (VIN_PATTERN, str),
    "customer_id": (ID_PATTERN, int),
    "document_id": (ID_PATTERN, int),
    "template_id": (ID_PATTERN, str),
    "approval_id": ("[0-9a-f]{32}", str),
}
"""For each argument, its pattern in an address and the function that reads its value."""


@dataclass(frozen=True)
class Resource:
    """A row of the table: an address with `{arguments}`, the tool that reads it, and its description for a person.

    `file` names the function beside the tool that reads the bytes instead of its answer, with the same grant and
    arguments. `reader` names one that returns the answer, where the tool's own answer may say that nothing is there.
    `extra_arguments` are those that the address does not hold. `needs_contact_data` keeps it from callers who may not
    see contact data.
    """

    template: str
    tool_name: str
    name: str
    title: str
    description: str
    extra_arguments: Mapping[str, Any] = field(default_factory=dict)
    file: str | None = None
    reader: str | None = None
    mime_type: str | None = "application/json"
    needs_contact_data: bool = False

    @property
    def parameters(self) -> list[str]:
        """The arguments in the address."""
        return re.findall(r"\{(\w+)\}", self.template)

    def address(self, **values: str | int) -> str:
        """Returns the address of the resource with these arguments."""
        return self.template.format_map({name: quote(str(value), safe="") for name, value in values.items()})

    def arguments_in(self, uri: str) -> dict[str, Any] | None:
        """Returns the tool's arguments, None where `uri` is not an address of this row or is spelled differently."""
        match = self._pattern.fullmatch(uri)
        if match is None:
            return None
        values = {name: _PARAMETERS[name][1](value) for name, value in match.groupdict().items()}
        return {**values, **self.extra_arguments} if self.address(**values) == uri else None

    def visibility(self, caller: Caller) -> Verdict:
        """Decides whether a caller who may use the tool may also see the resource."""
        setting = caller.setting("personal_data")
        if self.needs_contact_data and not caller.sees_contact_data:
            reason = f'{setting} is "masked", and a document\'s contents need "contact"'
            return Verdict(False, Access.OFF, setting, reason)
        return Verdict(True, Access.READ, setting)

    async def read(self, call: AdmittedCall) -> ToolAnswer | File:
        """Returns the contents. Raises AccessRefused, ToolFailure and ClientError."""
        self._require_visible(call)
        reader = self.file or self.reader
        if reader is None:
            return await call.run()
        content: ToolAnswer | File = await call.run_as(call.tool.beside(reader), **call.values)
        return content

    async def download(self, call: AdmittedCall) -> File:
        """Returns the file for a person, who may have a larger one than a client. Raises as `read` does."""
        from .files.files import MAX_DOWNLOAD_BYTES  # noqa: PLC0415 - for start time

        self._require_visible(call)
        if self.file is None:
            raise RuntimeError(f"{self.name} is no file")
        file: File = await call.run_as(call.tool.beside(self.file), most_bytes=MAX_DOWNLOAD_BYTES, **call.values)
        return file

    def _require_visible(self, call: AdmittedCall) -> None:
        visibility = self.visibility(call.grant.caller)
        if not visibility.is_allowed:
            raise AccessRefused(visibility.reason, setting=visibility.setting)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", self.template)
        return re.compile(
            "".join(
                f"(?P<{part}>{_PARAMETERS[part][0]})" if index % 2 else re.escape(part)
                for index, part in enumerate(parts)
            )
        )


CUSTOMER_RESOURCE = Resource(
    "roadster://{dealer}/customers/{customer_id}",
    "get_customer",
    "customer",
    "Customer",
    "Where one customer's deal stands, from the events received. It can be followed.",
)
"""It has update notifications, because events report its changes."""

APPROVAL_RESOURCE = Resource(
    "roadster://approvals/{approval_id}",
    "get_approval",
    "approval",
    "Approval",
    "What became of a write of yours that waits for a person. It can be followed.",
    reader="own_approval",
)
"""It has update notifications, because people decide on a page."""

RESOURCES = (
    Resource(
        "roadster://{dealer}",
        "get_dealer",
        "dealer",
        "Dealer",
        "One dealer: address, fees, and finance markups if you may see them. For the dealer's staff.",
    ),
    Resource(
        "roadster://{dealer}/vehicles/{vin}",
        "get_vehicle",
        "vehicle",
        "Vehicle",
        "One vehicle of a dealer: make, model, year, trim, consumption or range.",
    ),
    CUSTOMER_RESOURCE,
    Resource(
        "roadster://{dealer}/customers/{customer_id}/documents",
        "list_documents",
        "documents",
        "Documents of a customer",
        "What is in a customer's binder at a dealer, without contents.",
        extra_arguments={"limit": 100},
    ),
    Resource(
        "roadster://{dealer}/customers/{customer_id}/documents/{document_id}/file",
        "get_document",
        "document_file",
        "File of a document",
        "One document itself: JPEG, PNG or PDF, up to 1 MiB.",
        extra_arguments={"detail": "full"},
        file="document_file",
        mime_type=None,
        needs_contact_data=True,
    ),
    Resource(
        "roadster://{dealer}/templates/{template_id}",
        "get_template",
        "template",
        "Form template",
        "One template of a dealer's forms, with each of its fields.",
        extra_arguments={"detail": "full"},
    ),
    Resource(
        "roadster://{dealer}/templates/{template_id}/file",
        "get_template_file",
        "template_file",
        "PDF of a form template",
        "A template's blank PDF, up to 1 MiB.",
        file="template_file",
        mime_type="application/pdf",
    ),
    APPROVAL_RESOURCE,
)
"""Every resource template, in the order of `resources/templates/list`."""


def resource_at(uri: str) -> tuple[Resource, dict[str, Any]] | None:
    """Returns the row that `uri` is an address of, with the arguments in it, None where there is none."""
    for resource in RESOURCES:
        arguments = resource.arguments_in(uri)
        if arguments is not None:
            return resource, arguments
    return None
