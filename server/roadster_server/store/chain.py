"""The audit chain: each row's hash covers the row and, through the hash before it, all rows before.

Hashed is what is stored, column by column: with a SHA-256 and the database's own shell anyone can check
a chain without this program. A row's hash is SHA-256 over the previous hash and the row, without its
hash, as JSON with sorted keys, no spaces and ASCII only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from .records import AuditRecord, StoredRecord

GENESIS = "0" * 64
"""What stands for the previous hash of the first record."""


def row_of(seq: int, record: AuditRecord, previous: str) -> dict[str, Any]:
    row = {name: _storable(value) for name, value in asdict(record).items()}
    row |= {"seq": seq, "time": stored_time(record.time), "arguments": _canonical(dict(record.arguments))}
    return {**row, "hash": digest(previous, row)}


def digest(previous: str, row: Mapping[str, Any]) -> str:
    content = {name: value for name, value in row.items() if name != "hash"}
    return hashlib.sha256(f"{previous}{_canonical(content)}".encode()).hexdigest()


def stored_record(row: Mapping[str, Any]) -> StoredRecord:
    """Raises ValueError for a row that no record makes."""
    values = dict(row)
    seq, stored = values.pop("seq"), values.pop("hash")
    values["time"] = datetime.fromisoformat(values["time"])
    values["arguments"] = json.loads(values["arguments"])
    return StoredRecord(seq, AuditRecord(**values), stored)


def stored_time(time: datetime) -> str:
    """Of one length, so that the order of the texts is the order of the times."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _canonical(value: Mapping[str, Any]) -> str:
    # A tampered row may hold what JSON cannot: it has to give another hash, not an error.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr)


def _storable(value: Any) -> Any:
    """A client names itself: what no database stores as text must not keep its calls from being recorded."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
