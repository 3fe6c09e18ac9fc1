"""A customer's documents: POST /customers/{id}/documents."""

from __future__ import annotations

from typing import Literal

from .scalars import Contact, FileContents, Received, Sent

DocumentType = Literal["license", "license_back", "insurance", "income", "residency", "other", "deal"]
Relationship = Literal["self", "co_app"]


class NewDocument(Sent):
    """`contents` is base64. `relationship` is for the customer's own documents, not for `deal`."""

    document_name: str
    document_type: DocumentType
    file_name: str
    contents: FileContents
    relationship: Relationship | None = None
    co_app_email_id: Contact | None = None


class DocumentUploaded(Received):
    document_id: int
