"""The documents in a customer's binders."""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, Literal

from pydantic import Field

from roadster_client.models.documents import (
    Document,
    DocumentDeletion,
    DocumentQuery,
    DocumentType,
    NewDocument,
    Relationship,
)
from roadster_client.models.personal_data import Email
from roadster_tools.answers import FileLink, ToolAnswer, UnreadRows
from roadster_tools.arguments.parameters import Cursor, CustomerId, Detail, DocumentId, Limit
from roadster_tools.catalogue import tool, write_tool
from roadster_tools.cursors import Page
from roadster_tools.failures import InvalidArguments
from roadster_tools.files.files import (
    MAX_ANSWER_FILE_BYTES,
    MAX_RESOURCE_BYTES,
    Contents,
    File,
    FileArguments,
    Handle,
    LocalPath,
    check_content,
    content_type,
    file_uri,
    fitting_name,
    resource_file,
)
from roadster_tools.files.pdf import LOCKED_NOTICE
from roadster_tools.gate.gate import Grant
from roadster_tools.gate.waiting_files import FilePurpose

# Both cases are spelled out, because JSON Schema's regular expressions have no flags.
FileName = Annotated[
    str,
    Field(
        pattern=r"^[^/\\]+\.([jJ][pP][eE]?[gG]|[pP][nN][gG]|[pP][dD][fF])$",
        description=".jpg, .png or .pdf",
    ),
]


class DocumentAnswer(ToolAnswer):
    document_id: int


class DocumentRow(ToolAnswer):
    document_id: int
    document_type: str | None = None
    relationship: str | None = None
    name: str | None = None
    file_name: str | None = None
    created_at: str | None = None


class DocumentsAnswer(ToolAnswer):
    documents: list[DocumentRow]
    truncated: bool = Field(description="whether there are more behind next_cursor")
    next_cursor: str | None = None
    hint: str | None = None


@tool("List a customer's documents")
async def list_documents(
    grant: Grant,
    customer_id: CustomerId,
    binder: Literal["all", "user_docs", "deal_docs"] = "all",
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> DocumentsAnswer:
    """Type, name and time of each document in a customer's binders: what is missing, and whether an upload arrived."""
    page = Page.at(cursor, limit, grant.cursors, "list_documents", customer_id, binder)
    documents = await grant.roadster.list_documents(customer_id, DocumentQuery(doc_type=binder))
    rows, next_cursor = await page.select(documents, _document_row)
    return DocumentsAnswer(
        documents=rows,
        truncated=next_cursor is not None,
        next_cursor=next_cursor,
        hint=_masking_hint(grant) if rows else _empty_hint(grant, bool(documents), binder),
    )


def _document_row(document: Document) -> DocumentRow:
    return DocumentRow(
        document_id=document.id,
        document_type=document.document_type,
        relationship=document.relationship,
        name=document.name,
        file_name=document.file_name,
        created_at=document.created_at,
    )


def _masking_hint(grant: Grant) -> str | None:
    if grant.caller.sees_contact_data:
        return None
    return "Names are masked for this caller: tell documents apart by type, time and id."


def _empty_hint(grant: Grant, any_documents: bool, binder: str) -> str:
    unread = UnreadRows.of_list(grant.left_out, "")
    if unread:
        return unread.hint("the document")
    if any_documents:
        return "No more documents."
    return "The binder is empty." if binder == "all" else 'Nothing in this binder; binder "all" looks into both.'


@write_tool("Upload a document", if_unknown="list_documents shows whether it is in the binder")
async def upload_document(
    grant: Grant,
    customer_id: CustomerId,
    document_type: DocumentType,
    document_name: Annotated[str, Field(min_length=1, max_length=200)],
    file_name: FileName,
    relationship: Annotated[Relationship | None, Field(description="but of a deal")] = None,
    co_app_email_id: Email | None = None,
    contents: Contents | None = None,
    path: LocalPath | None = None,
    upload: Handle | None = None,
) -> DocumentAnswer:
    """Put one JPEG, PNG or PDF into an existing customer's binder or, as `deal`, into their deal's. Without a file,
    a person gets a link for it."""
    if document_type != "deal" and relationship is None:
        raise InvalidArguments({"relationship": "is needed unless document_type is deal: self, or co_app"})
    if (relationship == "co_app") != (co_app_email_id is not None):
        raise InvalidArguments({"co_app_email_id": "goes with relationship co_app, and only with it"})
    arguments = FileArguments(contents, path, upload)
    if await arguments.need_a_person(grant.uploads):
        # Nobody should take a photo for a customer who is not there.
        await grant.roadster.list_documents(customer_id, DocumentQuery(doc_type="all"))
    file = await arguments.read(grant.uploads, FilePurpose("upload_document", customer_id, document_type))
    file_name = fitting_name(file_name, file)
    if (await check_content(file, file_name)).asks_for_password:
        grant.notices.append(LOCKED_NOTICE)
    answer = await grant.roadster.upload_document(
        customer_id,
        NewDocument(
            document_name=document_name,
            document_type=document_type,
            file_name=file_name,
            relationship=relationship,
            co_app_email_id=co_app_email_id,
            contents=base64.b64encode(file.content).decode(),
        ),
    )
    await arguments.discard(grant.uploads)
    return DocumentAnswer(document_id=answer.document_id)


class DocumentFile(ToolAnswer):
    document_id: int
    content_type: str | None = None
    bytes: int
    sha256: str
    contents: str | None = Field(default=None, description="base64")
    hint: str | None = None
    uri: str | None = None
    download: str | None = Field(default=None, description="for a person, once")

    def links(self) -> tuple[FileLink, ...]:
        if self.uri is None or self.content_type is None:
            return ()
        return (FileLink(self.uri, f"document {self.document_id}", self.content_type, self.bytes),)


@tool("Get a document")
async def get_document(
    grant: Grant, customer_id: CustomerId, document_id: DocumentId, detail: Detail = "brief"
) -> DocumentFile:
    """Type, size and digest of a document; full detail adds contents up to 64 KiB, only where the person needs the
    file. To find one use list_documents."""
    content = await grant.roadster.get_document(customer_id, document_id)
    kind = content_type(content)
    uri = file_uri(grant.roadster.dpid, "customers", customer_id, "documents", document_id)
    is_shown = kind is not None and grant.caller.sees_contact_data
    download = await grant.download_link(uri, customer_id) if is_shown else None
    hint = _contents_hint(grant, content, kind, download) if detail == "full" else None
    return DocumentFile(
        document_id=document_id,
        content_type=kind,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        contents=base64.b64encode(content).decode() if detail == "full" and hint is None else None,
        hint=hint,
        uri=uri if is_shown and len(content) <= MAX_RESOURCE_BYTES else None,
        download=download,
    )


def _contents_hint(grant: Grant, content: bytes, kind: str | None, download: str | None) -> str | None:
    """Returns why a model may not see the contents, None where it may."""
    if not grant.caller.sees_contact_data:
        setting = grant.caller.setting("personal_data")
        return f'The contents are not shown: {setting} is "masked". The person finds the file in Roadster.'
    if kind is None:
        return "The contents are not shown: they are neither JPEG, PNG nor PDF."
    if len(content) > MAX_ANSWER_FILE_BYTES:
        way = "The person finds the file in Roadster."
        if download is not None:
            way = "Show the person the link in download, which gives them the file once, within ten minutes."
        return f"The contents are not shown: above {MAX_ANSWER_FILE_BYTES} bytes. {way}"
    return None


async def document_file(
    grant: Grant, customer_id: int, document_id: int, detail: Detail, most_bytes: int = MAX_RESOURCE_BYTES
) -> File:
    """Reads one document's file as a resource. Raises MalformedAnswer for another kind of file, or a larger one."""
    del detail  # always full, so that the audit record says that the contents were read
    return resource_file(await grant.roadster.get_document(customer_id, document_id), "get_document", most_bytes)


class DeletionAnswer(ToolAnswer):
    deleted: list[int]


@write_tool("Delete documents", if_unknown="list_documents shows what is still there", destructive=True)
async def delete_documents(
    grant: Grant, customer_id: CustomerId, document_ids: Annotated[list[DocumentId], Field(min_length=1, max_length=50)]
) -> DeletionAnswer:
    """Delete documents for good, only those that the person named. Check with list_documents first, and upload a
    replacement before."""
    await grant.roadster.delete_documents(customer_id, DocumentDeletion(doc_ids=tuple(document_ids)))
    return DeletionAnswer(deleted=document_ids)
