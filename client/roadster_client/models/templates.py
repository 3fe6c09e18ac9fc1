"""Document templates of a dealer: /templates, its details, its file. Fields have the names of the reference."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    field_validator,
)
from pydantic_core import PydanticCustomError

from roadster_client.leniency import SUBJECT, UNIDENTIFIED
from roadster_client.visible_text import is_absent

from .parts import Received, Sent, WriteOutcome
from .personal_data import MASK
from .reader import reader_of
from .values import FileContents, Id, decode_file

_PDF_HEADER = "data:application/pdf;charset=utf-8;base64,"


def _read_number(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, bool):  # pydantic would read it as 0 or 1
        raise ValueError("expected a number")  # noqa: TRY004 - pydantic takes only a ValueError as a problem
    try:
        return validate(value)
    except ValidationError:  # it has two problems, one each for int and float
        raise ValueError("expected a number") from None


Coordinate = Annotated[int | float, WrapValidator(_read_number), WithJsonSchema({"type": "number"})]
"""A number. An int stays an int, as the reference sends it."""

Words = Annotated[str, Field(min_length=1, max_length=100)]


class NewFormField(Sent):
    x: Coordinate
    y: Coordinate
    name: Words
    type: Annotated[Words, Field(description="such as vehicleYear")]
    width: Coordinate | None = None
    height: Coordinate | None = None
    signee: Annotated[Words | None, Field(description="such as __customer__")] = None
    fontSize: Coordinate | None = None  # noqa: N815
    formLabel: Words | None = None  # noqa: N815
    agentFilledRequired: bool | None = None  # noqa: N815


class NewFormPage(Sent):
    fields: tuple[NewFormField, ...]


class NewFormDefinition(Sent):
    pages: Annotated[tuple[NewFormPage, ...], Field(min_length=1)]


class TemplateData(Sent):
    name: str
    file_name: str
    description: str | None = None
    form_definition: NewFormDefinition


class NewTemplate(Sent):
    """A template to add. `file_stream` is a PDF as a data URL, with the header of the reference."""

    form_data: TemplateData
    file_stream: FileContents

    @classmethod
    def from_pdf(cls, data: TemplateData, pdf: bytes) -> NewTemplate:
        return cls(form_data=data, file_stream=_PDF_HEADER + base64.b64encode(pdf).decode())

    def file(self) -> bytes:
        return decode_file(self.file_stream)


class TemplateReceipt(WriteOutcome):
    """The receipt of the file's storage, without the template's id. A sum of the file shows that it was stored."""

    etag: str | None = None

    @staticmethod
    def has_result(json: Mapping[str, Any]) -> bool:
        sums = (value for name, value in json.items() if name == "etag" or name.startswith("checksum_"))
        return any(isinstance(value, str) and not is_absent(value) for value in sums)


class FormField(Received):
    """One field of a page: its place, its content, and the person who fills it in."""

    x: Coordinate | None = None
    y: Coordinate | None = None
    name: str | None = None
    type: str | None = None
    width: Coordinate | None = None
    height: Coordinate | None = None
    signee: str | None = None
    fontSize: Coordinate | None = None  # noqa: N815
    formLabel: str | None = None  # noqa: N815
    agentFilledRequired: bool | None = None  # noqa: N815


class FormPage(Received):
    fields: Annotated[tuple[FormField, ...], SUBJECT] = ()


class FormDefinition(Received):
    pages: Annotated[tuple[FormPage, ...], SUBJECT] = ()


def _require_order_id(value: Any) -> Any:
    # Without its order, the template would pass for one of every order, and its names would not be masked.
    if value is None or type(value) in (str, int):
        return value
    raise PydanticCustomError(UNIDENTIFIED, "expected an id")


def _require_mark(value: Any) -> Any:
    # Without its mark, a deleted template would pass for one that can be used.
    if is_absent(value) or isinstance(value, bool):
        return value if isinstance(value, bool) else None
    raise PydanticCustomError(UNIDENTIFIED, "expected true or false")


class Template(Received):
    """A template. Times are RFC 3339. Some templates belong to only one order, which is in `order_id`.

    The names of such a template are contact data, because they may tell whose order it is.
    """

    order_id: Annotated[str | None, BeforeValidator(_require_order_id)] = (
        None  # first, because the validator of the names needs it
    )
    id: Id
    name: str | None = None
    file_name: str | None = None
    description: str | None = None
    form_definition: Annotated[FormDefinition | None, SUBJECT] = None
    doc_identifier: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    is_deleted: Annotated[bool | None, BeforeValidator(_require_mark)] = None

    @field_validator("name", "file_name", "description")
    @classmethod
    def _mask_names_of_order(cls, value: str | None, info: ValidationInfo) -> str | None:
        is_visible = reader_of(info).sees_contact_data or info.data.get("order_id") is None
        return value if is_visible or not value else MASK

    @property
    def pages(self) -> tuple[FormPage, ...]:
        return self.form_definition.pages if self.form_definition is not None else ()

    def unusable_reason(self, order_id: str) -> Literal["deleted", "of another order"] | None:
        """Returns why the template cannot be used for forms of that order, or None if it can."""
        if self.is_deleted:
            return "deleted"
        return "of another order" if self.order_id not in (None, order_id) else None

    def summary(self) -> dict[str, Any]:
        """Returns what a person recognises the template by, and what changes when its file does."""
        names = {"id", "order_id", "name", "file_name", "updated_at"}
        fields = self.model_dump(mode="json", exclude_none=True, include=names)
        return {**fields, "pages": len(self.pages), "fields": sum(len(page.fields) for page in self.pages)}
