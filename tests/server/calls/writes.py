"""Valid calls, a person who answers, and what was sent and recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from mcp_types import ElicitResult

from roadster_client import OPERATIONS
from roadster_server.calls.questions.form import yes_to
from roadster_server.store import StoredRecord, open_store
from roadster_tools import TOOLS
from tests.conftest import World
from tests.tool_examples import every_call

AT_UMAZDA = {"dealer": "umazda"}
WRITES = {name: arguments for name, arguments in every_call("umazda").items() if TOOLS[name].writes}
READS = {name: arguments for name, arguments in every_call("umazda").items() if not TOOLS[name].writes}
NEW_CUSTOMER = WRITES["create_customer"]
DOCUMENT = WRITES["upload_document"]
ASSIGNMENT = WRITES["assign_agent"]
DELETION = WRITES["delete_documents"]
FORMS = WRITES["create_forms"]
KEY = {"idempotency_key": "order-4711"}

both_eras = pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])


class Person:
    """Answers each question with the same answer, and remembers the questions."""

    def __init__(self, action: str = "accept", content: dict[str, Any] | None = None) -> None:
        self.questions: list[str] = []
        self._answer = ElicitResult(action=action, content=content)  # type: ignore[arg-type]

    async def __call__(self, _ctx: Any, params: Any) -> ElicitResult:
        self.questions.append(params.message)
        return self._answer


class AgreeingPerson(Person):
    async def __call__(self, _ctx: Any, params: Any) -> ElicitResult:
        self.questions.append(params.message)
        return yes_to(params)


def agreeing_person() -> Person:
    return AgreeingPerson()


async def records(store_url: str) -> list[StoredRecord]:
    async with open_store(store_url) as store:
        return [row async for row in store.records()]


async def sent_writes(world: World) -> list[str]:
    """Returns the operations of the writes that the upstream has received."""
    operations = [request["operation"] for request in await world.requests()]
    return [operation for operation in operations if OPERATIONS[operation].writes]


def leaves(node: Any) -> list[str]:
    """Returns all values in nested objects, as text."""
    match node:
        case Mapping():
            return [leaf for value in node.values() for leaf in leaves(value)]
        case list():
            return [leaf for value in node for leaf in leaves(value)]
        case bool():
            return [str(node).lower()]
        case _:
            return [str(node)]
