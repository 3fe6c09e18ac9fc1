"""Wrong requests are refused as documented."""

from __future__ import annotations

import pytest

from roadster_sandbox import API_KEY

from .conftest import (
    AT_UMAZDA,
    CUSTOMER,
    DOCUMENT,
    PDF,
    ROADSTER,
    TEMPLATE,
    TRADE,
    ask,
    first_vin,
    post,
    read_log,
)

pytestmark = pytest.mark.anyio

BAD_BODIES = [
    ("/links", {"dealer": "umazda"}, "Invalid dealer"),
    ("/links", {"dealer": None}, "Missing dealer"),
    ("/links", {"dealer": {}}, "Missing dealer"),
    ("/links", {"dealer": {"dpid": "umazda", "partner_id": "51101"}}, "Invalid dealer"),
    ("/links", {"vehicle": {"vin": "123"}}, "Invalid vin"),
    ("/customers", {"customer": {**CUSTOMER, "email": ""}}, "Missing email"),
    ("/customers", {"customer": {**CUSTOMER, "email": "steve"}}, "Invalid email"),
    ("/customers", {"customer": {"email": "a@b"}}, "Missing first name"),
    ("/payments", {"vehicle": {"vin": "JM1BPACL0S1000001"}}, "Missing customer"),
    ("/payments", {"customer": {}, "vehicle": {}}, "Missing vin"),
    ("/payments", {"customer": {"credit_score": 20}, "vehicle": {"vin": "JM1BPACL0S1000001"}}, "Invalid credit score"),
    ("/create_tradein_offer", {**TRADE, "email": "steve"}, "Invalid email"),
    ("/create_tradein_offer", {**TRADE, "value": -1}, "Invalid value"),
    ("/create_tradein_offer", {}, "Missing dpid"),
    ("/customers/1650260/documents", {**DOCUMENT, "relationship": None}, "Missing relationship"),
    ("/customers/1650260/documents", {**DOCUMENT, "relationship": "co_app"}, "Missing co app email id"),
    ("/customers/1650260/documents", {**DOCUMENT, "contents": "not base64!"}, "Invalid contents"),
    ("/customers/1650260/documents", {**DOCUMENT, "file_name": "page.exe"}, "Invalid file name"),
    ("/customers/1650260/documents", {**DOCUMENT, "document_type": "passport"}, "Invalid document type"),
]


@pytest.mark.parametrize(
    ("path", "query", "body", "error"),
    [
        ("/templates", {}, TEMPLATE, "Missing dealer"),
        ("/templates", {"dpid": "umazda"}, {**TEMPLATE, "file_stream": PDF}, "Invalid file stream"),
        (
            "/templates",
            {"dpid": "umazda"},
            {**TEMPLATE, "file_stream": TEMPLATE["file_stream"] + "!"},
            "Invalid file stream",
        ),
        ("/templates", {"dpid": "umazda"}, {"form_data": TEMPLATE["form_data"]}, "Missing file stream"),
        ("/templates", {"dpid": "umazda"}, {**TEMPLATE, "form_data": {}}, "Missing name"),
        ("/orders/367101/forms", {}, {"template_ids": [278]}, "Missing title"),
        ("/orders/367101/forms", {}, {"title": "Sign", "template_ids": []}, "Invalid template ids"),
    ],
)
async def test_wrong_form_is_refused_in_plain_words(http, path, query, body, error):
    """The answer is a 400 with the documented body."""
    answer = await ask(http, "POST", path, body, **query)
    assert (answer.status_code, answer.json()) == (400, {"status": "error", "error": error})


@pytest.mark.parametrize(("path", "body", "error"), BAD_BODIES)
async def test_wrong_body_is_refused_in_plain_words(http, path, body, error):
    """The answer is a 400 with the documented body."""
    await post(http, "/customers", customer=CUSTOMER)
    answer = await http.post(ROADSTER + path, json={**AT_UMAZDA, **body})
    assert (answer.status_code, answer.json()) == (400, {"status": "error", "error": error})


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "error"),
    [
        ("PUT", "/customers", {"agent": {"id": "x"}}, {}, "Missing id"),
        ("PUT", "/customers", {"agent": {}}, {"id": 1650260}, "Missing agent"),
        ("PUT", "/customers", {"agent": {"email": "x"}}, {"id": 1650260}, "Invalid email"),
        ("GET", "/customers/1650260/documents/content", {}, {}, "Missing doc id"),
        ("DELETE", "/customers/1650260/documents", {}, {}, "Missing doc ids"),
        ("DELETE", "/customers/1650260/documents", {"doc_ids": []}, {}, "Invalid doc ids"),
    ],
)
async def test_wrong_put_get_or_delete_is_refused_in_plain_words(http, method, path, body, query, error):
    """The customer exists, and the answer is a 400 with the documented body."""
    await post(http, "/customers", customer=CUSTOMER)
    answer = await ask(http, method, path, {**AT_UMAZDA, **body}, **query)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize("content", [b"{", b"[]", b'"x"', b"NaN", b'{"x":1e999}', b"\xff", b"[" * 9999])
async def test_body_that_is_no_json_object_is_refused(http, content):
    """A broken body never leads to a 500, and the log stays readable."""
    answer = await http.post("/v1/customers", content=content)
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid body")
    assert (await read_log(http))[0]["status"] == 400


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/vehicles", {}, 400),
        ("/vehicles", {"dpid": "umazda", "size": 0}, 400),
        ("/vehicles", {"dpid": "umazda", "size": "many"}, 400),
        ("/vehicles", {"dpid": "umazda", "in_stock": "no"}, 400),
        ("/vehicles", {"dpid": "nobody"}, 404),
        ("/vehicles/JM1BPACL0S1000001", {}, 400),
        ("/vehicles/JM1BPACL0S1000001", {"dealer[partner_id]": "51101"}, 404),
        ("/nothing", {}, 404),
    ],
)
async def test_wrong_query_is_400_and_unknown_id_404(http, path, query, status):
    """A 404 has no body."""
    answer = await http.get(ROADSTER + path, params=query)
    assert answer.status_code == status
    assert (answer.content == b"") == (status == 404)


async def test_vehicle_of_another_dealer_is_unknown(http):
    """The dealer gets neither its details nor a quote."""
    vin = await first_vin(http, "toyotademo")
    details = await http.get(f"/v1/vehicles/{vin}", params={"dealer[partner_id]": "51101"})
    body = {**AT_UMAZDA, "customer": {}, "vehicle": {"vin": vin}}
    assert (details.status_code, (await http.post("/v1/payments", json=body)).status_code) == (404, 404)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {API_KEY}", 200),
        (f"Token {API_KEY}", 200),
        (API_KEY, 200),
        (f"Basic {API_KEY}", 401),
        ("Bearer wrong", 401),
        ("", 401),
    ],
)
async def test_only_the_key_gives_access(http, header, status):
    """The key is accepted with either scheme or without one. A 401 has no body."""
    answer = await http.get("/v1/dealers", headers={"authorization": header})
    assert answer.status_code == status
    assert (answer.content == b"") == (status == 401)


@pytest.mark.parametrize(
    ("path", "status", "key"),
    [("/roadie/v1/shipments/1%0A2", 404, "errors"), ("/mykaarma/customer/v2/customer/1%0A2", 400, "errors")],
)
async def test_id_with_a_line_end_is_unknown(http, path, status, key):
    """No route matches such a path, and each API answers in its own words."""
    answer = await http.get(path)
    assert (answer.status_code, next(iter(answer.json()))) == (status, key)
    assert (await http.get("/v1/vehicles/1%0A2")).status_code == 404
