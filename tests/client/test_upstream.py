"""An upstream's failures as typed errors, and the requests that the client sends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream

from roadster_client import (
    OPERATIONS,
    ChannelPolicy,
    ClientError,
    DealerApi,
    DealerRef,
    ForeignDealer,
    MalformedAnswer,
    NotConfigured,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Request,
    RequestRefused,
    RoadsterApi,
    TimedOut,
    Unauthorised,
    Unavailable,
    Unreachable,
    open_upstream,
)
from roadster_client.models.customers import Agent, CustomerContact, CustomerUpdate, NewCustomer
from roadster_client.models.documents import DocumentDeletion
from roadster_client.models.trades import TradeValuation
from roadster_client.models.vehicles import InventoryPage
from roadster_client.upstream.response import MAX_ANSWER_BYTES
from roadster_sandbox import API_KEY, SandboxTransport
from roadster_tools import failure
from tests.conftest import World
from tests.upstreams import STEVE, UMAZDA, approve

pytestmark = pytest.mark.anyio

HASTY = {name: replace(operation, deadline=0.5) for name, operation in OPERATIONS.items()}


@asynccontextmanager
async def dealer_api(world: World, *, key: str = API_KEY, **options: Any) -> AsyncIterator[DealerApi]:
    transport = SandboxTransport(world.app)
    async with open_upstream("http://sandbox/v1", api_key=key, transport=transport, **options) as upstream:
        yield RoadsterApi(upstream, HASTY).for_dealer(UMAZDA, ChannelPolicy(approve))


async def failed_read(api: DealerApi) -> ClientError:
    with pytest.raises(ClientError) as raised:
        await api.list_inventory(size=5)
    return raised.value


async def failed_write(api: DealerApi) -> ClientError:
    with pytest.raises(ClientError) as raised:
        await api.create_customer(STEVE)
    return raised.value


def spoilt(fault: str, description: str) -> Any:
    """Returns the parameters for an answer that cannot be used."""
    mark = pytest.mark.reliability(
        description, "a read's malformed answer, a write's outcome unknown; nothing of it is shown"
    )
    return pytest.param(fault, {}, MalformedAnswer, OutcomeUnknown, marks=mark)


@pytest.mark.parametrize(
    ("fault", "more", "read_error", "write_error"),
    [
        ("status", {"status": 401}, Unauthorised, Unauthorised),
        ("status", {"status": 403}, Unauthorised, Unauthorised),
        ("status", {"status": 404}, NotFound, NotFound),
        ("status", {"status": 409}, RequestRefused, RequestRefused),
        ("status", {"status": 429, "seconds": 7}, RateLimited, RateLimited),
        ("status", {"status": 500}, Unavailable, OutcomeUnknown),
        ("status", {"status": 502}, Unavailable, OutcomeUnknown),
        ("status", {"status": 503}, Unavailable, OutcomeUnknown),
        ("status", {"status": 408}, Unavailable, OutcomeUnknown),
        ("delay", {"seconds": 30}, TimedOut, OutcomeUnknown),
        ("drip", {}, TimedOut, OutcomeUnknown),
        ("reset", {}, Unavailable, OutcomeUnknown),
        ("lost_answer", {}, Unavailable, OutcomeUnknown),
        pytest.param(
            "foreign_dealer",
            {},
            ForeignDealer,
            OutcomeUnknown,
            marks=pytest.mark.reliability("another dealer's data in an answer", "withheld; a write's outcome unknown"),
        ),
        spoilt("huge", "an answer that never ends"),
        spoilt("gzip_bomb", "a gzip bomb: 200 MB in 200 KB"),
        spoilt("html", "a web page for JSON"),
        spoilt("truncated", "truncated JSON"),
        spoilt("redirect", "a redirect"),
        spoilt("deep", "100,000 levels of JSON"),
        spoilt("content_type", "JSON that is declared as something else"),
        spoilt("empty", "an empty answer"),
        spoilt("no_content", "204 where an answer is documented"),
    ],
)
async def test_upstream_fault_is_one_error(
    fault: str, more: dict[str, Any], read_error: type[ClientError], write_error: type[ClientError], world: World
) -> None:
    """A write whose answer cannot be used leaves its outcome open. A read never does."""
    async with dealer_api(world) as api:
        for call, kind in ((failed_read, read_error), (failed_write, write_error)):
            await world.fault("*", fault, times=3, **more)
            with anyio.fail_after(10):
                error = await call(api)
            await world.clear_faults()
            assert type(error) is kind
            assert error.operation in str(error)
            assert "sandbox" not in failure(error).text


@pytest.mark.reliability(
    "an answer of wrong types", "a read leaves them out; a write without its id has an unknown outcome"
)
async def test_upstream_answer_of_wrong_types_is_read_without_them(world: World) -> None:
    async with dealer_api(world) as api:
        await world.fault("*", "wrong_types", times=2)
        assert await api.list_inventory(size=5) == InventoryPage()
        assert type(await failed_write(api)) is OutcomeUnknown


@pytest.mark.reliability(
    "NaN, or a number of 10,000 digits, in the JSON",
    "a read leaves it out; a write without its id has an unknown outcome",
)
async def test_upstream_answer_with_numbers_that_are_none_is_read_without_them(world: World) -> None:
    async with dealer_api(world) as api:
        sound = await api.list_inventory(size=5)
        for fault in ("nan", "huge_number"):
            await world.fault("list_inventory", fault)
            page = await api.list_inventory(size=5)
            assert [vehicle.vin for vehicle in page.vehicles] == [vehicle.vin for vehicle in sound.vehicles]
        await world.fault("create_customer", "nan")
        assert type(await failed_write(api)) is OutcomeUnknown


async def test_upstream_maps_every_error_of_httpx2(world: World) -> None:
    """No transport error of the layer below, and no text of one, reaches the caller."""

    def tree(root: type[Exception]) -> list[type[Exception]]:
        return [root, *(leaf for child in root.__subclasses__() for leaf in tree(child))]

    for kind in tree(httpx2.TransportError):

        class Broken(httpx2.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx2.Request, kind: Any = kind) -> httpx2.Response:
                raise kind("secret text of the layer below")

        async with open_upstream("http://sandbox/v1", api_key="k", transport=Broken()) as upstream:
            api = RoadsterApi(upstream, HASTY).for_dealer(UMAZDA, ChannelPolicy(approve))
            for call in (failed_read, failed_write):
                assert "secret" not in str(await call(api))


async def test_refusal_carries_its_documented_message(world: World) -> None:
    async with dealer_api(world) as api:
        with pytest.raises(RequestRefused, match="Missing first name"):
            await api.create_customer(NewCustomer.model_construct(customer=CustomerContact.model_construct()))


@pytest.mark.parametrize(("scheme", "header"), [("Bearer", "Bearer key"), ("Token", "Token key"), ("none", "key")])
async def test_upstream_sends_credentials_in_the_configured_scheme(scheme: Any, header: str) -> None:
    headers: list[str] = []

    class Recorder(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            headers.append(request.headers["authorization"])
            return httpx2.Response(200, stream=httpx2.ByteStream(b'{"vehicles": []}'))

    async with open_upstream("http://x/v1", api_key="key", auth_scheme=scheme, transport=Recorder()) as upstream:
        await RoadsterApi(upstream, OPERATIONS).for_dealer(UMAZDA, ChannelPolicy(approve)).list_inventory(size=1)
    assert headers == [header]


async def test_upstream_refuses_a_wrong_key(world: World) -> None:
    async with dealer_api(world, key="wrong") as api:
        assert type(await failed_read(api)) is Unauthorised


async def test_dealer_api_names_the_dealer_as_each_operation_wants(world: World) -> None:
    """The dealer stands in the query by dpid or partner id, in the path, or in the body as an object or a dpid."""
    async with dealer_api(world) as api:
        vin = (await api.list_inventory(size=1)).vehicles[0].vin
        await api.get_vehicle(vin)
        await api.list_plans(vin, "cash")
        await api.get_dealer()
        await api.submit_trade_valuation(TradeValuation(email="steve@example.com", vin=vin, value=9000))
        await api.update_customer(1650260, CustomerUpdate(agent=Agent(id="ID9876")))
        with pytest.raises(NotFound):
            await api.get_document(1650260, 7)
        with pytest.raises(NotFound):
            await api.delete_documents(1650260, DocumentDeletion(doc_ids=(7,)))
    inventory, vehicle, plans, dealer, trade, update, document, deletion = await world.requests()
    assert inventory["query"]["dpid"] == "umazda"
    assert vehicle["query"] == {"dealer[partner_id]": "51101"}
    assert plans["query"] == {"dealer[partner_id]": "51101", "vin": vin, "deal_type": "cash"}
    assert dealer["path"] == "/v1/dealers/umazda"
    assert trade["body"] == {"dpid": "umazda", "email": "steve@example.com", "vin": vin, "value": 9000}
    assert (update["query"], update["body"]) == (
        {"id": "1650260"},
        {"dealer": {"dpid": "umazda"}, "agent": {"id": "ID9876"}},
    )
    assert (document["query"], document["body"]) == ({"doc_id": "7"}, {"dealer": {"dpid": "umazda"}})
    assert deletion["body"] == {"dealer": {"dpid": "umazda"}, "doc_ids": [7]}


async def test_dealer_api_refuses_a_document_that_is_not_base64() -> None:
    class Prose(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, stream=httpx2.ByteStream(b'{"contents": "Base64 content"}'))

    async with open_upstream("http://x/v1", api_key="k", transport=Prose()) as upstream:
        api = RoadsterApi(upstream, OPERATIONS).for_dealer(UMAZDA, ChannelPolicy(approve))
        with pytest.raises(MalformedAnswer):
            await api.get_document(1650260, 1602287)


async def test_dealer_api_reports_a_missing_partner_id(world: World) -> None:
    async with open_upstream("http://sandbox/v1", api_key=API_KEY, transport=SandboxTransport(world.app)) as upstream:
        api = RoadsterApi(upstream, OPERATIONS).for_dealer(DealerRef("umazda"), ChannelPolicy(approve))
        with pytest.raises(NotConfigured, match=r"dealers\.umazda\.partner_id"):
            await api.get_vehicle("JM1NDAM77K0306400")
        with pytest.raises(NotConfigured, match=r"dealers\.umazda\.partner_id"):
            await api.list_plans("JM1NDAM77K0306400", "cash")
    assert await world.requests() == []


async def test_channel_sends_no_write_without_approval(world: World) -> None:
    class No(Exception):
        pass

    requests: list[Request] = []

    async def refuse(request: Request) -> None:
        requests.append(request)
        raise No

    async with open_upstream("http://sandbox/v1", api_key=API_KEY, transport=SandboxTransport(world.app)) as upstream:
        api = RoadsterApi(upstream, OPERATIONS).for_dealer(UMAZDA, ChannelPolicy(refuse))
        with pytest.raises(No):
            await api.create_customer(STEVE)
        await api.list_inventory(size=1)
    assert [request.operation.name for request in requests] == ["create_customer"]
    assert [request["operation"] for request in await world.requests()] == ["list_inventory"]


async def test_upstream_escapes_path_parameters(world: World) -> None:
    async with dealer_api(world) as api:
        with pytest.raises((NotFound, RequestRefused)):
            await api.get_vehicle("../dealers?dpid=toyotademo#")
    assert "toyotademo" not in str((await world.requests())[-1]["query"])


async def test_upstream_without_a_connection_is_unreachable() -> None:
    """Calls a refused port over a real socket."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with open_upstream(f"http://127.0.0.1:{port}/v1", api_key="k") as upstream:
        api = RoadsterApi(upstream, OPERATIONS).for_dealer(UMAZDA, ChannelPolicy(approve))
        with anyio.fail_after(5):
            assert type(await failed_write(api)) is Unreachable
            assert type(await failed_read(api)) is Unreachable


async def test_upstream_lost_during_a_write_leaves_it_open() -> None:
    async def hang_up(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()

    async with _listening(hang_up) as port, open_upstream(f"http://127.0.0.1:{port}/v1", api_key="k") as upstream:
        api = RoadsterApi(upstream, OPERATIONS).for_dealer(UMAZDA, ChannelPolicy(approve))
        assert type(await failed_write(api)) is OutcomeUnknown


async def test_upstream_reads_an_answer_up_to_the_cap() -> None:
    def body(size: int) -> bytes:
        return b'{"vehicles": []' + b" " * (size - 16) + b"}"

    for size, fits in ((MAX_ANSWER_BYTES, True), (MAX_ANSWER_BYTES + 1, False)):

        class Large(httpx2.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx2.Request, size: int = size) -> httpx2.Response:
                return httpx2.Response(200, stream=httpx2.ByteStream(body(size)))

        async with open_upstream("http://x/v1", api_key="k", transport=Large()) as upstream:
            api = RoadsterApi(upstream, OPERATIONS).for_dealer(UMAZDA, ChannelPolicy(approve))
            if fits:
                assert (await api.list_inventory(size=1)).vehicles == ()
            else:
                assert type(await failed_read(api)) is MalformedAnswer


@asynccontextmanager
async def _listening(serve: Any) -> AsyncIterator[int]:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)
        tasks.cancel_scope.cancel()
