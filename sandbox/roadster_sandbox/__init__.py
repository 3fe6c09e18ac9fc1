"""An emulator of the Roadster API, to try, test and evaluate against. Deterministic: no clock, no network.

    app = create_app()
    async with open_upstream(f"https://sandbox{BASE_PATHS['roadster']}", api_key=API_KEY, transport=SandboxTransport(app)) as upstream:
        ...

What was done can be read, and what goes wrong can be ordered, below `/__sandbox/`.
"""  # noqa: E501

from .embedded import EmbeddedSandbox
from .http.app import BASE_PATHS, create_app, serve
from .http.endpoint import API_KEY, USERNAME
from .http.transport import SandboxTransport
from .world.dealers import DEALERS, SandboxDealer
from .world.service_records import REQUESTER_USER_UUID
from .world.vin import vin_check_digit

__all__ = [
    "API_KEY",
    "BASE_PATHS",
    "DEALERS",
    "REQUESTER_USER_UUID",
    "USERNAME",
    "EmbeddedSandbox",
    "SandboxDealer",
    "SandboxTransport",
    "create_app",
    "serve",
    "vin_check_digit",
]
