"""An emulator of the Roadster, Roadie and myKaarma APIs, for demonstrations, tests and evaluations.

The same seed gives the same answers. The sandbox reads no clock, and opens no connection unless you ask for an event.

In a test, use the fixtures of `roadster_sandbox.pytest_plugin`, or make a sandbox of your own. It is the network of
the client under test, and it tells you what happened:

    sandbox = EmbeddedSandbox(seed=7)
    sandbox.fault("list_dealers", "status", status=503)  # the next request of this operation fails
    async with httpx2.AsyncClient(transport=sandbox.transport, base_url="https://sandbox") as http:
        await http.get(f"{BASE_PATHS['roadster']}/dealers", headers={"authorization": f"Bearer {API_KEY}"})
    assert sandbox.requests()[0]["status"] == 503  # every request, the oldest first
    assert sandbox.state()["customers"] == []  # everything that was created

In another process, start `roadster-mcp sandbox --port 9000`. The same calls are endpoints below `/__sandbox/` there.

The folders build on each other: `world` holds the invented data, `apis` the answers of each API, and `http` the
application with its faults and grading endpoints.
"""

from .embedded import EmbeddedSandbox
from .http.app import BASE_PATHS, create_app, serve
from .http.endpoint import API_KEY, USERNAME
from .http.transport import SandboxTransport
from .world.dealers import DEALERS, SandboxDealer
from .world.ids import DEFAULT_SEED
from .world.service_records import REQUESTER_USER_UUID
from .world.vin import vin_check_digit

__all__ = [
    "API_KEY",
    "BASE_PATHS",
    "DEALERS",
    "DEFAULT_SEED",
    "REQUESTER_USER_UUID",
    "USERNAME",
    "EmbeddedSandbox",
    "SandboxDealer",
    "SandboxTransport",
    "create_app",
    "serve",
    "vin_check_digit",
]
