"""A client of a new sandbox, and short ways to call it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from roadster_sandbox import API_KEY, BASE_PATHS, SandboxTransport, create_app
from tests.conftest import SAMPLES

ROADSTER = BASE_PATHS["roadster"]
AT_UMAZDA = {"dealer": {"dpid": "umazda"}}
CUSTOMER = {"first_name": "Steve", "last_name": "McQueen", "email": "steve.mcqueen@example.com"}
TRADE = {"dpid": "umazda", "email": CUSTOMER["email"], "vin": "4T1C11AK0LU322811", "value": 9000}
PDF = base64.b64encode(b"%PDF-1.7 a page").decode()
DOCUMENT = {
    "document_name": "DL Front",
    "document_type": "license",
    "file_name": "license front.png",
    "relationship": "self",
    "contents": PDF,
}
TEMPLATE = {
    "form_data": {
        "name": "Form",
        "file_name": "form.pdf",
        "form_definition": {"pages": [{"fields": [{"x": 1, "y": 2, "name": "vin_1", "type": "vin"}]}]},
    },
    "file_stream": f"data:application/pdf;charset=utf-8;base64,{PDF}",
}


def open_client(seed: int = 7) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url="http://sandbox",
        headers={"authorization": f"Bearer {API_KEY}"},
        transport=SandboxTransport(create_app(seed)),
    )


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with open_client() as client:
        yield client


async def get(http: httpx2.AsyncClient, path: str, **query: Any) -> Any:
    answer = await http.get(ROADSTER + path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def post(http: httpx2.AsyncClient, path: str, **body: Any) -> Any:
    answer = await http.post(ROADSTER + path, json={**AT_UMAZDA, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ask(http: httpx2.AsyncClient, method: str, path: str, body: Any, **query: Any) -> httpx2.Response:
    return await http.request(method, ROADSTER + path, json=body, params=query)


async def read_stock(http: httpx2.AsyncClient, dpid: str = "umazda") -> list[Any]:
    return (await get(http, "/vehicles", dpid=dpid, size=500, in_stock="any"))["vehicles"]


async def first_vin(http: httpx2.AsyncClient, dpid: str = "umazda") -> str:
    return (await read_stock(http, dpid))[0]["vin"]


async def add_fault(http: httpx2.AsyncClient, operation: str, kind: str, **options: Any) -> None:
    answer = await http.post("/__sandbox/faults", json={"operation": operation, "fault": kind, **options})
    assert answer.status_code == 200, answer.text


async def read_state(http: httpx2.AsyncClient) -> Any:
    return (await http.get("/__sandbox/state")).json()


async def read_log(http: httpx2.AsyncClient) -> Any:
    return (await http.get("/__sandbox/requests")).json()


def read_sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def field_paths(sample: Any, prefix: str = "") -> set[str]:
    """Returns the paths of all fields below `sample`. A list counts with its first item."""
    if isinstance(sample, list):
        return field_paths(sample[0], prefix) if sample else set()
    if isinstance(sample, dict):
        return {
            path
            for name, value in sample.items()
            for path in {f"{prefix}{name}"} | field_paths(value, f"{prefix}{name}.")
        }
    return set()
