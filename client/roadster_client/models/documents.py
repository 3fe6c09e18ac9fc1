"""A customer's documents: /customers/{id}/documents, and the contents of one."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .parts import Received, Sent
from .personal_data import Contact, ContactData
from .values import FileContents

DocumentType = Literal["license", "license_back", "insurance", "income", "residency", "other", "deal"]
Relationship = Literal["self", "co_app"]


class NewDocument(Sent):
    """`contents` is base64. `relationship` is for the customer's own documents, not for `deal`.

    People name files after their customers: such names are masked like the customers' own.
    """

    document_name: Contact
    document_type: DocumentType
    file_name: Contact
    contents: FileContents
    relationship: Relationship | None = None
    co_app_email_id: Contact | None = None


class DocumentUploaded(Received):
    document_id: int


class DocumentQuery(Sent):
    """The reference documents this as a body, although listing is a GET."""

    doc_type: Literal["user_docs", "deal_docs", "all"]


class Document(Received):
    """One document of a binder, without its contents; times are RFC 3339."""

    id: int
    document_type: str | None = None
    relationship: str | None = None
    name: ContactData | None = None
    file_name: ContactData | None = None
    created_at: str | None = None
    updated_at: str | None = None

    def summary(self) -> dict[str, Any]:
        """What a person knows the document by."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"updated_at"})


class DocumentContentsQuery(Sent):
    """Nothing but the dealer, which the reference documents as a body, although this is a GET."""


class DocumentContents(Received):
    contents: FileContents


class DocumentDeletion(Sent):
    doc_ids: tuple[int, ...] = Field(min_length=1)


class DocumentsDeleted(Received):
    message: str | None = None
