"""Marks: single numbers that the store remembers, by their names. Every function needs a write transaction."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, select, update

from roadster_server.store.databases.database import insert_new
from roadster_server.store.tables import marks

Mark = Literal["probes", "nonces", "revocations"]
"""The numbers of probes and of revocations, and the newest time of expiry, in milliseconds, among the nonces that were
deleted."""


def take(connection: Connection, name: Mark) -> int:
    """Returns the mark, 0 where it was never set. Other transactions wait for it until this one ends."""
    connection.execute(insert_new(connection, marks), {"name": name, "value": 0})
    locked = select(marks.c.value).where(marks.c.name == name).with_for_update()
    return int((connection.execute(locked)).scalar_one())


def put(connection: Connection, name: Mark, value: int) -> None:
    """Sets a mark that the transaction has taken."""
    connection.execute(update(marks).where(marks.c.name == name).values(value=value))


def add_one(connection: Connection, name: Mark) -> int:
    """Returns the mark's new value."""
    value = take(connection, name) + 1
    put(connection, name, value)
    return value
