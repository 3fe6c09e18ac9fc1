"""Templates and forms: whose template, whose order, and what of a file reaches a model."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitResult, ResourceLink

from roadster_sandbox import DEALERS, SandboxTransport
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections import DealerSettings, UploadSettings
from roadster_tools import TOOLS, Access
from tests.conftest import (
    BLANK_PDF,
    FIELD,
    LICENCE_PNG,
    NEW_TEMPLATE,
    STEVE,
    Connect,
    World,
    answer_of,
    kind_of,
    settings_for,
    text_of,
)
from tests.tools.pdf_files import packed_pdf, pages_of, plain_pdf

pytestmark = pytest.mark.anyio

AT_UMAZDA = {"dealer": "umazda"}
UMAZDA, HYUNDAI, TOYOTA = DEALERS
OWN, HYUNDAIS, TOYOTAS, DELETED = "278", "282", "286", "281"
"""The first template of each dealer, and one of umazda's that is deleted."""

ALL_OF_A_FIELD = ["x", "y", "name", "type", "width", "height", "signee", "fontSize", "formLabel", "agentFilledRequired"]

LISTED, UNLISTED = (str(order) for order in (UMAZDA.orders[0], UMAZDA.orders[-1]))
FORMS = {**AT_UMAZDA, "order_id": LISTED, "title": "Please sign", "template_ids": [OWN]}


async def operations(world: World) -> list[str]:
    return [request["operation"] for request in await world.requests()]


class Says(httpx2.AsyncBaseTransport):
    """An upstream that answers everything with one body."""

    def __init__(self, json_: Any) -> None:
        self._body = json.dumps(json_).encode()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=httpx2.ByteStream(self._body))


def template(id_: int = 278, fields: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": id_, "name": "A form", "form_definition": {"pages": [{"fields": [FIELD] * fields}]}, **more}


def of_order(world: World, order: Any) -> httpx2.AsyncBaseTransport:
    """The sandbox, whose first template is of one order."""
    sandbox = SandboxTransport(world.app)

    class OfOrder(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            response = await sandbox.handle_async_request(request)
            if not request.url.path.endswith(("/templates", "/details")):
                return response
            found = json.loads(await response.aread())
            listed = found if isinstance(found, list) else [found]
            changed = [{**each, "order_id": order} if str(each["id"]) == OWN else each for each in listed]
            body = json.dumps(changed[:1] if isinstance(found, list) else changed[0]).encode()
            return httpx2.Response(200, stream=httpx2.ByteStream(body))

    return OfOrder()


# --- templates ------------------------------------------------------------------------------------


@pytest.mark.operation("list_templates", "list_templates")
async def test_a_dealers_templates_are_listed_but_for_the_deleted_ones(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("list_templates", AT_UMAZDA)
    found = answer_of(result)
    assert [row["template_id"] for row in found["templates"]] == ["278", "279", "280"]
    assert found["templates"][0] == {
        "template_id": "278",
        "name": "Insurance Acknowledgement",
        "description": "This is for insurance details",
        "pages": 2,
        "fields": 7,
    }
    assert found["truncated"] is False
    assert text_of(result).splitlines()[1] == (
        "278 Insurance Acknowledgement; This is for insurance details; 2 pages, 7 fields"
    )


async def test_templates_come_in_parts_and_none_twice(connect: Connect) -> None:
    async with connect() as client:
        seen: list[str] = []
        more: dict[str, Any] = {}
        for left in (2, 1, 0):
            found = answer_of(await client.call_tool("list_templates", {**AT_UMAZDA, "limit": 1, **more}))
            seen += [row["template_id"] for row in found["templates"]]
            assert found["truncated"] is bool(left)
            assert ("next_cursor" in found) is bool(left)
            more = {"cursor": found.get("next_cursor")}
    assert seen == ["278", "279", "280"]


async def test_a_cursor_is_good_for_its_own_list_alone(connect: Connect, world: World) -> None:
    """Another tool's, another dealer's and a made-up one are refused before anything is sent."""
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))["customer_id"]
        templates = answer_of(await client.call_tool("list_templates", {**AT_UMAZDA, "limit": 1}))["next_cursor"]
        vehicles = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 1}))["next_cursor"]
        sent = len(await world.requests())
        for tool, arguments in (
            ("list_templates", {"cursor": vehicles}),
            ("list_templates", {"cursor": "made-up"}),
            ("list_templates", {"cursor": templates, "dealer": "hyundaidemo"}),
            ("list_inventory", {"cursor": templates}),
            ("list_documents", {"cursor": templates, "customer_id": customer}),
        ):
            result = await client.call_tool(tool, {**AT_UMAZDA, **arguments})
            assert kind_of(result) == "invalid_arguments", tool
            assert "cursor:" in text_of(result)
    assert len(await world.requests()) == sent


async def test_documents_come_in_parts_too(connect: Connect) -> None:
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))["customer_id"]
        at = {**AT_UMAZDA, "customer_id": customer}
        empty = answer_of(await client.call_tool("list_documents", at))
        document = {"document_type": "deal", "document_name": "Page", "file_name": "a.png", "contents": LICENCE_PNG}
        for _ in range(3):
            answer_of(await client.call_tool("upload_document", {**at, **document}))
        first = answer_of(await client.call_tool("list_documents", {**at, "limit": 2}))
        rest = answer_of(await client.call_tool("list_documents", {**at, "limit": 2, "cursor": first["next_cursor"]}))
        elsewhere = await client.call_tool(
            "list_documents", {**at, "binder": "deal_docs", "cursor": first["next_cursor"]}
        )
    assert (empty["documents"], empty["hint"]) == ([], "The binder is empty.")
    assert (len(first["documents"]), first["truncated"]) == (2, True)
    assert (len(rest["documents"]), rest["truncated"]) == (1, False)
    assert not {row["document_id"] for row in first["documents"]} & {row["document_id"] for row in rest["documents"]}
    assert kind_of(elsewhere) == "invalid_arguments"


async def test_an_empty_list_of_templates_says_what_to_do(connect: Connect) -> None:
    async with connect(upstream=Says([])) as client:
        assert "create_template" in answer_of(await client.call_tool("list_templates", AT_UMAZDA))["hint"]


async def test_a_long_description_does_not_fill_a_list(connect: Connect) -> None:
    long = [template(id_, description="x" * 5000) for id_ in range(1, 101)]
    async with connect(upstream=Says(long)) as client:
        result = await client.call_tool("list_templates", {**AT_UMAZDA, "limit": 100})
    assert len(text_of(result)) < 30_000
    assert {len(row["description"]) for row in answer_of(result)["templates"]} == {200}


@pytest.mark.operation("get_template", "get_template")
async def test_a_template_is_told_briefly_and_with_its_fields_on_request(connect: Connect) -> None:
    async with connect() as client:
        brief = answer_of(await client.call_tool("get_template", {**AT_UMAZDA, "template_id": OWN}))
        full = answer_of(
            await client.call_tool("get_template", {**AT_UMAZDA, "template_id": int(OWN), "detail": "full"})
        )
    assert brief["signees"] == ["__agent__", "__customer__"]
    assert brief["file_name"] == "Insurance Acknowledgement.pdf"
    assert "form_definition" not in brief
    pages = full.pop("form_definition")["pages"]
    assert full == brief
    assert [len(page["fields"]) for page in pages] == [5, 2]
    assert pages[0]["fields"][0].keys() == FIELD.keys()


async def test_what_a_template_is_told_with_can_be_given_for_another(connect: Connect, world: World) -> None:
    """The definition of each template that the sandbox has, as get_template gives it, is one that create_template
    takes, and what arrives is the same."""
    async with connect() as client:
        listed = answer_of(await client.call_tool("list_templates", AT_UMAZDA))["templates"]
        for number, row in enumerate(listed):
            asked = {**AT_UMAZDA, "template_id": row["template_id"], "detail": "full"}
            definition = answer_of(await client.call_tool("get_template", asked))["form_definition"]
            copy = {**NEW_TEMPLATE, "form_definition": definition}
            answer_of(await client.call_tool("create_template", {**AT_UMAZDA, **copy}))
            kept = (await world.get("state"))["templates"][number]
            assert kept["form_definition"] == definition


async def test_the_fields_of_a_large_template_are_bounded(connect: Connect) -> None:
    async with connect(upstream=Says(template(fields=300))) as client:
        found = answer_of(await client.call_tool("get_template", {**AT_UMAZDA, "template_id": OWN, "detail": "full"}))
    assert found["fields"] == 300
    assert sum(len(page["fields"]) for page in found["form_definition"]["pages"]) == 200
    assert "first 200" in found["hint"]


@pytest.mark.parametrize("tool", ["get_template", "get_template_file"])
async def test_another_dealers_template_is_not_found(tool: str, connect: Connect) -> None:
    async with connect() as client:
        for template_id in (HYUNDAIS, TOYOTAS, "99999"):
            assert kind_of(await client.call_tool(tool, {**AT_UMAZDA, "template_id": template_id})) == "not_found"
        at_hyundai = {"dealer": "hyundaidemo", "template_id": HYUNDAIS}
        assert answer_of(await client.call_tool(tool, at_hyundai))["template_id"] == HYUNDAIS


async def test_an_answer_that_is_another_template_is_withheld(connect: Connect) -> None:
    async with connect(upstream=Says(template(279))) as client:
        result = await client.call_tool("get_template", {**AT_UMAZDA, "template_id": OWN})
    assert kind_of(result) == "upstream"
    assert "another template" in text_of(result)


@pytest.mark.parametrize(
    "wrong", ["", "0", "0278", "-1", "278 ", "a", "278/..", "278&dpid=toyotademo", 0, 2.5, True, []]
)
async def test_what_is_no_id_is_refused_before_anything_is_sent(wrong: Any, connect: Connect, world: World) -> None:
    async with connect() as client:
        for tool, arguments in (
            ("get_template", {"template_id": wrong}),
            ("create_forms", {**FORMS, "order_id": wrong}),
            ("create_forms", {**FORMS, "template_ids": [wrong]}),
        ):
            result = await client.call_tool(tool, {**AT_UMAZDA, **arguments})
            assert kind_of(result) == "invalid_arguments"
            assert "toyotademo" not in text_of(result)
    assert await world.requests() == []


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.operation("get_template_file", "get_template_file")
async def test_a_templates_file_is_described_and_linked_and_never_in_the_answer(connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("get_template_file", {**AT_UMAZDA, "template_id": OWN})
    async with httpx2.AsyncClient(transport=SandboxTransport(world.app), base_url="http://sandbox") as http:
        answer = await http.get(
            "/v1/templates/file",
            params={"dpid": "umazda", "template_id": OWN},
            headers={"authorization": "Bearer sandbox-key"},
        )
    encoded = answer.json()
    content = base64.b64decode(encoded)
    uri = "roadster://umazda/templates/278/file"
    assert content.startswith(b"%PDF-")
    assert answer_of(result) == {
        "template_id": OWN,
        "file_name": "Insurance Acknowledgement.pdf",
        "content_type": "application/pdf",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "uri": uri,
    }
    assert links_of(result) == [(uri, "Insurance Acknowledgement.pdf", "application/pdf", len(content))]
    assert encoded[:20] not in result.model_dump_json()


def links_of(result: CallToolResult) -> list[tuple[str, str, str | None, int | None]]:
    first, *links = result.content
    assert first.type == "text"
    assert all(isinstance(link, ResourceLink) for link in links)
    return [(link.uri, link.name, link.mime_type, link.size) for link in links if isinstance(link, ResourceLink)]


async def test_a_file_that_is_no_pdf_is_not_linked_and_one_that_is_not_base64_withheld(connect: Connect) -> None:
    class Answers(httpx2.AsyncBaseTransport):
        def __init__(self, file: str) -> None:
            self._file = file

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            body = self._file if request.url.path.endswith("/file") else template()
            return httpx2.Response(200, stream=httpx2.ByteStream(json.dumps(body).encode()))

    arguments = {**AT_UMAZDA, "template_id": OWN}
    page = base64.encodebytes(b"<script>alert(1)</script>").decode()
    async with connect(upstream=Answers(page)) as client:
        result = await client.call_tool("get_template_file", arguments)
    assert "no PDF" in answer_of(result)["hint"]
    assert links_of(result) == []
    async with connect(upstream=Answers("not base64!")) as client:
        assert kind_of(await client.call_tool("get_template_file", arguments)) == "upstream"


@pytest.mark.parametrize(("personal_data", "linked"), [("contact", True), ("masked", False)])
async def test_a_document_is_linked_for_who_may_see_its_contents(
    personal_data: str, linked: bool, connect: Connect
) -> None:
    async with connect(personal_data=personal_data) as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))["customer_id"]
        at = {**AT_UMAZDA, "customer_id": customer}
        document = {"document_type": "deal", "document_name": "Page", "file_name": "a.png", "contents": LICENCE_PNG}
        made = answer_of(await client.call_tool("upload_document", {**at, **document}))["document_id"]
        result = await client.call_tool("get_document", {**at, "document_id": made})
    uri = f"roadster://umazda/customers/{customer}/documents/{made}/file"
    size = len(base64.b64decode(LICENCE_PNG))
    assert links_of(result) == ([(uri, f"document {made}", "image/png", size)] if linked else [])
    assert ("uri" in answer_of(result)) is linked


# --- a new template -------------------------------------------------------------------------------


@pytest.mark.operation("create_template", "create_template")
async def test_a_template_is_added_as_the_reference_documents_it(connect: Connect, world: World) -> None:
    async with connect() as client:
        made = answer_of(await client.call_tool("create_template", {**AT_UMAZDA, **NEW_TEMPLATE}))
        listed = answer_of(await client.call_tool("list_templates", AT_UMAZDA))["templates"]
        at_hyundai = answer_of(await client.call_tool("list_templates", {"dealer": "hyundaidemo"}))["templates"]
    (kept,) = (await world.get("state"))["templates"]
    sent = (await world.requests())[0]
    digest = hashlib.sha256(base64.b64decode(BLANK_PDF)).hexdigest()
    data = {name: value for name, value in NEW_TEMPLATE.items() if name != "contents"}
    assert sent["query"] == {"dpid": "umazda"}
    assert sent["body"] == {"form_data": data, "file_stream": f"sha256:{digest}"}
    assert kept == {"id": 290, "dpid": "umazda", **data, "sha256": digest, "size": 21}
    assert (made["bytes"], made["sha256"]) == (21, digest)
    assert listed[-1]["template_id"] == "290"
    assert "290" not in {row["template_id"] for row in at_hyundai}


async def test_the_file_is_sent_behind_the_documented_header(connect: Connect) -> None:
    bodies: list[Any] = []

    class Keeps(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            bodies.append(json.loads(await request.aread()))
            return httpx2.Response(200, stream=httpx2.ByteStream(b"{}"))

    async with connect(upstream=Keeps()) as client:
        answer_of(await client.call_tool("create_template", {**AT_UMAZDA, **NEW_TEMPLATE}))
    assert bodies[0]["file_stream"] == f"data:application/pdf;charset=utf-8;base64,{BLANK_PDF}"
    assert bodies[0]["form_data"]["form_definition"]["pages"][0]["fields"][0] == FIELD
    assert isinstance(bodies[0]["form_data"]["form_definition"]["pages"][0]["fields"][0]["x"], int)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"contents": LICENCE_PNG}, "contents"),
        ({"contents": base64.b64encode(b"<html>%PDF-").decode()}, "contents"),
        ({"contents": f"data:application/pdf;base64,{BLANK_PDF}"}, "contents"),
        ({"contents": None}, "contents"),
        ({"path": "form.pdf"}, "contents"),
        ({"contents": None, "path": "form.pdf"}, "path"),
        ({"file_name": "form.png"}, "file_name"),
        ({"file_name": "../form.pdf"}, "file_name"),
        ({"name": ""}, "name"),
        ({"form_definition": {"pages": []}}, "form_definition.pages"),
        ({"form_definition": {"pages": [{"fields": [{**FIELD, "x": "left"}]}]}}, "form_definition.pages.0.fields.0.x"),
        ({"form_definition": {"pages": [{"fields": [{**FIELD, "dpid": 1}]}]}}, "form_definition.pages.0.fields.0.dpid"),
        ({"form_definition": {"pages": [{"fields": [FIELD] * 101}]}}, "form_definition"),
        (
            {"form_definition": {"pages": [{"fields": [FIELD]}, {"fields": [FIELD]}]}},
            "form_definition.pages.1.fields.0.name: an earlier field has the same name",
        ),
    ],
)
async def test_a_template_that_would_be_refused_is_refused_here(
    changes: dict[str, Any], named: str, connect: Connect, world: World
) -> None:
    async with connect() as client:
        result = await client.call_tool("create_template", {**AT_UMAZDA, **NEW_TEMPLATE, **changes})
    assert kind_of(result) == "invalid_arguments"
    assert f"{named}" in text_of(result)
    assert await world.requests() == []


@pytest.mark.parametrize("written", [plain_pdf, packed_pdf])
async def test_fields_stand_on_pages_that_the_pdf_has(
    written: Callable[[Sequence[bytes]], bytes], connect: Connect, world: World
) -> None:
    """A field on a page behind the last one is refused by its place. Where the PDF's pages cannot be counted nothing
    is said of them."""
    two_pages, unreadable = written(pages_of(2)), b"%PDF-1.5\n<</Type/ObjStm>>\nstream\nno zlib\nendstream"
    on = [{"fields": [{**FIELD, "name": f"on_{page}"}]} for page in range(9)]
    async with connect() as client:
        for pages, content, fits in ((2, two_pages, True), (9, two_pages, False), (9, unreadable, True)):
            given = {"form_definition": {"pages": on[:pages]}, "contents": base64.b64encode(content).decode()}
            result = await client.call_tool("create_template", {**AT_UMAZDA, **NEW_TEMPLATE, **given})
            if fits:
                answer_of(result)
            else:
                assert "form_definition.pages.2: has fields, and the PDF has only 2 pages" in text_of(result)
    assert await operations(world) == ["create_template"] * 2


@pytest.mark.parametrize(
    "content",
    [
        packed_pdf([*pages_of(2), b" " * 5_000_000]),
        packed_pdf(pages_of(2))[:-60],
    ],
    ids=["much in little", "no end"],
)
async def test_a_pdf_whose_pages_would_cost_everybody_time_is_not_counted(content: bytes, connect: Connect) -> None:
    """A pack that unpacks to megabytes, and a file that is cut off: nothing is said of pages."""
    on = [{"fields": [{**FIELD, "name": f"on_{page}"}]} for page in range(9)]
    given = {"form_definition": {"pages": on}, "contents": base64.b64encode(content).decode()}
    async with connect() as client:
        answer_of(await client.call_tool("create_template", {**AT_UMAZDA, **NEW_TEMPLATE, **given}))


async def test_an_error_in_a_field_names_the_field_and_what_there_is(connect: Connect, world: World) -> None:
    """Each mistake once, and what a field may have once for each field; none that only follows from the others."""
    wrong = {"name": "a", "type": "signature", "x": 1, "label": "A", "font_size": 9}
    given = {**NEW_TEMPLATE, "form_definition": {"pages": [{"fields": [wrong]}]}}
    at = "form_definition.pages.0.fields.0"
    async with connect() as client:
        result = await client.call_tool("create_template", {**AT_UMAZDA, **given})
    assert text_of(result) == (
        f"Invalid arguments: {at}.y: is missing; {at}.label: no such argument; there are: {', '.join(ALL_OF_A_FIELD)}; "
        f"{at}.font_size: no such argument. Nothing was sent; correct them and call again."
    )
    assert await world.requests() == []


async def test_a_templates_pdf_may_lie_in_the_upload_folder(connect: Connect, world: World, tmp_path: Path) -> None:
    (tmp_path / "form.pdf").write_bytes(base64.b64decode(BLANK_PDF))
    (tmp_path / "page.pdf").write_bytes(base64.b64decode(LICENCE_PNG))
    given = {**AT_UMAZDA, **NEW_TEMPLATE, "contents": None}
    async with connect(change={"uploads": UploadSettings(folder=tmp_path)}) as client:
        answer_of(await client.call_tool("create_template", {**given, "path": "form.pdf"}))
        for path in ("page.pdf", "nothing.pdf", "../form.pdf"):
            assert kind_of(await client.call_tool("create_template", {**given, "path": path})) == "invalid_arguments"
    assert len((await world.get("state"))["templates"]) == 1


async def test_a_person_is_shown_each_field_on_a_line_and_the_file_by_its_digest(connect: Connect) -> None:
    questions: list[str] = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    fields = [{**FIELD, "name": f"vehicleYear_{number}"} for number in range(15)]
    given = {**AT_UMAZDA, **NEW_TEMPLATE, "form_definition": {"pages": [{"fields": fields}]}}
    async with connect(access={"forms": Access.CONFIRM}, ask=ask) as client:
        answer_of(await client.call_tool("create_template", given))
    (question,) = questions
    lines = question.splitlines()
    digest = hashlib.sha256(base64.b64decode(BLANK_PDF)).hexdigest()[:16]
    assert lines[1] == 'dpid: "umazda"'
    assert lines[-1] == f'file stream: "<21 bytes, SHA-256 {digest}>"'
    assert lines[5] == (
        "form data.form definition.pages 1.fields 1: "
        'x 96, y 555, name "vehicleYear_0", type "vehicleYear", width 40, height 12, signee "__customer__", '
        'fontSize 8, formLabel "Year", agentFilledRequired false'
    )
    assert len(lines) == 5 + 15 + 1


# --- forms ----------------------------------------------------------------------------------------


@pytest.mark.operation("create_forms", "create_forms")
async def test_forms_are_made_for_an_order_of_the_dealer(connect: Connect, world: World) -> None:
    async with connect() as client:
        made = answer_of(await client.call_tool("create_forms", {**FORMS, "template_ids": [OWN, 279]}))
    assert made == {
        "order_id": LISTED,
        "title": "Please sign",
        "forms": ["Insurance Acknowledgement", "Privacy Notice"],
    }
    assert (await world.get("state"))["forms"] == [
        {"dpid": "umazda", "order_id": int(LISTED), "title": "Please sign", "template_ids": [278, 279]}
    ]
    last = (await world.requests())[-1]
    assert (last["path"], last["query"]) == (f"/v1/orders/{LISTED}/forms", {})
    assert last["body"] == {"title": "Please sign", "template_ids": [278, 279]}


@pytest.mark.parametrize(
    ("dealer", "order"),
    [
        ("umazda", UNLISTED),
        ("umazda", str(HYUNDAI.orders[0])),
        ("umazda", str(TOYOTA.orders[0])),
        ("umazda", "1"),
        ("hyundaidemo", str(HYUNDAI.orders[0])),
        ("hyundaidemo", LISTED),
    ],
)
@pytest.mark.parametrize("level", [Access.PREVIEW, Access.CONFIRM, Access.WRITE])
async def test_an_order_that_nothing_says_is_the_dealers_is_refused_without_any_request(
    dealer: str, order: str, level: Access, connect: Connect, world: World
) -> None:
    """Also an order that is the dealer's at Roadster: here nobody knows that."""
    async with connect(access={"forms": level}) as client:
        result = await client.call_tool("create_forms", {**FORMS, "dealer": dealer, "order_id": order})
    assert kind_of(result) == "refused"
    assert f"dealers.{dealer}.orders" in text_of(result)
    assert order not in text_of(result)
    assert await world.requests() == []


async def test_where_any_order_is_allowed_roadster_decides(connect: Connect, world: World, store_url: str) -> None:
    settings = settings_for(store_url)
    dealers = {**settings.dealers, "umazda": DealerSettings(orders="any")}
    async with connect(change={"dealers": dealers}) as client:
        answer_of(await client.call_tool("create_forms", {**FORMS, "order_id": UNLISTED}))
        assert kind_of(await client.call_tool("create_forms", {**FORMS, "order_id": "1"})) == "not_found"
        # Another dealer's order: umazda's templates are none of that dealer's.
        foreign = {**FORMS, "order_id": str(TOYOTA.orders[0])}
        assert kind_of(await client.call_tool("create_forms", foreign)) == "not_found"
    assert [form["order_id"] for form in (await world.get("state"))["forms"]] == [int(UNLISTED)]


async def test_an_order_that_was_seen_at_the_dealer_is_the_dealers(
    connect: Connect, world: World, store_url: str
) -> None:
    """An event that names it, for instance: kept in the store, for that dealer and as an order."""
    live = LiveSettings(settings_for(store_url))
    async with open_calls(live, local=True, transport=SandboxTransport(world.app)) as calls:
        store = calls.services.store
        await store.add_owned("umazda", "order", UNLISTED)
        await store.add_owned("umazda", "customer", str(UMAZDA.orders[-2]))
    dealers = {dpid: DealerSettings() for dpid in live.current.dealers}
    async with connect(change={"dealers": dealers}) as client:
        answer_of(await client.call_tool("create_forms", {**FORMS, "order_id": UNLISTED}))
        for other in (
            {**FORMS, "dealer": "hyundaidemo", "order_id": UNLISTED},
            {**FORMS, "order_id": str(UMAZDA.orders[-2])},
        ):
            assert kind_of(await client.call_tool("create_forms", other)) == "refused"
    assert len((await world.get("state"))["forms"]) == 1


@pytest.mark.parametrize("foreign", [HYUNDAIS, TOYOTAS, "99999"])
@pytest.mark.parametrize("level", [Access.PREVIEW, Access.CONFIRM, Access.WRITE])
async def test_a_template_of_another_dealer_is_not_found_and_nothing_written_or_asked(
    foreign: str, level: Access, connect: Connect, world: World
) -> None:
    asked: list[str] = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(access={"forms": level}, ask=ask) as client:
        result = await client.call_tool("create_forms", {**FORMS, "template_ids": [OWN, foreign]})
    assert kind_of(result) == "not_found"
    assert text_of(result) == ("create_forms: not found at this dealer. Check template_ids.1. Nothing was changed.")
    assert asked == []
    assert await operations(world) == ["get_template", "get_template"]
    assert {request["dealer"] for request in await world.requests()} == {"umazda"}


async def test_no_forms_are_made_of_a_deleted_template(connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("create_forms", {**FORMS, "template_ids": [OWN, DELETED]})
        told = answer_of(await client.call_tool("get_template", {**AT_UMAZDA, "template_id": DELETED}))
    assert kind_of(result) == "invalid_arguments"
    assert "template_ids.1: this template is deleted" in text_of(result)
    assert told["deleted"] is True
    assert (await world.get("state"))["forms"] == []


@pytest.mark.parametrize("order", [UNLISTED, "999999", 999999, ""])
async def test_a_template_of_another_order_is_used_for_none_but_that(
    order: Any, connect: Connect, world: World
) -> None:
    async with connect(upstream=of_order(world, order)) as client:
        result = await client.call_tool("create_forms", {**FORMS, "template_ids": ["279", OWN]})
    assert kind_of(result) == "invalid_arguments"
    assert "template_ids.1: this template is of another order" in text_of(result)
    assert (await world.get("state"))["forms"] == []


@pytest.mark.parametrize("order", [LISTED, int(LISTED), None])
async def test_a_template_of_the_order_itself_and_of_none_is_used(order: Any, connect: Connect, world: World) -> None:
    async with connect(upstream=of_order(world, order)) as client:
        made = answer_of(await client.call_tool("create_forms", FORMS))
    assert made["forms"] == ["Insurance Acknowledgement" if order is None else "***"]


async def test_what_a_template_of_one_order_is_called_and_holds_is_for_who_may_see_contact_data(
    connect: Connect, world: World
) -> None:
    arguments = {**AT_UMAZDA, "template_id": OWN}
    uri = f"roadster://umazda/templates/{OWN}/file"
    async with connect(upstream=of_order(world, LISTED)) as client:
        for tool in ("get_template", "get_template_file", "list_templates"):
            result = await client.call_tool(tool, arguments if tool != "list_templates" else AT_UMAZDA)
            assert not result.is_error
            assert links_of(result) == []
            for words in ("Insurance Acknowledgement", "This is for insurance details"):
                assert words not in text_of(result) + json.dumps(result.structured_content), tool
            assert tool != "get_template_file" or "of one order" in answer_of(result)["hint"]
        with pytest.raises(MCPError, match="personal_data"):
            await client.read_resource(uri)
    async with connect(upstream=of_order(world, LISTED), personal_data="contact") as client:
        assert answer_of(await client.call_tool("get_template", arguments))["name"] == "Insurance Acknowledgement"
        assert len(links_of(await client.call_tool("get_template_file", arguments))) == 1
        assert (await client.read_resource(uri)).contents


async def test_a_template_given_twice_is_refused_by_its_place(connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("create_forms", {**FORMS, "template_ids": [OWN, "279", int(OWN)]})
    assert kind_of(result) == "invalid_arguments"
    assert "template_ids.2: is there before" in text_of(result)
    assert await operations(world) == []


async def test_the_question_names_the_order_and_each_template(connect: Connect) -> None:
    questions: list[str] = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="decline")

    async with connect(access={"forms": Access.CONFIRM}, ask=ask) as client:
        result = await client.call_tool("create_forms", {**FORMS, "template_ids": [OWN, "279"]})
    assert kind_of(result) == "not_confirmed"
    (question,) = questions
    assert question == (
        "Create forms for an order at University Mazda (umazda)? This writes to Roadster.\n"
        f'order id: "{LISTED}"\n'
        'title: "Please sign"\n'
        'template ids 1: id 278, name "Insurance Acknowledgement", file name "Insurance Acknowledgement.pdf", '
        'updated at "2025-01-01T00:00:00.000Z", pages 2, fields 7\n'
        'template ids 2: id 279, name "Privacy Notice", file name "Privacy Notice.pdf", '
        'updated at "2025-01-01T00:00:00.000Z", pages 1, fields 2'
    )


class Edits(httpx2.AsyncBaseTransport):
    """The sandbox, where the template is another once it was edited."""

    def __init__(self, world: World, was: bytes, becomes: bytes) -> None:
        self._sandbox = SandboxTransport(world.app)
        self._change = (was, becomes)
        self.edited = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._sandbox.handle_async_request(request)
        if not self.edited or not request.url.path.endswith("/templates/details"):
            return answer
        return httpx2.Response(200, stream=httpx2.ByteStream((await answer.aread()).replace(*self._change)))


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"Insurance Acknowledgement", b"Power of Attorney"),
        (b'"updated_at":"2025', b'"updated_at":"2026'),
        (b'"order_id":null', f'"order_id":"{LISTED}"'.encode()),
    ],
)
async def test_a_template_that_is_another_after_the_yes_is_asked_about_anew(
    was: bytes, becomes: bytes, mode: str, connect: Connect, world: World
) -> None:
    """The ids are the same, and what the person read is not what the customer would sign."""
    upstream = Edits(world, was, becomes)
    questions: list[str] = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        upstream.edited = True
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(mode=mode, access={"forms": Access.CONFIRM}, ask=ask, upstream=upstream) as client:
        first = await client.call_tool("create_forms", FORMS)
        assert (await world.get("state"))["forms"] == []
        answer_of(await client.call_tool("create_forms", FORMS))
    assert kind_of(first) == "not_confirmed"
    assert "to be asked anew" in text_of(first)
    assert len(set(questions)) == 2


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b'"is_deleted":false', b'"is_deleted":true'),
        (b'"order_id":null', f'"order_id":"{UNLISTED}"'.encode()),
    ],
    ids=["deleted", "of another order"],
)
async def test_no_forms_are_made_of_a_template_that_is_gone_while_the_person_thinks(
    was: bytes, becomes: bytes, mode: str, connect: Connect, world: World
) -> None:
    """Deleted, or another order's by now: the yes was not for that."""
    upstream = Edits(world, was, becomes)

    async def ask(_ctx: Any, _params: Any) -> ElicitResult:
        upstream.edited = True
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(mode=mode, access={"forms": Access.CONFIRM}, ask=ask, upstream=upstream) as client:
        result = await client.call_tool("create_forms", FORMS)
    assert kind_of(result) in ("not_found", "invalid_arguments")
    assert (await world.get("state"))["forms"] == []


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_an_order_that_is_taken_from_the_dealer_while_the_person_thinks_is_gone(
    mode: str, connect: Connect, world: World, store_url: str
) -> None:
    live = LiveSettings(settings_for(store_url, access={"forms": Access.CONFIRM}))

    async def ask(_ctx: Any, _params: Any) -> ElicitResult:
        without = {dpid: DealerSettings() for dpid in live.current.dealers}
        live.current = live.current.model_copy(update={"dealers": without})
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(mode=mode, live=live, ask=ask) as client:
        result = await client.call_tool("create_forms", FORMS)
    assert kind_of(result) == "refused"
    assert "dealers.umazda.orders" in text_of(result)
    assert (await world.get("state"))["forms"] == []


async def test_rights_to_an_order_come_from_the_configuration_in_force(
    connect: Connect, world: World, store_url: str
) -> None:
    live = LiveSettings(settings_for(store_url))
    async with connect(live=live) as client:
        answer_of(await client.call_tool("create_forms", FORMS))
        live.current = live.current.model_copy(
            update={"dealers": {dpid: DealerSettings() for dpid in live.current.dealers}}
        )
        assert kind_of(await client.call_tool("create_forms", FORMS)) == "refused"
    assert len((await world.get("state"))["forms"]) == 1


@pytest.mark.parametrize("tool", ["create_template", "create_forms"])
async def test_a_lost_answer_of_either_write_is_unknown_and_not_repeated(
    tool: str, connect: Connect, world: World
) -> None:
    arguments = {"create_template": {**AT_UMAZDA, **NEW_TEMPLATE}, "create_forms": FORMS}[tool]
    await world.fault(tool, "lost_answer")
    async with connect() as client:
        for _ in range(2):
            result = await client.call_tool(tool, {**arguments, "idempotency_key": "forms-4711"})
            assert kind_of(result) == "outcome_unknown"
            assert TOOLS[tool].if_unknown in text_of(result)
    assert (await operations(world)).count(tool) == 1


async def test_a_write_is_replayed_without_links(connect: Connect) -> None:
    """What is kept for a replay is text and structured content: no write may come to have links."""
    async with connect() as client:
        for tool, arguments in (("create_template", {**AT_UMAZDA, **NEW_TEMPLATE}), ("create_forms", FORMS)):
            first, again = [
                await client.call_tool(tool, {**arguments, "idempotency_key": "forms-4711"}) for _ in range(2)
            ]
            assert links_of(first) == links_of(again) == []
            assert answer_of(again) == {**answer_of(first), "replayed": True}
