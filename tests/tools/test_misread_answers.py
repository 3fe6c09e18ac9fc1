"""Values of answers that a lenient reader could take for others: a VIN with blanks, a number with a point, a mark."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.conftest import Answering, Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import SOME_VIN, TOOL_EXAMPLES
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio


def feed(row: dict[str, Any]) -> Any:
    def answer(request: httpx2.Request) -> Any:
        is_behind = row["vin"].strip() <= request.url.params.get("from_vin", "").strip()
        return {"vehicles": [] if is_behind else [row], "total": 1}

    return answer


@pytest.mark.parametrize("vin", [f" {SOME_VIN} ", f"{SOME_VIN} ", f"\t{SOME_VIN.lower()}"])
async def test_vin_with_blanks_is_found(vin: str, connect: Connect, world: World) -> None:
    async with connect(upstream=Answering(world, feed({"vin": vin, "stock_number": "S1"}))) as client:
        for wish in ({"vin": SOME_VIN}, {"stock_number": "S1"}, {}):
            (row,) = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, **wish}))["vehicles"]
            assert row["vin"] == SOME_VIN


@pytest.mark.parametrize("number", [12345, 12345.0, "12345", " 12345 "])
async def test_stock_number_with_a_point_is_found(number: Any, connect: Connect, world: World) -> None:
    async with connect(upstream=Answering(world, feed({"vin": SOME_VIN, "stock_number": number}))) as client:
        (row,) = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "stock_number": "12345"}))["vehicles"]
    assert row["stock_number"].strip() == "12345"


@pytest.mark.parametrize("mark", ["deleted", "2026-01-01T00:00:00Z", 1764288000, ["x"], {}])
async def test_template_whose_mark_cannot_be_read_is_not_used(mark: Any, connect: Connect, world: World) -> None:
    template = {"id": 278, "name": "Consent", "is_deleted": mark, "form_definition": {"pages": [{"fields": []}]}}

    def answer(request: httpx2.Request) -> Any:
        return {"/v1/templates": [template], "/v1/templates/details": template}.get(request.url.path)

    async with connect(upstream=Answering(world, answer)) as client:
        listed = answer_of(await client.call_tool("list_templates", AT_UMAZDA))
        one = await client.call_tool("get_template", {**AT_UMAZDA, "template_id": "278"})
        arguments = {**TOOL_EXAMPLES["create_forms"].arguments, **AT_UMAZDA, "template_ids": ["278"]}
        assert kind_of(await client.call_tool("create_forms", arguments)) == "upstream"
    assert (listed["templates"], listed["left_out"]["rows"]) == ([], 1)
    assert kind_of(one) == "upstream"


@pytest.mark.parametrize("contents", ["", " \n", "data:application/pdf;base64,", 1234, None])
async def test_document_without_contents_is_no_file(contents: Any, connect: Connect, world: World) -> None:
    arguments = {**TOOL_EXAMPLES["get_document"].arguments, **AT_UMAZDA}
    async with connect(upstream=Answering(world, lambda _request: {"contents": contents})) as client:
        assert kind_of(await client.call_tool("get_document", arguments)) == "upstream"


@pytest.mark.parametrize("field", ["name", "city"])
async def test_dealer_whose_name_cannot_be_read_is_not_absent(field: str, connect: Connect, world: World) -> None:
    rows = [{"dpid": "umazda", "name": "University Mazda", "city": "Seattle", field: ["odd"]}]
    async with connect(upstream=Answering(world, lambda _request: rows), dealers=["umazda"]) as client:
        result = await client.call_tool("list_dealers", {"query": "Trabant"})
    assert "No dealer of yours" not in text_of(result)
    assert "could not be read, so the dealer may be among them" in answer_of(result)["hint"]
