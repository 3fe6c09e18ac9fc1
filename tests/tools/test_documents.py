"""A customer's documents: upload, list, read, delete."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from roadster_server.settings.sections.uploads import UploadSettings
from tests.conftest import Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import LICENCE_PNG, STEVE, png_of
from tests.tools.umazda import AT_UMAZDA, FixedAnswer, links_of

pytestmark = pytest.mark.anyio


def _document(customer_id: int) -> dict[str, Any]:
    return {
        **AT_UMAZDA,
        "customer_id": customer_id,
        "document_type": "license",
        "document_name": "DL Front",
        "file_name": "license front.png",
        "relationship": "self",
    }


async def _binder(client: Any, contents: str) -> dict[str, Any]:
    """Creates a document of a customer and returns get_document's arguments for it."""
    customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))["customer_id"]
    document = answer_of(await client.call_tool("upload_document", {**_document(customer), "contents": contents}))
    return {**AT_UMAZDA, "customer_id": customer, "document_id": document["document_id"]}


async def test_upload_document_says_how_to_name_an_animated_png(connect: Connect, world: World) -> None:
    """Roadster takes no other names, so the server would only learn the same from its refusal."""
    async with connect() as client:
        document = {**_document(1650260), "file_name": "a.apng", "contents": LICENCE_PNG}
        result = await client.call_tool("upload_document", document)
    assert "file_name: expected a name that ends in .jpg, .jpeg, .png (for an animated PNG too)" in text_of(result)
    assert await world.requests() == []


@pytest.mark.operation("list_documents", "list_documents")
@pytest.mark.operation("upload_document", "upload_document")
async def test_upload_document_puts_it_into_the_binder(connect: Connect, world: World) -> None:
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        upload = answer_of(
            await client.call_tool("upload_document", {**_document(customer["customer_id"]), "contents": LICENCE_PNG})
        )
        listing = answer_of(
            await client.call_tool("list_documents", {**AT_UMAZDA, "customer_id": customer["customer_id"]})
        )
        none = await client.call_tool(
            "list_documents", {**AT_UMAZDA, "customer_id": customer["customer_id"], "binder": "deal_docs"}
        )
    (stored_document,) = (await world.get("state"))["documents"]
    assert [row["document_id"] for row in listing["documents"]] == [upload["document_id"]]
    assert answer_of(none) == {
        "documents": [],
        "truncated": False,
        "hint": 'Nothing in this binder; binder "all" looks into both.',
    }
    assert stored_document["id"] == upload["document_id"]
    assert stored_document["size"] == len(base64.b64decode(LICENCE_PNG))


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"contents": base64.b64encode(b"<html>").decode()}, "contents"),
        ({"contents": "not base64!"}, "contents"),
        ({"contents": None}, "contents"),
        ({"contents": base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 1024 * 1024).decode()}, "contents"),
        ({"file_name": "license.pdf"}, "file_name"),
        ({"file_name": "license.exe"}, "file_name"),
        ({"file_name": "../license.png"}, "file_name"),
        ({"relationship": None}, "relationship"),
        ({"relationship": "co_app"}, "co_app_email_id"),
        ({"co_app_email_id": "testcoapp@gmail.com"}, "co_app_email_id"),
        ({"document_type": "passport"}, "document_type"),
        ({"path": "license.png"}, "contents"),
        ({"contents": None, "path": "license.png"}, "path"),
    ],
)
async def test_upload_document_refuses_unfit_arguments(
    changes: dict[str, Any], argument: str, connect: Connect, world: World
) -> None:
    async with connect() as client:
        result = await client.call_tool("upload_document", {**_document(1650260), "contents": LICENCE_PNG, **changes})
    assert kind_of(result) == "invalid_arguments"
    assert f"{argument}:" in text_of(result)
    assert await world.requests() == []


async def test_upload_document_reads_only_from_the_upload_folder(
    connect: Connect, world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "license.png").write_bytes(base64.b64decode(LICENCE_PNG))
    (tmp_path / "secret.png").write_bytes(base64.b64decode(LICENCE_PNG))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    async with connect(change={"uploads": UploadSettings(folder=folder)}) as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        document = _document(customer["customer_id"])
        answer_of(await client.call_tool("upload_document", {**document, "path": "license.png"}))
        before = len(await world.requests())
        for path in (
            "../secret.png",
            str(tmp_path / "secret.png"),
            "link.png",
            "nothing.png",
            ".",
            "",
            "a\0b",
            "/dev/zero",
        ):
            result = await client.call_tool("upload_document", {**document, "path": path})
            assert kind_of(result) == "invalid_arguments", path
            assert "secret" not in text_of(result)
    assert len(await world.requests()) == before


async def test_list_documents_returns_pages(connect: Connect) -> None:
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


@pytest.mark.operation("get_document", "get_document")
async def test_get_document_shows_contents_only_in_full(connect: Connect) -> None:
    content = base64.b64decode(LICENCE_PNG)
    async with connect(personal_data="contact") as client:
        at = await _binder(client, LICENCE_PNG)
        brief = answer_of(await client.call_tool("get_document", at))
        full = answer_of(await client.call_tool("get_document", {**at, "detail": "full"}))
    assert brief == {
        "document_id": at["document_id"],
        "content_type": "image/png",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "uri": f"roadster://umazda/customers/{at['customer_id']}/documents/{at['document_id']}/file",
    }
    assert full == {**brief, "contents": LICENCE_PNG}


@pytest.mark.parametrize(("size", "is_shown"), [(64 * 1024, True), (64 * 1024 + 1, False)])
async def test_get_document_withholds_large_contents(size: int, is_shown: bool, connect: Connect) -> None:
    content = png_of(size)
    async with connect(personal_data="contact") as client:
        at = await _binder(client, base64.b64encode(content).decode())
        answer = answer_of(await client.call_tool("get_document", {**at, "detail": "full"}))
    assert answer["bytes"] == size
    assert ("contents" in answer) is is_shown
    assert ("65536" in answer.get("hint", "")) is not is_shown


async def test_get_document_withholds_unknown_kinds_of_files(connect: Connect) -> None:
    arguments = {**AT_UMAZDA, "customer_id": 1650260, "document_id": 1602287, "detail": "full"}
    page = base64.encodebytes(b"<script>alert(1)</script>").decode().replace("\n", "\\n")
    async with connect(personal_data="contact", upstream=FixedAnswer(f'{{"contents": "{page}"}}'.encode())) as client:
        answer = answer_of(await client.call_tool("get_document", arguments))
    assert answer.keys() == {"document_id", "bytes", "sha256", "hint"}
    assert "neither" in answer["hint"]
    async with connect(upstream=FixedAnswer(b'{"contents": "Base64 content"}')) as client:
        result = await client.call_tool("get_document", arguments)
    assert kind_of(result) == "upstream"
    assert "not base64" in text_of(result)


async def test_get_document_shows_a_masked_caller_no_contents(connect: Connect) -> None:
    """A licence is a picture of the data that are masked elsewhere."""
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        at = {**AT_UMAZDA, "customer_id": customer["customer_id"]}
        document = {**_document(customer["customer_id"]), "contents": LICENCE_PNG}
        upload = answer_of(await client.call_tool("upload_document", document))
        result = await client.call_tool("get_document", {**at, "document_id": upload["document_id"], "detail": "full"})
        listing = answer_of(await client.call_tool("list_documents", at))
    assert "contents" not in answer_of(result)
    assert LICENCE_PNG not in text_of(result)
    assert 'callers.tester.personal_data is "masked"' in answer_of(result)["hint"], "what the operator can change"
    assert [row["name"] for row in listing["documents"]] == ["***"]
    assert "tell documents apart by type, time and id" in listing["hint"]


@pytest.mark.parametrize(("personal_data", "is_linked"), [("contact", True), ("masked", False)])
async def test_get_document_links_the_file_with_contact_data_only(
    personal_data: str, is_linked: bool, connect: Connect
) -> None:
    async with connect(personal_data=personal_data) as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))["customer_id"]
        at = {**AT_UMAZDA, "customer_id": customer}
        document = {"document_type": "deal", "document_name": "Page", "file_name": "a.png", "contents": LICENCE_PNG}
        document_id = answer_of(await client.call_tool("upload_document", {**at, **document}))["document_id"]
        result = await client.call_tool("get_document", {**at, "document_id": document_id})
    uri = f"roadster://umazda/customers/{customer}/documents/{document_id}/file"
    size = len(base64.b64decode(LICENCE_PNG))
    assert links_of(result) == ([(uri, f"document {document_id}", "image/png", size)] if is_linked else [])
    assert ("uri" in answer_of(result)) is is_linked


async def test_file_for_a_caller_without_links_is_named_by_its_address_only(connect: Connect) -> None:
    """AutoGen and Semantic Kernel fail on any other content than text."""
    async with connect(personal_data="contact", links=False) as client:
        result = await client.call_tool("get_template_file", {**AT_UMAZDA, "template_id": "278"})
    assert links_of(result) == []
    assert answer_of(result)["uri"] == "roadster://umazda/templates/278/file"
    assert answer_of(result)["uri"] in text_of(result)


@pytest.mark.operation("delete_documents", "delete_documents")
async def test_delete_documents_deletes_only_the_named_ones(connect: Connect) -> None:
    async with connect() as client:
        at = await _binder(client, LICENCE_PNG)
        customer = {**AT_UMAZDA, "customer_id": at["customer_id"]}
        others = [(await _binder(client, LICENCE_PNG))["document_id"] for _ in range(2)]
        for dealer, ids in (("umazda", [at["document_id"], 99]), ("hyundaidemo", [at["document_id"]])):
            result = await client.call_tool("delete_documents", {**customer, "dealer": dealer, "document_ids": ids})
            assert kind_of(result) == "not_found"
        ids = [at["document_id"], others[0]]
        deletion = await client.call_tool("delete_documents", {**customer, "document_ids": ids})
        listing = answer_of(await client.call_tool("list_documents", customer))
        assert kind_of(await client.call_tool("get_document", at)) == "not_found"
    assert answer_of(deletion) == {"deleted": ids}
    assert [row["document_id"] for row in listing["documents"]] == [others[1]]
