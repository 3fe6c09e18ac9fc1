"""Templates of a dealer's documents, and the forms that are made from them for an order."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from pydantic import AfterValidator, Field

from roadster_client.models.templates import (
    FormDefinition,
    FormPage,
    NewFormDefinition,
    NewTemplate,
    Template,
    TemplateData,
)
from roadster_tools.answers import FileLink, ToolAnswer, UnreadRows, list_text, quantity, shorten
from roadster_tools.arguments.parameters import Cursor, Detail, Limit, OrderId, TemplateId
from roadster_tools.catalogue import tool, write_tool
from roadster_tools.cursors import Page
from roadster_tools.failures import AccessRefused, InvalidArguments
from roadster_tools.files.files import (
    MAX_RESOURCE_BYTES,
    PDF,
    Contents,
    File,
    FileArguments,
    Handle,
    LocalPath,
    check_pdf,
    content_type,
    file_uri,
    resource_file,
)
from roadster_tools.files.pdf import LOCKED_NOTICE
from roadster_tools.gate.gate import Grant
from roadster_tools.gate.waiting_files import FilePurpose

_LONGEST_DESCRIPTION = 200
"""Characters."""
_MOST_FIELDS = 200
"""Fields of one answer."""


def _pdf_name(value: str) -> str:
    if re.fullmatch(r"[^/\\\x00]{1,200}\.pdf", value, re.IGNORECASE) is None:
        raise ValueError("expected a name that ends in .pdf, without a folder")
    return value


PdfName = Annotated[str, AfterValidator(_pdf_name)]
Title = Annotated[str, Field(min_length=1, max_length=200)]


class TemplateRow(ToolAnswer):
    template_id: str
    name: str | None = None
    description: str | None = Field(default=None, description="at most its first 200 characters")
    pages: int
    fields: int

    def text(self) -> str:
        size = f"{quantity(self.pages, 'page')}, {quantity(self.fields, 'field')}"
        return "; ".join(filter(None, [f"{self.template_id} {self.name or ''}".rstrip(), self.description, size]))


class TemplatesAnswer(ToolAnswer):
    templates: list[TemplateRow]
    truncated: bool = Field(description="whether there are more behind next_cursor")
    next_cursor: str | None = None
    hint: str | None = None

    def text(self) -> str:
        rows = [quantity(len(self.templates), "template"), *(row.text() for row in self.templates)]
        return list_text(rows, next_cursor=self.next_cursor, hint=self.hint)


@tool("List a dealer's form templates")
async def list_templates(grant: Grant, limit: Limit = 20, cursor: Cursor | None = None) -> TemplatesAnswer:
    """A dealer's templates of documents to sign: id, name, description, how many pages and fields. Has the ids for
    create_forms; for what is on a template use get_template."""
    page = Page.at(cursor, limit, grant.cursors, "list_templates")
    usable = await _usable_templates(grant)
    rows, next_cursor = await page.select(usable, _template_row)
    return TemplatesAnswer(
        templates=rows,
        truncated=next_cursor is not None,
        next_cursor=next_cursor,
        hint=None if rows else _empty_hint(grant, bool(usable)),
    )


def _empty_hint(grant: Grant, any_templates: bool) -> str:
    unread = UnreadRows.of_list(grant.left_out, "")
    if unread:
        return unread.hint("the template")
    return "No more templates." if any_templates else "This dealer has none; create_template makes one."


async def usable_template_ids(grant: Grant, prefix: str, most: int) -> list[str]:
    """Returns at most `most` ids that begin with `prefix`, of templates that forms can be made from."""
    ids = (str(template.id) for template in await _usable_templates(grant))
    return list(islice((id_ for id_ in ids if id_.startswith(prefix)), most))


async def _usable_templates(grant: Grant) -> list[Template]:
    return [template for template in await grant.roadster.list_templates() if not template.is_deleted]


def _template_row(template: Template) -> TemplateRow:
    return TemplateRow(
        template_id=str(template.id),
        name=template.name,
        description=shorten(template.description, _LONGEST_DESCRIPTION),
        pages=len(template.pages),
        fields=sum(len(page.fields) for page in template.pages),
    )


class TemplateAnswer(ToolAnswer):
    template_id: str
    name: str | None = None
    description: str | None = None
    file_name: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    deleted: bool | None = Field(default=None, description="said where it is: no forms can be made of it")
    order_id: str | None = Field(default=None, description="said where it is of one order alone")
    pages: int
    fields: int
    signees: list[str] = Field(description="who has fields to fill")
    form_definition: FormDefinition | None = Field(
        default=None, description="with detail full: each field, as create_template takes it"
    )
    hint: str | None = None


@tool("Get a form template")
async def get_template(grant: Grant, template_id: TemplateId, detail: Detail = "brief") -> TemplateAnswer:
    """One template: name, pages, fields, and who fills them in; full detail adds form_definition, as create_template
    takes it. For the blank PDF use get_template_file."""
    template = await grant.roadster.get_template(template_id)
    fields = [field for page in template.pages for field in page.fields]
    is_cut = detail == "full" and len(fields) > _MOST_FIELDS
    return TemplateAnswer(
        template_id=template_id,
        name=template.name,
        description=template.description,
        file_name=template.file_name,
        created_at=template.created_at,
        updated_at=template.updated_at,
        deleted=template.is_deleted or None,
        order_id=template.order_id,
        pages=len(template.pages),
        fields=len(fields),
        signees=sorted({field.signee for field in fields if field.signee}),
        form_definition=FormDefinition(pages=tuple(_first_fields(template))) if detail == "full" else None,
        hint=f"The first {_MOST_FIELDS} fields are shown." if is_cut else None,
    )


def _first_fields(template: Template) -> Iterator[FormPage]:
    room = _MOST_FIELDS
    for page in template.pages:
        yield FormPage(fields=page.fields[:room])
        room -= min(room, len(page.fields))


class TemplateFile(ToolAnswer):
    template_id: str
    file_name: str | None = None
    content_type: str | None = Field(default=None, description="none if no PDF")
    bytes: int
    sha256: str
    uri: str | None = None
    download: str | None = Field(default=None, description="for a person")
    hint: str | None = None

    def links(self) -> tuple[FileLink, ...]:
        if self.uri is None:
            return ()
        return (FileLink(self.uri, self.file_name or f"template {self.template_id}", PDF, self.bytes),)


@tool("Get a form template's PDF")
async def get_template_file(grant: Grant, template_id: TemplateId) -> TemplateFile:
    """A template's blank PDF: name, size, digest, and a link for a client that reads resources, never the contents. Use
    it to show a person the form; for its fields use get_template."""
    template = await grant.roadster.get_template(template_id)
    content = await grant.roadster.get_template_file(template_id)
    is_pdf = content_type(content) == PDF
    is_shown = is_pdf and _may_see_file(grant, template)
    readable = is_shown and len(content) <= MAX_RESOURCE_BYTES
    uri = file_uri(grant.roadster.dpid, "templates", template_id)
    return TemplateFile(
        template_id=template_id,
        file_name=template.file_name,
        content_type=PDF if is_pdf else None,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        uri=uri if readable else None,
        download=await grant.download_link(uri, None) if is_shown else None,
        hint=None if readable else _unlinked_hint(grant, template, is_pdf),
    )


def _unlinked_hint(grant: Grant, template: Template, is_pdf: bool) -> str:
    if not _may_see_file(grant, template):
        reason = "of one order, and not for this caller"
    else:
        reason = f"{'too large' if is_pdf else 'no PDF'}, and not linked to"
    return f"The file is {reason}. The dealer finds it in Roadster."


def _may_see_file(grant: Grant, template: Template) -> bool:
    """Tells whether the caller may see the file. A template of one order is a document of that order's customer."""
    return template.order_id is None or grant.caller.sees_contact_data


async def template_file(grant: Grant, template_id: str, most_bytes: int = MAX_RESOURCE_BYTES) -> File:
    """Reads a template's PDF as a resource.

    Raises AccessRefused, and MalformedAnswer for another kind of file, or a larger one.
    """
    if not _may_see_file(grant, await grant.roadster.get_template(template_id)):
        setting = grant.caller.setting("personal_data")
        raise AccessRefused(
            f'{setting} is "masked", and the file of a template of one order needs "contact"', setting=setting
        )
    content = await grant.roadster.get_template_file(template_id)
    return resource_file(content, "get_template_file", most_bytes, only_pdf=True)


class NewTemplateAnswer(ToolAnswer):
    name: str
    file_name: str
    bytes: int
    sha256: str
    hint: str = "Roadster gives no id; list_templates shows it."


@write_tool(
    "Create a form template", if_unknown="list_templates shows whether there is a template of that name, and how many"
)
async def create_template(
    grant: Grant,
    name: Title,
    file_name: PdfName,
    form_definition: NewFormDefinition,
    description: Annotated[str | None, Field(max_length=500)] = None,
    contents: Contents | None = None,
    path: LocalPath | None = None,
    upload: Handle | None = None,
) -> NewTemplateAnswer:
    """Add a template: a blank PDF and the places of its fields. Each call adds another; none is changed or removed
    here. For documents of one deal use create_forms. Without a file, a person gets a link for it."""
    arguments = FileArguments(contents, path, upload)
    if await arguments.need_a_person(grant.uploads):
        _check_definition(form_definition, None)
    file = await arguments.read(grant.uploads, FilePurpose("create_template"))
    content, facts = file.content, await check_pdf(file)
    _check_definition(form_definition, facts.pages)
    if facts.asks_for_password:
        grant.notices.append(LOCKED_NOTICE)
    data = TemplateData(name=name, file_name=file_name, description=description, form_definition=form_definition)
    await grant.roadster.create_template(NewTemplate.from_pdf(data, content))
    await arguments.discard(grant.uploads)
    return NewTemplateAnswer(
        name=name, file_name=file_name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
    )


def _check_definition(definition: NewFormDefinition, pages: int | None) -> None:
    """Raises InvalidArguments for mistakes that no schema can express.

    `pages` is the PDF's number of pages, None where they cannot be counted.
    """
    problems: dict[str, str] = {}
    names: set[str] = set()
    for number, page in enumerate(definition.pages):
        place = f"form_definition.pages.{number}"
        if pages is not None and number >= pages and page.fields:
            problems[place] = f"has fields, and the PDF has only {quantity(pages, 'page')}"
        for index, field in enumerate(page.fields):
            if field.name in names:
                problems[f"{place}.fields.{index}.name"] = "an earlier field has the same name; each needs its own"
            names.add(field.name)
    if problems:
        raise InvalidArguments(problems)


class FormsAnswer(ToolAnswer):
    order_id: str
    title: str
    forms: list[str] = Field(description="the templates' names, in order")


@write_tool(
    "Create forms for an order",
    if_unknown="Ask the dealer whether the order has a packet of that title; another call makes another packet",
)
async def create_forms(
    grant: Grant,
    order_id: OrderId,
    title: Annotated[Title, Field(description="of the packet")],
    template_ids: Annotated[list[TemplateId], Field(min_length=1, max_length=10)],
) -> FormsAnswer:
    """Make a packet of forms for an order: Roadster fills the templates with the deal and gives them to customer and
    dealer to sign. Only for an order that the person named. For a filled-in document use upload_document."""
    repeats = [at for at, id_ in enumerate(template_ids) if id_ in template_ids[:at]]
    if repeats:
        raise InvalidArguments({f"template_ids.{at}": "is there before" for at in repeats})
    order = await grant.order(order_id)
    templates = await grant.roadster.get_templates(template_ids)
    reasons = [template.unusable_reason(order_id) for template in templates]
    if any(reasons):
        problem = "this template is {}; list_templates shows those there are"
        raise InvalidArguments(
            {f"template_ids.{at}": problem.format(reason) for at, reason in enumerate(reasons) if reason},
            has_read=True,
        )
    await order.create_forms(title, templates)
    return FormsAnswer(
        order_id=order_id, title=title, forms=[template.name or str(template.id) for template in templates]
    )
