"""The way of one upstream request: into the log, past the credentials and a fault, to its operation and back."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from roadster_client.operations import ApiName, Operation
from roadster_client.upstream.upstream import basic_key
from roadster_sandbox.answers import ApiResponse, Refused
from roadster_sandbox.apis import forms, roadie, roadster
from roadster_sandbox.apis.shipment_requests import ShipmentRefused
from roadster_sandbox.world import service_records
from roadster_sandbox.world.dealers import SandboxDealer, dealer_by, dealer_of_order
from roadster_sandbox.world.world import World

from .faults import Fault, answered

API_KEY = "sandbox-key"
"""The one credential that is accepted: as `Bearer KEY`, by Roadster also as `Token KEY` and as the bare KEY."""

USERNAME = "sandbox"
"""The user of myKaarma's Basic credentials; the password is `API_KEY`."""

_HANDLERS = {**roadster.HANDLERS, **forms.HANDLERS, **roadie.HANDLERS}
_FILES = {"upload_document": "contents", "create_template": "file_stream"}
"""Where a body holds a file, by operation."""

_NOT_JSON = object()


@dataclass
class Sandbox:
    """What one application holds: the world, the log of requests, and the faults to come."""

    initial_seed: int
    world: World = field(init=False)
    requests: list[dict[str, Any]] = field(init=False)
    faults: list[Fault] = field(init=False)

    def __post_init__(self) -> None:
        self.reset(self.initial_seed)

    def reset(self, seed: int | None) -> None:
        """Back to the initial world, or to that of another seed; no request and no fault is left."""
        self.world = World(self.initial_seed if seed is None else seed)
        self.requests = []
        self.faults = []

    def next_fault(self, operation: str) -> Fault | None:
        """The oldest fault for `operation` that is not used up; it counts down."""
        for fault in self.faults:
            if fault.operation in ("*", operation):
                fault.times -= 1
                self.faults = [left for left in self.faults if left.times > 0]
                return fault
        return None


@dataclass(frozen=True)
class Endpoint:
    """An ASGI application for one operation; for none, it answers 404 and logs what was tried."""

    sandbox: Sandbox
    operation: Operation | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = _parsed(await request.body())
        name = self.operation.name if self.operation else None
        fault = self.sandbox.next_fault(name) if name else None
        dpid = _named_dealer(request.path_params, request.query_params, body)
        entry = {
            "n": len(self.sandbox.requests) + 1,
            "operation": name,
            "method": request.method,
            "path": request.url.path,
            "query": dict(request.query_params),
            "dealer": dpid,
            "body": _loggable(name, body),
            "status": None,
            **({"fault": fault.kind} if fault else {}),
        }
        self.sandbox.requests.append(entry)
        response = await answered(fault, lambda: self._carry_out(request, body, dpid))
        entry["status"] = response.status_code
        response.headers["x-request-id"] = f"sandbox-{entry['n']:06d}"
        await response(scope, receive, send)

    def _carry_out(self, request: Request, body: Any, dpid: str | None) -> ApiResponse:
        try:
            json = self._json(request, body)
            return ApiResponse(204 if json is None else 200, json, dpid)
        except Refused as refused:
            return ApiResponse(refused.status, _refusal(self.operation.api if self.operation else "roadster", refused))

    def _json(self, request: Request, body: Any) -> Any:
        if self.operation is None:
            raise Refused(404)
        if not _authorised(self.operation.api, request.headers.get("authorization", "")):
            raise Refused(401)
        if body is _NOT_JSON:
            raise ShipmentRefused((1002, "body")) if self.operation.api == "roadie" else Refused(400, "Invalid body")
        call = roadster.ApiCall(request.path_params, dict(request.query_params), body)
        return _HANDLERS[self.operation.name](self.sandbox.world, call)


def _refusal(api: ApiName, refused: Refused) -> Any:
    """The body of an error answer, as each API documents it."""
    return service_records.problems(refused) if api == "mykaarma" else refused.body


def _authorised(api: ApiName, header: str) -> bool:
    match header.split():
        case ["Basic", key]:
            return api == "mykaarma" and key in {basic_key(user, API_KEY) for user in (USERNAME, API_KEY)}
        case ["Bearer", key]:
            return api != "mykaarma" and key == API_KEY
        case [key] | ["Token", key]:
            return api == "roadster" and key == API_KEY
        case _:
            return False


def _parsed(content: bytes) -> Any:
    """None without a body, `_NOT_JSON` where it is something else."""
    try:
        body = from_json(content, allow_inf_nan=False) if content else None
        json.dumps(body, allow_nan=False)  # 1e999 has become an infinity, which the log could not show
    except ValueError:
        return _NOT_JSON
    return body


def _named_dealer(path: Mapping[str, str], query: Mapping[str, str], body: Any) -> str | None:
    top = body if isinstance(body, dict) else {}
    named = top.get("dealer")
    ref = named if isinstance(named, dict) else top
    uuids = top.get("dealerUUIDList")
    dealer: SandboxDealer | None = dealer_by(
        dpid=path.get("dpid") or query.get("dpid") or ref.get("dpid"),
        partner_id=query.get("dealer[partner_id]") or ref.get("partner_id"),
        mykaarma_uuid=uuids[0] if isinstance(uuids, list) and uuids else None,
    )
    dealer = dealer or dealer_of_order(path.get("order_id"))
    return dealer.dpid if dealer else None


def _loggable(operation: str | None, body: Any) -> Any:
    """The body, with a file replaced by the digest that the state shows for it, too."""
    if body is _NOT_JSON:
        return None
    name = _FILES.get(operation or "")
    if name is not None and isinstance(body, dict) and isinstance(body.get(name), str):
        return {**body, name: f"sha256:{_digest(body[name])}"}
    return body


def _digest(contents: str) -> str:
    try:
        data = b64decode(contents.rpartition(",")[2], validate=True)  # behind the header of a data URL
    except (Base64Error, ValueError):
        data = contents.encode()
    return hashlib.sha256(data).hexdigest()
