"""`/__sandbox/`: what those who grade need. No credentials, and nothing of it exists at the real upstream."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from roadster_client.operations import OPERATIONS
from roadster_sandbox.answers import ApiResponse
from roadster_sandbox.apis.roadie import EVENTS, NoSuchMove, move, shipment_by
from roadster_sandbox.world.world import World

from .endpoint import Sandbox
from .events import EventBody, send_event
from .faults import KINDS, Fault


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _ResetBody(_Body):
    seed: int | None = None


class FaultBody(_Body):
    """A fault to come. Raises ValidationError, and in `fault_of` ValueError for what there is not."""

    operation: str
    fault: str
    times: Annotated[int, Field(ge=1)] = 1
    status: Annotated[int, Field(ge=400, le=599)] = 503
    seconds: Annotated[float, Field(ge=0)] | None = None
    retry_after: Annotated[str, Field(pattern=r"^[ -~]{1,64}$")] | None = None

    def fault_of(self) -> Fault:
        if self.operation not in (*OPERATIONS, "*"):
            raise ValueError(f"unknown operation; there are: {', '.join((*OPERATIONS, '*'))}")
        if self.fault not in KINDS:
            raise ValueError(f"unknown fault; there are: {', '.join(KINDS)}")
        return Fault(self.operation, self.fault, self.times, self.status, self.seconds, self.retry_after)


class _ShipmentEventBody(_Body):
    event: str


def state_of(world: World) -> dict[str, Any]:
    """What has been created since the last reset."""
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


def grading_routes(sandbox: Sandbox) -> list[Route]:
    """The endpoints, bound to one sandbox."""

    async def reset(request: Request) -> Response:
        try:
            order = _ResetBody.model_validate_json(await request.body() or b"{}")
        except ValidationError as error:
            return _refused(_first(error))
        sandbox.reset(order.seed)
        return ApiResponse(200, {"seed": sandbox.world.seed}).response()

    async def state(_request: Request) -> Response:
        return ApiResponse(200, state_of(sandbox.world)).response()

    async def requests(_request: Request) -> Response:
        return ApiResponse(200, sandbox.requests).response()

    async def add_fault(request: Request) -> Response:
        try:
            order = FaultBody.model_validate_json(await request.body())
            sandbox.faults.append(order.fault_of())
        except ValidationError as error:
            return _refused(_first(error))
        except ValueError as error:
            return _refused(str(error))
        return ApiResponse(200, order.model_dump()).response()

    async def clear_faults(_request: Request) -> Response:
        sandbox.faults = []
        return ApiResponse(200, []).response()

    return [
        Route("/reset", reset, methods=["POST"]),
        Route("/state", state),
        Route("/requests", requests),
        Route("/faults", add_fault, methods=["POST"]),
        Route("/faults", clear_faults, methods=["DELETE"]),
        _shipment_route(sandbox),
        _events(sandbox),
    ]


def _shipment_route(sandbox: Sandbox) -> Route:
    async def move_shipment(request: Request) -> Response:
        try:
            order = _ShipmentEventBody.model_validate_json(await request.body())
        except ValidationError as error:
            return _refused(_first(error))
        shipment = shipment_by(sandbox.world, request.path_params["id"])
        if shipment is None:
            return ApiResponse(404).response()
        if order.event not in EVENTS:
            return _refused(f"unknown event; there are: {', '.join(EVENTS)}")
        try:
            move(shipment, order.event)
        except NoSuchMove as error:
            return _refused(str(error))
        return ApiResponse(200, shipment).response()

    return Route("/shipments/{id}", move_shipment, methods=["POST"])


def _events(sandbox: Sandbox) -> Route:
    async def send(request: Request) -> Response:
        try:
            order = EventBody.model_validate_json(await request.body())
        except ValidationError as error:
            return _refused(_first(error))
        sent = await send_event(sandbox.world, order)
        return ApiResponse(200 if "status" in sent else 502, sent).response()

    return Route("/events", send, methods=["POST"])


def _first(error: ValidationError) -> str:
    first: Any = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"


def _refused(error: str) -> Response:
    return ApiResponse(400, {"status": "error", "error": error}).response()
