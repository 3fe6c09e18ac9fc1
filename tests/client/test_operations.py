"""The table of operations, and the client's methods that follow from it."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import pytest

from roadster_client import OPERATIONS, AccountApi, CustomerRecordsApi, DealerApi, DeliveriesApi, OrderApi

METHODS: dict[str, Any] = {
    name: method
    for api in (AccountApi, CustomerRecordsApi, DealerApi, DeliveriesApi, OrderApi)
    for name, method in inspect.getmembers(api, inspect.iscoroutinefunction)
}
CONVERTED = {
    "list_dealers": "the account's dealers are filtered",
    "get_document": "the file in it is decoded",
    "get_template_file": "the file in it is decoded",
    "cancel_shipment": "its body, if any, says nothing that is needed",
}


def test_every_operation_has_a_method() -> None:
    assert OPERATIONS.keys() <= METHODS.keys()


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - CONVERTED.keys()))
def test_method_returns_answer_type_of_its_operation(name: str) -> None:
    """Types of answers are looked up by the operation's name, where mypy cannot follow."""
    assert get_type_hints(METHODS[name])["return"] == OPERATIONS[name].answer_type
