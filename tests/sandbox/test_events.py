"""The sandbox sends events, and only to this machine."""

from __future__ import annotations

import pytest

from tests.servers import free_port

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "order",
    [
        {"url": "http://example.com/webhooks/roadster", "key": "k"},
        {"url": "http://127.0.0.1.example.com/", "key": "k"},
        {"url": "file:///etc/passwd", "key": "k"},
        {"url": "http://localhost:1/", "key": "two words"},
        {"url": "http://localhost:1/"},
        {"url": "http://localhost:1/", "key": "k", "dealer": "nobody"},
        {"url": "http://localhost:1/", "key": "k", "more": 1},
    ],
)
async def test_events_are_sent_to_this_machine_only(http, order):
    response = await http.post("/__sandbox/events", json=order)
    assert response.status_code == 400
    assert response.json()["status"] == "error"


async def test_event_that_nobody_receives_is_an_error(http):
    order = {"url": f"http://127.0.0.1:{free_port()}/", "key": "k"}
    assert (await http.post("/__sandbox/events", json=order)).status_code == 502
