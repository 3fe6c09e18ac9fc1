"""Each fault damages the answer in its way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import httpx2
import pytest
import uvicorn

from roadster_sandbox import API_KEY, DEALERS, create_app
from roadster_sandbox.http.server import server_config
from tests.servers import PATIENCE

from .conftest import (
    AT_UMAZDA,
    CUSTOMER,
    add_fault,
    get,
    post,
    read_log,
    read_state,
)

pytestmark = pytest.mark.anyio


async def json_fault(http: httpx2.AsyncClient, kind: str) -> httpx2.Response:
    await add_fault(http, "create_customer", kind)
    return await http.post("/v1/customers", json={**AT_UMAZDA, "customer": CUSTOMER})


async def read_dealers(http: httpx2.AsyncClient, body: bytearray) -> None:
    async with http.stream("GET", "/v1/dealers") as response:
        async for chunk in response.aiter_raw():
            body += chunk


async def test_status_applies_to_the_next_requests(http):
    """Two requests of one operation get a 429 with Retry-After and change nothing. The log names the fault."""
    await add_fault(http, "create_customer", "status", status=429, seconds=3, times=2)
    assert len(await get(http, "/dealers")) == 3
    for _ in range(2):
        answer = await http.post("/v1/customers", json={**AT_UMAZDA, "customer": CUSTOMER})
        assert (answer.status_code, answer.headers["retry-after"], answer.content) == (429, "3", b"")
    assert (await read_state(http))["customers"] == []
    assert "duplicate" not in await post(http, "/customers", customer=CUSTOMER)
    log = await read_log(http)
    assert [entry.get("fault") for entry in log] == [None, "status", "status", None]


async def test_deleting_the_faults_ends_them(http):
    """Faults for every operation end as well."""
    await add_fault(http, "*", "status", status=500, times=9)
    assert (await http.get("/v1/dealers")).status_code == 500
    await http.delete("/__sandbox/faults")
    assert (await http.get("/v1/dealers")).status_code == 200


async def test_lost_answer_is_carried_out(http):
    """The connection drops without an answer, and the customer exists."""
    with pytest.raises(httpx2.ReadError):
        await json_fault(http, "lost_answer")
    assert len((await read_state(http))["customers"]) == 1
    [entry] = await read_log(http)
    assert (entry["fault"], entry["status"]) == ("lost_answer", None)


async def test_reset_drops_the_connection_within_the_body(http):
    """Half of the answer arrives."""
    whole = (await http.get("/v1/dealers")).content
    await add_fault(http, "list_dealers", "reset")
    body = bytearray()
    with pytest.raises(httpx2.ReadError):
        await read_dealers(http, body)
    assert 0 < len(body) < len(whole)


async def test_wrong_types_keep_the_dealer(http):
    """Every other value is in a list."""
    answer = (await json_fault(http, "wrong_types")).json()
    assert answer["customer"]["id"] == [1650260]
    assert answer["customer"]["dpid"] == "umazda"


async def test_foreign_dealer_replaces_every_dealer_id(http):
    """An answer without a dealer id gets one at the top."""
    answer = (await json_fault(http, "foreign_dealer")).json()
    assert answer["customer"]["dpid"] == answer["dpid"] == answer["dealer"]["dpid"] == "toyotademo"
    for dealer in DEALERS:
        await add_fault(http, "list_inventory", "foreign_dealer")
        dealer_ids = (await get(http, "/vehicles", dpid=dealer.dpid))["dealer"]
        assert dealer_ids["dpid"] in {other.dpid for other in DEALERS} - {dealer.dpid}


async def test_nan_appears_in_objects_and_arrays(http):
    """A strict reader of JSON fails on both. A bare string is replaced."""
    assert '"id":NaN' in (await json_fault(http, "nan")).text
    await add_fault(http, "list_dealers", "nan")
    assert (await http.get("/v1/dealers")).text.endswith(",NaN]")
    await add_fault(http, "get_template_file", "nan")
    assert (await http.get("/v1/templates/file", params={"dpid": "umazda", "template_id": 278})).text == "NaN"


async def test_truncated_answer_is_half_of_the_json(http):
    """The connection ends well, so only the JSON shows it."""
    whole = (await http.get("/v1/dealers")).content
    await add_fault(http, "list_dealers", "truncated")
    assert (await http.get("/v1/dealers")).content == whole[: len(whole) // 2]


async def test_html_is_a_login_page_with_200(http):
    """The operation is not carried out."""
    answer = await json_fault(http, "html")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await read_state(http))["customers"] == []


async def test_redirect_leads_to_another_host(http):
    """The answer is a 302 with the location of a host that does not exist."""
    answer = await json_fault(http, "redirect")
    assert (answer.status_code, answer.headers["location"]) == (302, "https://elsewhere.example/v1")


async def test_huge_body_never_ends(http):
    """A client that has read more than 20 MB of it can still stop."""
    await add_fault(http, "list_dealers", "huge")
    size = 0
    async with http.stream("GET", "/v1/dealers") as response:
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > 20_000_000:
                break
    assert len(await get(http, "/dealers")) == 3


async def test_gzip_bomb_is_small_on_the_wire(http):
    """200 MB of zeros arrive as less than 2 MB."""
    await add_fault(http, "list_dealers", "gzip_bomb")
    async with http.stream("GET", "/v1/dealers") as response:
        assert response.headers["content-encoding"] == "gzip"
        wire = sum([len(chunk) async for chunk in response.aiter_raw()])
    assert 100_000 < wire < 2_000_000


async def test_drip_and_delay_keep_the_caller_waiting(http):
    """A drip sends a byte a second. A delay sends nothing for a while, although the operation is carried out."""
    await add_fault(http, "list_dealers", "drip")
    body = b""
    with anyio.move_on_after(0.3):
        async with http.stream("GET", "/v1/dealers") as response:
            async for chunk in response.aiter_raw():
                body += chunk
    assert body == b"["
    await add_fault(http, "create_customer", "delay", seconds=60)
    with anyio.move_on_after(0.3) as delay:
        await http.post("/v1/customers", json={**AT_UMAZDA, "customer": CUSTOMER})
    assert delay.cancelled_caught
    assert len((await read_state(http))["customers"]) == 1
    await add_fault(http, "list_dealers", "delay", seconds=0)
    assert len(await get(http, "/dealers")) == 3


@contextmanager
def serve() -> Iterator[str]:
    """A sandbox on a free port of this machine."""
    server = uvicorn.Server(server_config(create_app(), "127.0.0.1", 0))
    sockets = [server.config.bind_socket()]
    thread = threading.Thread(target=server.run, args=(sockets,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


async def test_faults_over_a_socket_drop_the_connection(capfd):
    """A lost answer sends nothing, a reset one half, and a huge one can be left. Nothing is logged."""
    with serve() as url:
        async with httpx2.AsyncClient(base_url=url, headers={"authorization": API_KEY}, timeout=PATIENCE) as http:
            whole = (await http.get("/v1/dealers")).content
            with pytest.raises(httpx2.RemoteProtocolError, match="without sending a response"):
                await json_fault(http, "lost_answer")
            assert len((await read_state(http))["customers"]) == 1
            await add_fault(http, "list_dealers", "reset")
            body = bytearray()
            with pytest.raises(httpx2.TransportError):
                await read_dealers(http, body)
            assert 0 < len(body) < len(whole)
            await add_fault(http, "list_dealers", "huge")
            async with http.stream("GET", "/v1/dealers") as response:
                async for chunk in response.aiter_raw():
                    if chunk:
                        break
            with anyio.fail_after(PATIENCE):
                assert len(await get(http, "/dealers")) == 3
    assert capfd.readouterr().err == ""
