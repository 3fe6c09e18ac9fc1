"""Checks that an answer is about the vehicle that its request named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from roadster_client.upstream.exchange import Answer

_VIN = re.compile(r"\s*[A-Za-z0-9]{17}\s*")


def check_vin(answer: Answer, vin: str) -> None:
    """Raises MalformedAnswer if the answer names another vehicle than `vin` as the one that it is about."""
    for vehicle in _vehicles_in(answer.json):
        other = vehicle.get("vin") if isinstance(vehicle, dict) else None
        # Another value than a VIN names no other vehicle.
        if isinstance(other, str) and _VIN.fullmatch(other) and other.strip().upper() != vin.upper():
            raise answer.malformed_error("is about another vehicle and was withheld")


def _vehicles_in(json: Any) -> Iterator[Any]:
    """Yields the objects that describe the vehicle of the request. Others may be about similar vehicles."""
    yield json
    yield _part(json, "vehicle_info")
    deals = _part(json, "deals")
    for deal in deals.values() if isinstance(deals, dict) else ():
        yield _part(_part(deal, "data"), "vehicle")


def _part(json: Any, name: str) -> Any:
    return json.get(name) if isinstance(json, dict) else None
