"""The answers that go out before the SDK is loaded, compared with those that the SDK gives."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.server.lowlevel import Server
from mcp.shared.inbound import InboundModernRoute, classify_inbound_request
from mcp.shared.message import SessionMessage
from mcp_types import InitializeRequestParams, JSONRPCRequest
from mcp_types.methods import validate_client_request
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS

from roadster_sandbox import SandboxTransport, create_app
from roadster_server.backend import Backend
from roadster_server.protocol.opening import HANDSHAKE_VERSIONS, MODERN_VERSION, Opening
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings
from roadster_server.settings.sections.people import ApprovalSettings
from roadster_server.settings.settings import Settings
from roadster_server.transports.messages import read_message
from roadster_tools import TOOLSETS, Caller

ALL = dict.fromkeys(TOOLSETS, "write")
CALLERS = {
    "of two dealers": None,  # the sandbox's own
    "of one dealer": CallerSettings.model_validate({"dealers": ["umazda"], "access": ALL, "personal_data": "contact"}),
    "who reads": CallerSettings.model_validate({"dealers": ["umazda"], "access": {"inventory": "read"}}),
    "without a right": CallerSettings(),
    "who is asked by cards": CallerSettings.model_validate(
        {"dealers": ["umazda"], "access": dict.fromkeys(TOOLSETS, "confirm"), "confirm_by": ["card"]}
    ),
}
CLIENT = {"name": "Carlos\u2019 host \U0001f697", "version": "1"}
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": MODERN_VERSION,
    "io.modelcontextprotocol/clientInfo": CLIENT,
    CAPABILITIES_KEY: {"elicitation": {"form": {}}, "roots": {}},
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
LISTS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")


def settings_for(caller: str, folder: Path) -> Settings:
    settings = sandbox_settings(f"sqlite:///{folder}/store.db")
    settings = settings.model_copy(update={"approvals": ApprovalSettings(two_person=["customers"])})
    section = CALLERS[caller]
    return settings if section is None else settings.model_copy(update={"callers": {"local": section}})


def line_of(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()


def request(method: str, params: dict[str, Any] | None = None, id_: str | int = 0) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": id_, "method": method}
    return message if params is None else {**message, "params": params}


VIEWS = {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}}


def handshake(version: str, **capabilities: Any) -> dict[str, Any]:
    capabilities = {"roots": {"listChanged": True}, **capabilities}
    params = {"protocolVersion": version, "capabilities": capabilities, "clientInfo": CLIENT}
    return request("initialize", params, "first")


@asynccontextmanager
async def conversation(server: Server[Any]) -> AsyncIterator[Any]:
    """Yields a function that gives the SDK a line and returns its answer as the SDK writes it to stdout."""
    to_server, read = anyio.create_memory_object_stream[SessionMessage | Exception]()
    write, from_server = anyio.create_memory_object_stream[SessionMessage]()

    async def answer(line: bytes) -> bytes:
        message = read_message(line).message
        await to_server.send(SessionMessage(message))
        if not isinstance(message, JSONRPCRequest):
            return b""
        item = await from_server.receive()
        return item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"

    async with from_server, anyio.create_task_group() as tasks:
        tasks.start_soon(server.run, read, write, server.create_initialization_options())
        yield answer
        to_server.close()


@pytest.mark.anyio
@pytest.mark.parametrize("capabilities", [{}, VIEWS], ids=["without views", "with views"])
@pytest.mark.parametrize("caller", CALLERS)
async def test_the_answers_are_those_of_the_sdk_byte_for_byte(
    caller: str, capabilities: dict[str, Any], tmp_path: Path
) -> None:
    settings = settings_for(caller, tmp_path)
    meta = {**META, CAPABILITIES_KEY: {**META[CAPABILITIES_KEY], **capabilities}}
    legacy = [
        [handshake(version, **capabilities), INITIALIZED, *[request(method, id_=method) for method in ("ping", *LISTS)]]
        for version in (*HANDSHAKE_VERSIONS, MODERN_VERSION, "1999-01-01")
    ]
    introduction = [request("server/discover", {"_meta": meta})]
    modern = [request(method, {"_meta": meta}, place) for place, method in enumerate(LISTS)]
    backend = Backend(LiveSettings(settings), SandboxTransport(create_app(7)))
    async with backend.open_server("local") as (server, _calls):
        for messages in (*legacy, introduction, modern):
            opening = Opening(settings.caller("local"), settings.approvals)
            async with conversation(server) as sdk:
                for line in map(line_of, messages):
                    assert opening.answer(line) == await sdk(line)


def test_the_versions_are_those_of_the_sdk() -> None:
    assert HANDSHAKE_VERSIONS == HANDSHAKE_PROTOCOL_VERSIONS
    assert HANDSHAKE_VERSIONS[-1] == LATEST_HANDSHAKE_VERSION
    assert (MODERN_VERSION,) == MODERN_PROTOCOL_VERSIONS


ENVELOPE = {"_meta": META}
OPEN = handshake("2025-11-25")


@pytest.mark.parametrize(
    ("before", "message"),
    [
        pytest.param([], request("ping"), id="a ping before the handshake"),
        pytest.param([], request("tools/list"), id="a list before the handshake"),
        pytest.param([], INITIALIZED, id="a notification before the handshake"),
        pytest.param([OPEN], {**OPEN, "id": 2}, id="a second handshake"),
        pytest.param([OPEN], request("tools/list", ENVELOPE), id="the other era"),
        pytest.param([OPEN], request("server/discover", ENVELOPE), id="a question for the era that is settled"),
        pytest.param([request("tools/list", ENVELOPE)], OPEN, id="a handshake after the other era"),
        pytest.param([OPEN], request("tools/list", {"cursor": "27"}), id="a cursor"),
        pytest.param([OPEN], request("tools/call", {"name": "list_dealers"}), id="a call"),
        pytest.param([OPEN], request("tools/list", id_="first"), id="an id once more"),
        pytest.param([OPEN, request("tools/list")], request("tools/list", id_=1), id="a list once more"),
        pytest.param([OPEN], {**request("ping"), "id": True}, id="an id that is none"),
        pytest.param([OPEN], {**request("ping"), "id": 1.0}, id="an id with a point"),
        pytest.param([OPEN], {**request("ping"), "params": None}, id="params that are null"),
        pytest.param([OPEN], {**request("ping"), "result": {}}, id="a request that is an answer too"),
        pytest.param([OPEN], {**request("ping"), "jsonrpc": "1.0"}, id="another protocol"),
        pytest.param([OPEN], [request("ping")], id="a batch"),
        pytest.param(
            [], request("initialize", {**OPEN["params"], "capabilities": {"roots": 1}}), id="odd capabilities"
        ),
        pytest.param([], request("initialize", {**OPEN["params"], "clientInfo": {}}), id="a client without a name"),
        pytest.param([], request("tools/list", {"_meta": {**META, "progressToken": 1}}), id="a progress token"),
    ],
)
def test_every_other_message_is_left_to_the_sdk(before: Sequence[Any], message: Any) -> None:
    opening = Opening(Caller("local"), ApprovalSettings())
    assert all(opening.answer(line_of(earlier)) for earlier in before)
    assert opening.answer(line_of(message)) is None


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', b"[" * 100_000, b"\xff", b" " * 20_000],
    ids=["nothing", "a part", "a repeated key", "deep", "no text", "long"],
)
def test_a_line_that_is_no_sound_message_is_left_to_the_check_of_messages(line: bytes) -> None:
    opening = Opening(Caller("local"), ApprovalSettings())
    assert opening.answer(line_of(OPEN))
    assert opening.answer(line) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["form", "listChanged", "list", "requests", "create", "x"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)
names = st.sampled_from(["elicitation", "experimental", "extensions", "roots", "sampling", "tasks", "other"])
capabilities = st.dictionaries(names, values, max_size=4) | values
clients = st.fixed_dictionaries(
    {"name": st.text(max_size=3) | values, "version": st.just("1") | values},
    optional={"title": st.text(max_size=3) | values, "websiteUrl": st.text(max_size=5), "icons": values, "x": values},
)


METHODS = st.sampled_from(["initialize", "server/discover", "notifications/initialized", "ping", "tools/list"])


@given(
    st.lists(
        st.fixed_dictionaries(
            {"jsonrpc": st.just("2.0") | values, "method": METHODS | values},
            optional={
                "id": values,
                "params": values | st.sampled_from([OPEN["params"], {"_meta": META}, {"_meta": {}}]),
            },
        )
        | values,
        max_size=4,
    )
)
def test_whatever_comes_is_answered_by_a_line_or_left_to_the_sdk(messages: list[Any]) -> None:
    """An error here would leave the client without any answer."""
    opening = Opening(Caller("local"), ApprovalSettings())
    for message in messages:
        answer = opening.answer(line_of(message))
        assert not answer or json.loads(answer)["id"] == message["id"]


@given(capabilities, clients, st.sampled_from([*HANDSHAKE_VERSIONS, "x"]))
def test_no_handshake_is_answered_that_the_sdk_refuses(own: Any, client: Any, version: str) -> None:
    params = {"protocolVersion": version, "capabilities": own, "clientInfo": client}
    if Opening(Caller("local"), ApprovalSettings()).answer(line_of(request("initialize", params))) is not None:
        validate_client_request("initialize", LATEST_HANDSHAKE_VERSION, params)
        InitializeRequestParams.model_validate(params, by_name=False)


@given(capabilities, clients | st.none())
def test_no_envelope_is_answered_that_the_sdk_refuses(own: Any, client: Any) -> None:
    meta = {**META, "io.modelcontextprotocol/clientCapabilities": own, "io.modelcontextprotocol/clientInfo": client}
    params = {"_meta": meta}
    for method in ("server/discover", *LISTS):
        if Opening(Caller("local"), ApprovalSettings()).answer(line_of(request(method, params))) is not None:
            assert isinstance(classify_inbound_request({"method": method, "params": params}), InboundModernRoute)
            validate_client_request(method, MODERN_VERSION, params)
