"""Events of both senders: each is stored, or refused with a 4xx status and a reason in JSON."""

from __future__ import annotations

import gzip
import itertools
import json
from typing import Any

import httpx2
from anyio.from_thread import BlockingPortal
from hypothesis import given, note
from hypothesis import strategies as st

from tests.server.events.hooks import KEY, ROADIE_KEY, SAMPLE, SHIPMENT, brief_event, event

from .conftest import Watch, fuzzing
from .inputs import Edit, edits

_SEEDS: list[tuple[str, str, Any]] = [
    ("/webhooks/roadster", KEY, event()),
    ("/webhooks/roadster", KEY, {**SAMPLE, "event_id": "e-3"}),
    ("/webhooks/roadster", KEY, brief_event("e-2")),
    ("/webhooks/roadie", ROADIE_KEY, SHIPMENT),
]


def test_event_of_any_kind_is_stored_or_refused(
    portal: BlockingPortal, watch: Watch, client: httpx2.AsyncClient
) -> None:
    numbers = itertools.count()

    async def post(path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        response = await client.post(path, content=body, headers=headers)
        return response.status_code, response.content

    @fuzzing
    @given(st.sampled_from(_SEEDS), edits, st.sampled_from(["", "", "", "gzip", "gzip", "a lie", "odd"]))
    def send(seed: tuple[str, str, Any], edit: Edit, encoding: str) -> None:
        path, key, document = seed
        # A repeated event is not read again.
        body = edit(json.dumps(document).encode()).replace(b'"e-', b'"e-%d-' % next(numbers))
        note(repr(body))
        headers = {"Authorization": f"Bearer {key}", "content-type": "application/json"}
        if encoding:
            headers["content-encoding"] = "br" if encoding == "odd" else "gzip"
        status, answer = portal.call(post, path, gzip.compress(body) if encoding == "gzip" else body, headers)
        assert status in {200, 400, 413, 415}, (status, answer)
        assert isinstance(json.loads(answer), dict)
        watch.after_input()

    watch.run(send)
