"""Templates of a dealer's forms: which there are, what is on them, and new ones."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp_types import ElicitResult

from roadster_sandbox import SandboxTransport
from roadster_server.settings.sections.uploads import UploadSettings
from roadster_tools import Access
from tests.conftest import Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import BLANK_PDF, FIELD, LICENCE_PNG, NEW_TEMPLATE
from tests.tools.pdf_files import packed_pdf, pages_of, plain_pdf
from tests.tools.umazda import AT_UMAZDA, FixedAnswer, links_of, operations

pytestmark = pytest.mark.anyio

OWN, HYUNDAIS, TOYOTAS, DELETED = "278", "282", "286", "281"
"""The first template of each dealer, and one of umazda's that is deleted."""


ALL_OF_A_FIELD = ["x", "y", "name", "type", "width", "height", "signee", "fontSize", "formLabel", "agentFilledRequired"]


def template(id_: int = 278, fields: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": id_, "name": "A form", "form_definition": {"pages": [{"fields": [FIELD] * fields}]}, **more}


@pytest.mark.operation("list_templates", "list_templates")
async def test_list_templates_leaves_deleted_ones_out(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("list_templates", AT_UMAZDA)
    answer = answer_of(result)
    assert [row["template_id"] for row in answer["templates"]] == ["278", "279", "280"]
    assert answer["templates"][0] == {
        "template_id": "278",
        "name": "Insurance Acknowledgement",
        "description": "This is for insurance details",
        "pages": 2,
        "fields": 7,
    }
    assert answer["truncated"] is False
    assert text_of(result).splitlines()[1] == (
        "278 Insurance Acknowledgement; This is for insurance details; 2 pages, 7 fields"
    )


async def test_list_templates_pages_hold_each_template_once(connect: Connect) -> None:
    async with connect() as client:
        ids: list[str] = []
        more: dict[str, Any] = {}
        for rest in (2, 1, 0):
            answer = answer_of(await client.call_tool("list_templates", {**AT_UMAZDA, "limit": 1, **more}))
            ids += [row["template_id"] for row in answer["templates"]]
            assert answer["truncated"] is bool(rest)
            assert ("next_cursor" in answer) is bool(rest)
            more = {"cursor": answer.get("next_cursor")}
    assert ids == ["278", "279", "280"]


async def test_list_templates_explains_an_empty_list(connect: Connect) -> None:
    async with connect(upstream=FixedAnswer([])) as client:
        assert "create_template" in answer_of(await client.call_tool("list_templates", AT_UMAZDA))["hint"]


async def test_list_templates_shortens_long_descriptions(connect: Connect) -> None:
    long = [template(id_, description="x" * 5000) for id_ in range(1, 101)]
    async with connect(upstream=FixedAnswer(long)) as client:
        result = await client.call_tool("list_templates", {**AT_UMAZDA, "limit": 100})
    assert len(text_of(result)) < 30_000
    assert {len(row["description"]) for row in answer_of(result)["templates"]} == {200}


@pytest.mark.operation("get_template", "get_template")
async def test_get_template_shows_fields_only_in_full(connect: Connect) -> None:
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


async def test_get_template_definition_makes_another_template(connect: Connect, world: World) -> None:
    """create_template takes the definition of each sandbox template as get_template returns it, and sends the same."""
    async with connect() as client:
        templates = answer_of(await client.call_tool("list_templates", AT_UMAZDA))["templates"]
        for number, row in enumerate(templates):
            query = {**AT_UMAZDA, "template_id": row["template_id"], "detail": "full"}
            definition = answer_of(await client.call_tool("get_template", query))["form_definition"]
            contents = base64.b64encode(plain_pdf(pages_of(len(definition["pages"])))).decode()
            copy = {**NEW_TEMPLATE, "form_definition": definition, "contents": contents}
            answer_of(await client.call_tool("create_template", {**AT_UMAZDA, **copy}))
            copy_in_store = (await world.get("state"))["templates"][number]
            assert copy_in_store["form_definition"] == definition


async def test_get_template_shows_at_most_200_fields(connect: Connect) -> None:
    async with connect(upstream=FixedAnswer(template(fields=300))) as client:
        answer = answer_of(await client.call_tool("get_template", {**AT_UMAZDA, "template_id": OWN, "detail": "full"}))
    assert answer["fields"] == 300
    assert sum(len(page["fields"]) for page in answer["form_definition"]["pages"]) == 200
    assert "first 200" in answer["hint"]


@pytest.mark.parametrize("tool", ["get_template", "get_template_file"])
async def test_get_template_finds_only_the_dealers_templates(tool: str, connect: Connect) -> None:
    async with connect() as client:
        for template_id in (HYUNDAIS, TOYOTAS, "99999"):
            assert kind_of(await client.call_tool(tool, {**AT_UMAZDA, "template_id": template_id})) == "not_found"
        at_hyundai = {"dealer": "hyundaidemo", "template_id": HYUNDAIS}
        assert answer_of(await client.call_tool(tool, at_hyundai))["template_id"] == HYUNDAIS


async def test_get_template_withholds_another_template(connect: Connect) -> None:
    async with connect(upstream=FixedAnswer(template(279))) as client:
        result = await client.call_tool("get_template", {**AT_UMAZDA, "template_id": OWN})
    assert kind_of(result) == "upstream"
    assert "another template" in text_of(result)


@pytest.mark.operation("get_template_file", "get_template_file")
async def test_get_template_file_describes_and_links_it(connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("get_template_file", {**AT_UMAZDA, "template_id": OWN})
    async with httpx2.AsyncClient(transport=SandboxTransport(world.app), base_url="http://sandbox") as http:
        answer = await http.get(
            "/v1/templates/file",
            params={"dpid": "umazda", "template_id": OWN},
            headers={"authorization": "Bearer sandbox-key"},
        )
    base64_text = answer.json()
    content = base64.b64decode(base64_text)
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
    assert base64_text[:20] not in result.model_dump_json()


async def test_get_template_file_links_only_a_pdf(connect: Connect) -> None:
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


@pytest.mark.operation("create_template", "create_template")
async def test_create_template_sends_the_documented_request(connect: Connect, world: World) -> None:
    async with connect() as client:
        answer = answer_of(await client.call_tool("create_template", {**AT_UMAZDA, **NEW_TEMPLATE}))
        templates = answer_of(await client.call_tool("list_templates", AT_UMAZDA))["templates"]
        at_hyundai = answer_of(await client.call_tool("list_templates", {"dealer": "hyundaidemo"}))["templates"]
    (stored_template,) = (await world.get("state"))["templates"]
    request = (await world.requests())[0]
    digest, size = hashlib.sha256(base64.b64decode(BLANK_PDF)).hexdigest(), len(base64.b64decode(BLANK_PDF))
    data = {name: value for name, value in NEW_TEMPLATE.items() if name != "contents"}
    assert request["query"] == {"dpid": "umazda"}
    assert request["body"] == {"form_data": data, "file_stream": f"sha256:{digest}"}
    assert stored_template == {"id": 290, "dpid": "umazda", **data, "sha256": digest, "size": size}
    assert (answer["bytes"], answer["sha256"]) == (size, digest)
    assert templates[-1]["template_id"] == "290"
    assert "290" not in {row["template_id"] for row in at_hyundai}


async def test_create_template_sends_the_file_as_a_data_uri(connect: Connect) -> None:
    bodies: list[Any] = []

    class Keeps(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            bodies.append(json.loads(await request.aread()))
            return httpx2.Response(200, stream=httpx2.ByteStream(b'{"etag": "e9feaffe"}'))

    async with connect(upstream=Keeps()) as client:
        answer_of(await client.call_tool("create_template", {**AT_UMAZDA, **NEW_TEMPLATE}))
    assert bodies[0]["file_stream"] == f"data:application/pdf;charset=utf-8;base64,{BLANK_PDF}"
    assert bodies[0]["form_data"]["form_definition"]["pages"][0]["fields"][0] == FIELD
    assert isinstance(bodies[0]["form_data"]["form_definition"]["pages"][0]["fields"][0]["x"], int)


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"contents": LICENCE_PNG}, "contents"),
        ({"contents": base64.b64encode(b"<html>%PDF-").decode()}, "contents"),
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
async def test_create_template_refuses_unfit_arguments(
    changes: dict[str, Any], argument: str, connect: Connect, world: World
) -> None:
    async with connect() as client:
        result = await client.call_tool("create_template", {**AT_UMAZDA, **NEW_TEMPLATE, **changes})
    assert kind_of(result) == "invalid_arguments"
    assert f"{argument}" in text_of(result)
    assert await world.requests() == []


@pytest.mark.parametrize("write", [plain_pdf, packed_pdf])
async def test_create_template_refuses_fields_behind_the_last_page(
    write: Callable[[Sequence[bytes]], bytes], connect: Connect, world: World
) -> None:
    """The error names the page. A PDF that readers have to repair passes, because it may lose pages."""
    two_pages, broken = write(pages_of(2)), plain_pdf(pages_of(2)).replace(b"startxref\n", b"startxref\n9")
    on = [{"fields": [{**FIELD, "name": f"on_{page}"}]} for page in range(9)]
    async with connect() as client:
        for pages, content, fits in ((2, two_pages, True), (9, two_pages, False), (9, broken, True)):
            arguments = {"form_definition": {"pages": on[:pages]}, "contents": base64.b64encode(content).decode()}
            result = await client.call_tool("create_template", {**AT_UMAZDA, **NEW_TEMPLATE, **arguments})
            if fits:
                answer_of(result)
            else:
                assert "form_definition.pages.2: has fields, and the PDF has only 2 pages" in text_of(result)
    assert await operations(world) == ["create_template"] * 2


async def test_create_template_names_each_mistake_once(connect: Connect, world: World) -> None:
    """Each field lists its choices once, and no problem only follows from another."""
    wrong = {"name": "a", "type": "signature", "x": 1, "label": "A", "font_size": 9}
    arguments = {**NEW_TEMPLATE, "form_definition": {"pages": [{"fields": [wrong]}]}}
    at = "form_definition.pages.0.fields.0"
    async with connect() as client:
        result = await client.call_tool("create_template", {**AT_UMAZDA, **arguments})
    assert text_of(result) == (
        f"Invalid arguments: {at}.y: is missing; {at}.label: no such argument; there are: {', '.join(ALL_OF_A_FIELD)}; "
        f"{at}.font_size: no such argument. Nothing was sent; correct them and call again."
    )
    assert await world.requests() == []


async def test_create_template_reads_the_upload_folder(connect: Connect, world: World, tmp_path: Path) -> None:
    (tmp_path / "form.pdf").write_bytes(base64.b64decode(BLANK_PDF))
    (tmp_path / "page.pdf").write_bytes(base64.b64decode(LICENCE_PNG))
    arguments = {**AT_UMAZDA, **NEW_TEMPLATE, "contents": None}
    async with connect(change={"uploads": UploadSettings(folder=tmp_path)}) as client:
        answer_of(await client.call_tool("create_template", {**arguments, "path": "form.pdf"}))
        for path in ("page.pdf", "nothing.pdf", "../form.pdf"):
            assert (
                kind_of(await client.call_tool("create_template", {**arguments, "path": path})) == "invalid_arguments"
            )
    assert len((await world.get("state"))["templates"]) == 1


async def test_create_template_question_has_a_line_for_each_field(connect: Connect) -> None:
    questions: list[str] = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    fields = [{**FIELD, "name": f"vehicleYear_{number}"} for number in range(15)]
    arguments = {**AT_UMAZDA, **NEW_TEMPLATE, "form_definition": {"pages": [{"fields": fields}]}}
    async with connect(access={"forms": Access.CONFIRM}, ask=ask) as client:
        answer_of(await client.call_tool("create_template", arguments))
    (question,) = questions
    lines = question.splitlines()
    content = base64.b64decode(BLANK_PDF)
    digest = hashlib.sha256(content).hexdigest()[:16]
    assert lines[1] == 'Dealer: "umazda"'
    assert lines[-1] == f'File stream: "<{len(content)} bytes, SHA-256 {digest}>"'
    assert lines[5] == (
        "Form data: form definition: pages 1: fields 1: "
        'x 96, y 555, name "vehicleYear_0", type "vehicleYear", width 40, height 12, signee "__customer__", '
        'font size 8, form label "Year", agent filled required false'
    )
    assert len(lines) == 5 + 15 + 1
