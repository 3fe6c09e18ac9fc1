"""`demo`: a real client works a deal end to end, against `serve --sandbox` in a process of its own."""

from __future__ import annotations

import base64
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import ElicitResult
from rich.console import Console
from rich.markup import escape

from roadster_sandbox.world.pdf import make_pdf
from roadster_server.calls.questions.form import yes_to
from roadster_server.calls.results import FAILURE_META

from .quote_table import quote_table

_DEALER = "umazda"
_FOREIGN_DEALER = "toyotademo"
_CUSTOMER = {
    "first_name": "Steve",
    "last_name": "McQueen",
    "email": "steve.mcqueen@example.com",
    "phone": "+14155556666",
}
_OLD_CAR = "4T1C11AK0LU322811"
_SECOND_KEY = {
    "description": "Car key",
    "value": 250,
    "length": 4,
    "width": 2,
    "height": 1,
    "weight": 0.5,
    "quantity": 1,
}
_HOME = {
    "address": {"street1": "1930 Seneca Street", "city": "Seattle", "state": "WA", "zip": "98101"},
    "contact": {"name": "Steve McQueen", "phone": "(415) 555-6666"},
}
_SERVICE_CUSTOMER = "c0000000-0000-4000-8a00-000000000001"
"""A customer of this dealer at the sandbox's myKaarma."""

_PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel: an upload can be shown without a real licence."""

_NEW_TEMPLATE = {
    "name": "Test Drive Agreement",
    "file_name": "test drive.pdf",
    "form_definition": {"pages": [{"fields": [{"x": 72, "y": 640, "name": "signature_1", "type": "signature"}]}]},
    "contents": base64.b64encode(make_pdf("Test Drive Agreement", 1)).decode(),
}
_ORDER, _UNCONFIGURED_ORDER = "367101", "367104"


async def run_demo() -> int:
    """Shows each step. Returns 0 when all of them went as they should, else 1."""
    server = StdioServerParameters(command=sys.executable, args=["-m", "roadster_server", "serve", "--sandbox"])
    with tempfile.TemporaryFile("w+") as log:  # on stderr, the server's log would stand between the steps
        console = _Console()
        client = Client(stdio_client(server, errlog=log), elicitation_callback=_person(console))
        success = await _show(client, console)
        if not success:
            log.seek(0)
            sys.stderr.write(log.read())
    return 0 if success else 1


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Ends the demonstration. rich would exit from within the client's tasks."""
        raise BrokenPipeError


def _person(console: Console) -> Any:
    """Returns a callback that plays the person at the host: it shows the question before a deletion, and agrees."""

    async def agree(_ctx: Any, question: Any) -> ElicitResult:
        console.print(f"[bold]A person is asked, and agrees:[/bold]\n{escape(question.message)}", highlight=False)
        return yes_to(question)

    return agree


async def _show(client: Client, console: Console) -> bool:
    async with client:
        tools = (await client.list_tools()).tools
        console.print(f"Connected over stdio: {len(tools)} tools for a caller that may not use {_FOREIGN_DEALER}.")
        try:
            await _Deal(client, console).work()
        except StepFailedError:
            console.print("\nThis step did not go as it should.", style="bold red")
            return False
    console.print("\nDone: every step went as it should.", style="bold green")
    return True


class StepFailedError(Exception):
    """A call had another answer than the demonstration expects."""


class _Deal:
    """The steps of the demonstration, numbered in the order of their calls."""

    def __init__(self, client: Client, console: Console) -> None:
        self._client = client
        self._console = console
        self._step = 0

    async def work(self) -> None:
        """Works the whole deal: a car, its price three ways, the customer, their documents, a link, and a refusal."""
        vin = await self._choose_car()
        customer = await self._open_account(vin)
        await self._fill_binder(customer)
        await self._call(
            "An encrypted link for the customer",
            "build_deep_link",
            {"dealer": _DEALER, "vin": vin, "customer": _CUSTOMER},
        )
        await self._sign()
        await self._deliver()
        await self._call(
            "What does the service department know of another customer?",
            "get_crm_customer",
            {"dealer": _DEALER, "customer_uuid": _SERVICE_CUSTOMER},
        )
        await self._call(
            "Now the vehicles of a dealer that this caller may not use",
            "list_inventory",
            {"dealer": _FOREIGN_DEALER},
            is_refused=True,
        )

    async def _choose_car(self) -> str:
        """Finds and quotes a free car. Returns its VIN."""
        await self._call("Which dealers may I work with?", "list_dealers", {})
        await self._call("What does this one charge?", "get_dealer", {"dealer": _DEALER})
        inventory = await self._call(
            "Find an SUV in stock", "list_inventory", {"dealer": _DEALER, "body": "SUV", "limit": 3}
        )
        vin: str = next(vehicle["vin"] for vehicle in inventory["vehicles"] if not vehicle.get("reserved"))
        await self._call("What is the first free one?", "get_vehicle", {"dealer": _DEALER, "vin": vin})
        await self._call("What does it cost?", "quote_payments", {"dealer": _DEALER, "vin": vin})
        await self._call(
            "Which protection plans go with it?",
            "list_protection_plans",
            {"dealer": _DEALER, "vin": vin, "deal_type": "cash"},
        )
        return vin

    async def _open_account(self, vin: str) -> dict[str, Any]:
        """Makes the customer's account, and values their old car. Returns the arguments that name the customer."""
        account = await self._call(
            "The customer wants it: make their account",
            "create_customer",
            {"dealer": _DEALER, "customer": _CUSTOMER, "vehicle": {"vin": vin}},
        )
        customer = {"dealer": _DEALER, "customer_id": account["customer_id"]}
        await self._call("A salesperson looks after them", "assign_agent", {**customer, "agent": {"id": "ID9876"}})
        await self._call(
            "The dealer's offer for their old car",
            "submit_trade_valuation",
            {"dealer": _DEALER, "email": _CUSTOMER["email"], "vin": _OLD_CAR, "value": 9000},
        )
        return customer

    async def _fill_binder(self, customer: dict[str, Any]) -> None:
        """Uploads a document to the customer's binder, and deletes it again."""
        document = await self._call(
            "Put the picture of the licence into the binder",
            "upload_document",
            {
                **customer,
                "document_type": "license",
                "document_name": "Licence, front",
                "file_name": "licence.png",
                "relationship": "self",
                "contents": base64.b64encode(_PICTURE).decode(),
            },
        )
        await self._call("What is in the binder now?", "list_documents", customer)
        document_id = document["document_id"]
        await self._call("Is it the file that was sent?", "get_document", {**customer, "document_id": document_id})
        await self._call(
            "It was the wrong picture: delete it", "delete_documents", {**customer, "document_ids": [document_id]}
        )

    async def _sign(self) -> None:
        """Makes forms for an order of the dealer, from an existing template and a new one."""
        dealer = {"dealer": _DEALER}
        before = await self._call("Which forms does this dealer have?", "list_templates", dealer)
        template = {**dealer, "template_id": before["templates"][0]["template_id"]}
        await self._call("What is on the first one, and who fills it in?", "get_template", template)
        await self._call("Where is its blank PDF?", "get_template_file", template)
        await self._call("One is missing: add it", "create_template", {**dealer, **_NEW_TEMPLATE})
        after = await self._call("Which id did it get?", "list_templates", dealer)
        forms = {
            **dealer,
            "title": "Please sign",
            "template_ids": [after["templates"][index]["template_id"] for index in (0, -1)],
        }
        await self._call("Both for the customer's order", "create_forms", {**forms, "order_id": _ORDER})
        await self._call(
            "The same for an order that is not configured for this dealer",
            "create_forms",
            {**forms, "order_id": _UNCONFIGURED_ORDER},
            is_refused=True,
        )

    async def _deliver(self) -> None:
        """Sends the customer something that they left behind, then cancels the delivery."""
        morning = datetime.now(UTC) + timedelta(days=1)
        window = {"start": morning.isoformat(), "end": (morning + timedelta(hours=8)).isoformat()}
        delivery = await self._call(
            "Send a driver with their second key",
            "create_delivery",
            {
                "dealer": _DEALER,
                "items": [_SECOND_KEY],
                "delivery_location": _HOME,
                "pickup_after": morning.isoformat(),
                "deliver_between": window,
            },
        )
        reference = {"dealer": _DEALER, "delivery_id": delivery["delivery_id"]}
        await self._call("Somebody must sign for it", "update_delivery", {**reference, "signature_required": True})
        await self._call("Where is it now?", "get_delivery", reference)
        await self._call("The customer comes to the dealer instead: cancel it", "cancel_delivery", reference)

    async def _call(
        self,
        purpose: str,
        tool: str,
        arguments: dict[str, Any],
        *,
        is_refused: bool = False,
    ) -> dict[str, Any]:
        self._step += 1
        self._console.print(f"\n[bold]{self._step}. {purpose}[/bold]  [dim]{tool}[/dim]")
        result = await self._client.call_tool(tool, arguments)
        for block in result.content:
            if block.type != "text":
                continue
            if tool == "quote_payments" and result.structured_content is not None:
                self._console.print(quote_table(result.structured_content, block.text))
            else:
                self._console.print(block.text, markup=False, highlight=False, soft_wrap=True)
        kind = (result.meta or {}).get(FAILURE_META)
        if kind != ("refused" if is_refused else None):
            raise StepFailedError(tool)
        return result.structured_content or {}
