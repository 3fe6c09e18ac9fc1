"""Calls about deliveries, which several test files make."""

from __future__ import annotations

from typing import Any

from tests.documents import changed_document
from tests.tool_examples import DELIVERY, DELIVERY_ID

from .umazda import AT_UMAZDA

NEW_DELIVERY = {**AT_UMAZDA, **DELIVERY}
OWN_DELIVERY = {**AT_UMAZDA, "delivery_id": DELIVERY_ID}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("get_delivery", {"delivery_id": DELIVERY_ID}),
    ("update_delivery", {"delivery_id": DELIVERY_ID, "reference_id": "RO-4712"}),
    ("cancel_delivery", {"delivery_id": DELIVERY_ID}),
]
"""Each tool that works on a delivery, with its arguments except the dealer."""


def delivery_with(path: str, value: Any) -> dict[str, Any]:
    """Returns the arguments of a new delivery with another value at `path`, or for ... without any."""
    arguments: dict[str, Any] = changed_document(NEW_DELIVERY, path, value)
    return arguments
