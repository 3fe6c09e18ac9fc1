"""Templates and forms."""

from __future__ import annotations

import base64
import hashlib

import pytest

from roadster_client.models.templates import Template, TemplateReceipt

from .conftest import (
    PDF,
    TEMPLATE,
    ask,
    field_paths,
    get,
    open_client,
    read_log,
    read_sample,
    read_state,
)

pytestmark = pytest.mark.anyio


async def test_templates_are_visible_to_their_dealer_only(http):
    """List, details and file have the fields of the sample. Unknown and foreign templates are 404 without a body."""
    templates = await get(http, "/templates", dpid="umazda")
    assert field_paths(templates) == field_paths(read_sample("templates_list.resp.json"))
    assert [Template.model_validate(template).id for template in templates] == [278, 279, 280, 281]
    assert await get(http, "/templates/details", dpid="umazda", template_id=278) == templates[0]
    for path in ("details", "file"):
        for dpid, template_id in (("hyundaidemo", 278), ("umazda", 282), ("umazda", 999), ("nobody", 278)):
            query = {"dpid": dpid, "template_id": template_id}
            answer = await http.get(f"/v1/templates/{path}", params=query)
            assert (answer.status_code, answer.content) == (404, b"")


async def test_templates_are_the_same_for_the_same_seed(http):
    """Another seed makes other templates."""
    templates = await get(http, "/templates", dpid="umazda")
    async with open_client(7) as same, open_client(8) as different:
        assert await get(same, "/templates", dpid="umazda") == templates
        assert await get(different, "/templates", dpid="umazda") != templates


async def test_file_of_a_template_is_a_valid_pdf(http):
    """Each offset of its table leads to that object. It has as many pages as the definition."""
    for template in await get(http, "/templates", dpid="umazda"):
        query = {"dpid": "umazda", "template_id": template["id"]}
        content = base64.b64decode(await get(http, "/templates/file", **query))
        start = int(content.rsplit(b"startxref\n", 1)[1].split()[0])
        assert content[start:].startswith(b"xref\n")
        offsets = [line for line in content[start:].splitlines() if line.endswith(b" n ")]
        for number, line in enumerate(offsets, 1):
            assert content[int(line[:10]) :].startswith(b"%d 0 obj" % number)
        assert content.count(b"/Type/Page/") == len(template["form_definition"]["pages"])


async def test_new_template_is_stored_and_answered_with_a_receipt(http):
    """The receipt has the fields of the sample, and no id. The log has the digest of the file."""
    answer = await ask(http, "POST", "/templates", TEMPLATE, dpid="hyundaidemo")
    assert answer.json().keys() == read_sample("template_create.resp.json").keys()
    TemplateReceipt.model_validate(answer.json())
    assert (await get(http, "/templates", dpid="hyundaidemo"))[-1]["id"] == 290
    assert await get(http, "/templates/file", dpid="hyundaidemo", template_id=290) == PDF
    [record] = (await read_state(http))["templates"]
    digest = hashlib.sha256(b"%PDF-1.7 a page").hexdigest()
    assert (record["id"], record["dpid"], record["sha256"], record["size"]) == (290, "hyundaidemo", digest, 15)
    log = await read_log(http)
    assert log[0]["body"]["file_stream"] == f"sha256:{digest}"


async def test_forms_need_templates_of_the_dealer_of_the_order(http):
    """An unknown order, a foreign template and a deleted one are 404. The log names the dealer of the order."""
    for order, template_ids in ((1, [278]), (367101, [278, 282]), (367121, [278]), (367101, [281])):
        body = {"title": "Please sign", "template_ids": template_ids}
        answer = await ask(http, "POST", f"/orders/{order}/forms", body)
        assert (answer.status_code, answer.content) == (404, b"")
    assert (await read_state(http))["forms"] == []
    body = {**read_sample("forms_create.req.json"), "template_ids": [278, 279]}
    assert (await ask(http, "POST", "/orders/367104/forms", body)).json() == {}
    assert (await read_state(http))["forms"] == [{"dpid": "umazda", "order_id": 367104, **body}]
    assert (await read_log(http))[-1]["dealer"] == "umazda"
