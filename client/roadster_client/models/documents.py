"""A customer's documents: /customers/{id}/documents, and the file of one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from .parts import Received, Sent, WriteOutcome
from .personal_data import Contact, ContactData
from .values import FileContents, Id, decode_file

DocumentType = Literal["license", "license_back", "insurance", "income", "residency", "other", "deal"]
Relationship = Literal["self", "co_app"]


class NewDocument(Sent):
    """A document to add. `relationship` is for the customer's own documents, not for those of type `deal`.

    The names are contact data, because people name files after their customers.
    """

    document_name: Contact
    document_type: DocumentType
    file_name: Contact
    contents: FileContents
    relationship: Relationship | None = None
    co_app_email_id: Contact | None = None

    def file(self) -> bytes:
        return decode_file(self.contents)


class DocumentUploaded(Received):
    document_id: Id


class DocumentQuery(Sent):
    """The body of the GET that lists documents, as the reference has it."""

    doc_type: Literal["user_docs", "deal_docs", "all"]


class Document(Received):
    """One document of a binder, without its contents. Times are RFC 3339."""

    id: Id
    document_type: str | None = None
    relationship: str | None = None
    name: ContactData | None = None
    file_name: ContactData | None = None
    created_at: str | None = None
    updated_at: str | None = None

    def summary(self) -> dict[str, Any]:
        """Returns what a person recognises the document by."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"updated_at"})


class DocumentContentsQuery(Sent):
    """The body of the GET that returns a file, as the reference has it: only the dealer, which the client adds."""


class DocumentContents(Received):
    contents: Annotated[FileContents, Field(strict=True)]


class DocumentDeletion(Sent):
    doc_ids: tuple[int, ...] = Field(min_length=1)


class DocumentsDeleted(WriteOutcome):
    """A message in the reference."""

    message: str | None = None
