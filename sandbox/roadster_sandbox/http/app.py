"""The assembly: the documented operations of the three APIs, the grading endpoints, the OpenAPI description."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from roadster_client.operations import ApiName, operations_of
from roadster_sandbox.answers import ApiResponse, Refused
from roadster_sandbox.apis.openapi import openapi
from roadster_sandbox.apis.shipment_requests import ShipmentRefused
from roadster_sandbox.world.service_records import problems

from .endpoint import Endpoint, Sandbox
from .grading import grading_routes

BASE_PATHS: Mapping[ApiName, str] = {"roadster": "/v1", "roadie": "/roadie/v1", "mykaarma": "/mykaarma/customer/v2"}
"""What stands before the path of each operation of an API."""


def create_app(seed: int = 7) -> Starlette:
    """A sandbox of its own: applications share nothing, and those of one seed answer alike."""
    return app_of(Sandbox(seed))


def app_of(sandbox: Sandbox) -> Starlette:
    """The application through which `sandbox` is reached."""

    async def describe(_request: Request) -> Response:
        # Made when it is asked for: it takes longer than the rest of the application together.
        return ApiResponse(200, openapi(BASE_PATHS)).response()

    def operations(api: ApiName) -> list[Route]:
        documented = [
            Route(operation.path, Endpoint(sandbox, operation), methods=[operation.method])
            for operation in operations_of(api).values()
        ]
        return [*documented, Route("/{path:path}", Endpoint(sandbox, None))]

    return Starlette(
        routes=[
            *(Mount(path, routes=operations(api)) for api, path in BASE_PATHS.items()),
            Mount("/__sandbox", routes=grading_routes(sandbox)),
            Route("/openapi.json", describe),
        ],
        exception_handlers={404: _unroutable},
    )


async def _unroutable(request: Request, _error: Exception) -> Response:
    """For a path with a line end in it, which no route matches: an id that nobody has, as each API says that."""
    if request.url.path.startswith(BASE_PATHS["roadie"]):
        return ApiResponse(404, ShipmentRefused((1006, "id")).body).response()
    if request.url.path.startswith(BASE_PATHS["mykaarma"]):
        return ApiResponse(400, problems(Refused(400, "Invalid customer"))).response()
    return ApiResponse(404).response()


def serve(host: str, port: int, seed: int) -> None:
    """Serves a new sandbox over HTTP until a signal ends it."""
    from .server import run  # noqa: PLC0415  # uvicorn is needed only here

    run(create_app(seed), host, port)
