"""The state of one sandbox, and the endpoint of each documented operation.

An endpoint logs the request, applies a fault, checks the credentials, and calls the function of the operation.
"""

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
from roadster_sandbox.world.dealers import SandboxDealer, find_dealer, find_dealer_of_order
from roadster_sandbox.world.inventory import VEHICLES_PER_DEALER
from roadster_sandbox.world.world import World

from .faults import IGNORED_UPDATE, Fault, make_response

API_KEY = "sandbox-key"
"""The key that the sandbox accepts, as well as `Sandbox.own_keys`: as `Bearer KEY`, at Roadster also as `Token KEY` or
without a scheme."""

USERNAME = "sandbox"
"""The user of myKaarma's Basic credentials. The password is `API_KEY`."""

_HANDLERS = {**roadster.HANDLERS, **forms.HANDLERS, **roadie.HANDLERS}
_FILES = {"upload_document": "contents", "create_template": "file_stream"}
"""The field of the body that holds a file, by operation."""

_NOT_JSON = object()
"""Stands for a body that is no JSON."""


@dataclass
class Sandbox:
    """The state behind one application: the world, the log of requests, and the faults to come."""

    initial_seed: int
    vehicles: int = VEHICLES_PER_DEALER
    """The number of each dealer's vehicles."""
    own_keys: Mapping[str, str] = field(default_factory=dict)
    """The Roadster keys of dealers that have an account of their own, by dpid. `API_KEY` has all others."""
    world: World = field(init=False)
    requests: list[dict[str, Any]] = field(init=False)
    faults: list[Fault] = field(init=False)

    def __post_init__(self) -> None:
        self.reset(self.initial_seed)

    def reset(self, seed: int | None) -> None:
        """Restores the initial world, or makes that of another seed. Forgets all requests and faults."""
        self.world = World(self.initial_seed if seed is None else seed, self.vehicles)
        self.requests = []
        self.faults = []

    def take_fault(self, operation: str) -> Fault | None:
        """Returns the oldest fault for the operation, and counts its use. Returns None if there is none."""
        for fault in self.faults:
            if fault.operation in ("*", operation):
                fault.times -= 1
                self.faults = [each for each in self.faults if each.times > 0]
                return fault
        return None


@dataclass(frozen=True)
class Endpoint:
    """An ASGI application for one operation. Without an operation it logs the request and answers 404."""

    sandbox: Sandbox
    operation: Operation | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = _parse_json(await request.body())
        name = self.operation.name if self.operation else None
        fault = self.sandbox.take_fault(name) if name else None
        dpid = _find_dpid(request.path_params, request.query_params, body)
        entry = {
            "n": len(self.sandbox.requests) + 1,
            "operation": name,
            "method": request.method,
            "path": request.url.path,
            "query": dict(request.query_params),
            "dealer": dpid,
            "body": _to_loggable(name, body),
            "status": None,
            **({"fault": fault.kind} if fault else {}),
        }
        self.sandbox.requests.append(entry)
        response = await make_response(fault, lambda: self._carry_out(request, body, dpid, fault))
        entry["status"] = response.status_code
        response.headers["x-request-id"] = f"sandbox-{entry['n']:06d}"
        await response(scope, receive, send)

    def _carry_out(self, request: Request, body: Any, dpid: str | None, fault: Fault | None) -> ApiResponse:
        query = dict(request.query_params)
        if fault and fault.kind == IGNORED_UPDATE:
            query.pop("updated_since", None)
        try:
            answer = self._answer(request, query, body, dpid)
            return ApiResponse(204 if answer is None else 200, answer, dpid)
        except Refused as refusal:
            api = self.operation.api if self.operation else "roadster"
            return ApiResponse(refusal.status, _error_body(api, refusal))

    def _answer(self, request: Request, query: Mapping[str, str], body: Any, dpid: str | None) -> Any:
        if self.operation is None:
            raise Refused(404)
        keys = self.sandbox.own_keys
        key = _key_of(self.operation.api, request.headers.get("authorization", ""))
        is_own_key = self.operation.api == "roadster" and key in keys.values()
        if key != API_KEY and not is_own_key:
            raise Refused(401)
        if self.operation.api == "roadster" and dpid is not None and keys.get(dpid, API_KEY) != key:
            raise Refused(404)
        if body is _NOT_JSON:
            raise ShipmentRefused((1002, "body")) if self.operation.api == "roadie" else Refused(400, "Invalid body")
        call = roadster.ApiCall(request.path_params, query, body)
        answer = _HANDLERS[self.operation.name](self.sandbox.world, call)
        if self.operation.name == "list_dealers":
            return [row for row in answer if keys.get(row["dpid"], API_KEY) == key]
        return answer


def _error_body(api: ApiName, refusal: Refused) -> Any:
    """Returns the body of an error answer, as each API documents it."""
    return service_records.to_problems(refusal) if api == "mykaarma" else refusal.body


def _key_of(api: ApiName, header: str) -> str | None:
    """Returns the key that a request shows in a form that the API takes."""
    match header.split():
        case ["Basic", credentials] if api == "mykaarma":
            return API_KEY if credentials in {basic_key(user, API_KEY) for user in (USERNAME, API_KEY)} else None
        case ["Bearer", key] if api != "mykaarma":
            return key
        case [key] | ["Token", key] if api == "roadster":
            return key
        case _:
            return None


def _parse_json(content: bytes) -> Any:
    """Returns the JSON, None for an empty body, and `_NOT_JSON` for anything else."""
    try:
        body = from_json(content, allow_inf_nan=False) if content else None
        json.dumps(body, allow_nan=False)  # 1e999 was read as infinity, which the log could not show
    except ValueError:
        return _NOT_JSON
    return body


def _find_dpid(path: Mapping[str, str], query: Mapping[str, str], body: Any) -> str | None:
    """Returns the dpid of the dealer that the request names in any documented way, None without a known dealer."""
    top = body if isinstance(body, dict) else {}
    inner = top.get("dealer")
    ids = inner if isinstance(inner, dict) else top
    uuids = top.get("dealerUUIDList")
    dealer: SandboxDealer | None = find_dealer(
        dpid=path.get("dpid") or query.get("dpid") or ids.get("dpid"),
        partner_id=query.get("dealer[partner_id]") or ids.get("partner_id"),
        mykaarma_uuid=uuids[0] if isinstance(uuids, list) and uuids else None,
    )
    dealer = dealer or find_dealer_of_order(path.get("order_id"))
    return dealer.dpid if dealer else None


def _to_loggable(operation: str | None, body: Any) -> Any:
    """Returns the body for the log. A file is replaced by its digest, which the state shows as well."""
    if body is _NOT_JSON:
        return None
    name = _FILES.get(operation or "")
    if name is not None and isinstance(body, dict) and isinstance(body.get(name), str):
        return {**body, name: f"sha256:{_digest(body[name])}"}
    return body


def _digest(contents: str) -> str:
    try:
        data = b64decode(contents.rpartition(",")[2], validate=True)  # after the header of a data URL
    except (Base64Error, ValueError):
        data = contents.encode()
    return hashlib.sha256(data).hexdigest()
