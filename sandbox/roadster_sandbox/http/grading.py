"""The endpoints below `/__sandbox/`, for tests and graders. They need no credentials. No real API has them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from roadster_client.operations import OPERATIONS
from roadster_sandbox.answers import ApiResponse
from roadster_sandbox.apis.roadie import EVENTS, NoSuchMove, find_shipment, move_shipment
from roadster_sandbox.world.world import World

from .endpoint import Sandbox
from .events import EventBody, send_event
from .faults import KINDS, Fault
from .mistakes import describe_mistake


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _ResetBody(_Body):
    seed: int | None = None


class FaultBody(_Body):
    """A request for a fault."""

    operation: str
    fault: str
    times: Annotated[int, Field(ge=1)] = 1
    status: Annotated[int, Field(ge=400, le=599)] = 503
    seconds: Annotated[float, Field(ge=0)] | None = None
    retry_after: Annotated[str, Field(pattern=r"^[ -~]{1,64}$")] | None = None

    def to_fault(self) -> Fault:
        """Raises ValueError for an unknown operation or fault, with the valid ones in its text."""
        if self.operation not in (*OPERATIONS, "*"):
            raise ValueError(f"unknown operation; there are: {', '.join((*OPERATIONS, '*'))}")
        if self.fault not in KINDS:
            raise ValueError(f"unknown fault; there are: {', '.join(KINDS)}")
        return Fault(self.operation, self.fault, self.times, self.status, self.seconds, self.retry_after)


class _ShipmentEventBody(_Body):
    event: str


def make_state(world: World) -> dict[str, Any]:
    """Returns all that was created since the last reset, by kind."""
    return {
        "seed": world.seed,
        "customers": world.customers,
        "documents": world.documents,
        "trade_offers": world.trade_offers,
        "links": world.links,
        "templates": world.created_templates,
        "forms": world.forms,
        "shipments": world.shipments,
    }


def make_routes(sandbox: Sandbox) -> list[Route]:
    """Returns the endpoints of one sandbox."""

    async def reset(request: Request) -> Response:
        try:
            body = _ResetBody.model_validate_json(await request.body() or b"{}")
        except ValidationError as error:
            return _refuse(describe_mistake(error))
        sandbox.reset(body.seed)
        return ApiResponse(200, {"seed": sandbox.world.seed}).to_response()

    async def state(_request: Request) -> Response:
        return ApiResponse(200, make_state(sandbox.world)).to_response()

    async def requests(_request: Request) -> Response:
        return ApiResponse(200, sandbox.requests).to_response()

    async def add_fault(request: Request) -> Response:
        try:
            body = FaultBody.model_validate_json(await request.body())
            sandbox.faults.append(body.to_fault())
        except ValidationError as error:
            return _refuse(describe_mistake(error))
        except ValueError as error:
            return _refuse(str(error))
        return ApiResponse(200, body.model_dump()).to_response()

    async def clear_faults(_request: Request) -> Response:
        sandbox.faults = []
        return ApiResponse(200, []).to_response()

    return [
        Route("/reset", reset, methods=["POST"]),
        Route("/state", state),
        Route("/requests", requests),
        Route("/faults", add_fault, methods=["POST"]),
        Route("/faults", clear_faults, methods=["DELETE"]),
        _shipment_route(sandbox),
        _event_route(sandbox),
    ]


def _shipment_route(sandbox: Sandbox) -> Route:
    async def move(request: Request) -> Response:
        try:
            body = _ShipmentEventBody.model_validate_json(await request.body())
        except ValidationError as error:
            return _refuse(describe_mistake(error))
        shipment = find_shipment(sandbox.world, request.path_params["id"])
        if shipment is None:
            return ApiResponse(404).to_response()
        if body.event not in EVENTS:
            return _refuse(f"unknown event; there are: {', '.join(EVENTS)}")
        try:
            move_shipment(shipment, body.event)
        except NoSuchMove as error:
            return _refuse(str(error))
        return ApiResponse(200, shipment).to_response()

    return Route("/shipments/{id}", move, methods=["POST"])


def _event_route(sandbox: Sandbox) -> Route:
    async def send(request: Request) -> Response:
        try:
            body = EventBody.model_validate_json(await request.body())
        except ValidationError as error:
            return _refuse(describe_mistake(error))
        report = await send_event(sandbox.world, body)
        return ApiResponse(200 if "status" in report else 502, report).to_response()

    return Route("/events", send, methods=["POST"])


def _refuse(error: str) -> Response:
    return ApiResponse(400, {"status": "error", "error": error}).to_response()
