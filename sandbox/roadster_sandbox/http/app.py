"""The assembly of the sandbox: the documented operations of the three APIs, the grading endpoints, the description."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from roadster_client.operations import ApiName, operations_of
from roadster_sandbox.answers import ApiResponse, Refused
from roadster_sandbox.apis.openapi import build_openapi
from roadster_sandbox.apis.shipment_requests import ShipmentRefused
from roadster_sandbox.world.ids import DEFAULT_SEED
from roadster_sandbox.world.inventory import VEHICLES_PER_DEALER
from roadster_sandbox.world.service_records import to_problems

from .endpoint import Endpoint, Sandbox
from .grading import make_routes

BASE_PATHS: Mapping[ApiName, str] = {"roadster": "/v1", "roadie": "/roadie/v1", "mykaarma": "/mykaarma/customer/v2"}
"""The path that stands before the operations of each API."""


def create_app(
    seed: int = DEFAULT_SEED, vehicles: int = VEHICLES_PER_DEALER, own_keys: Mapping[str, str] | None = None
) -> Starlette:
    """Returns the application of a new sandbox with that many vehicles of each dealer.

    `own_keys` are the keys of dealers with an account of their own, by dpid. Applications share nothing. Those of one
    seed give the same answers.
    """
    return make_app(Sandbox(seed, vehicles, own_keys or {}))


def make_app(sandbox: Sandbox) -> Starlette:
    """Returns the application that serves `sandbox`."""

    async def describe(_request: Request) -> Response:
        # Built for each request, because building it takes longer than building the whole application.
        return ApiResponse(200, build_openapi(BASE_PATHS)).to_response()

    def operations(api: ApiName) -> list[Route]:
        routes = [
            Route(operation.path, Endpoint(sandbox, operation), methods=[operation.method])
            for operation in operations_of(api).values()
        ]
        return [*routes, Route("/{path:path}", Endpoint(sandbox, None))]

    return Starlette(
        routes=[
            *(Mount(path, routes=operations(api)) for api, path in BASE_PATHS.items()),
            Mount("/__sandbox", routes=make_routes(sandbox)),
            Route("/openapi.json", describe),
        ],
        exception_handlers={404: _answer_unroutable},
    )


async def _answer_unroutable(request: Request, _error: Exception) -> Response:
    """Answers a path that no route matches because of a line end in it. Each API has its answer for an unknown id."""
    if request.url.path.startswith(BASE_PATHS["roadie"]):
        return ApiResponse(404, ShipmentRefused((1006, "id")).body).to_response()
    if request.url.path.startswith(BASE_PATHS["mykaarma"]):
        return ApiResponse(400, to_problems(Refused(400, "Invalid customer"))).to_response()
    return ApiResponse(404).to_response()


def serve(host: str, port: int, seed: int, vehicles: int = VEHICLES_PER_DEALER) -> None:
    """Serves a new sandbox over HTTP, until a signal ends the process."""
    from .server import run_server  # noqa: PLC0415  # uvicorn is needed only here

    run_server(create_app(seed, vehicles), host, port)
