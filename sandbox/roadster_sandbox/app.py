"""The assembly: the documented operations below `/v1`, the grading endpoints, the OpenAPI description."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from roadster_client.operations import OPERATIONS

from .answers import Answer
from .gateway import Gateway, Sandbox
from .grading import grading_routes
from .openapi import openapi

BASE_PATH = "/v1"
"""What stands before the path of each operation."""


def create_app(seed: int = 7) -> Starlette:
    """A sandbox of its own: applications share nothing, and those of one seed answer alike."""
    sandbox = Sandbox(seed)
    description = openapi(BASE_PATH)

    async def describe(_request: Request) -> Response:
        return Answer(200, description).response()

    operations = [
        Route(operation.path, Gateway(sandbox, operation), methods=[operation.method])
        for operation in OPERATIONS.values()
    ]
    unknown = Route("/{path:path}", Gateway(sandbox, None))
    return Starlette(
        routes=[
            Mount(BASE_PATH, routes=[*operations, unknown]),
            Mount("/__sandbox", routes=grading_routes(sandbox)),
            Route("/openapi.json", describe),
        ]
    )


def serve(host: str, port: int, seed: int) -> None:
    """Serves a new sandbox over HTTP until a signal ends it."""
    from .serving import run  # noqa: PLC0415  # uvicorn is needed only here

    run(create_app(seed), host, port)
