"""The audit chain. Each row's hash covers the row and, through the hash before it, all earlier rows.

A row's hash is the SHA-256 of the previous hash and the row without its hash. The row is JSON with sorted keys, no
spaces and only ASCII. The stored columns are hashed as they are, so you can check a chain without this program, with
a database shell and a SHA-256 tool. `principal` and `approval` are left out where they are null: older records have
none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from roadster_server.store.records import AuditRecord, StoredRecord

GENESIS = "0" * 64
"""The previous hash of the first record."""


def row_of(seq: int, record: AuditRecord, previous: str) -> dict[str, Any]:
    """Returns the columns of the record in its place in the chain."""
    row = {name: _storable(value) for name, value in vars(record).items()}
    row["seq"], row["time"], row["arguments"] = seq, stored_time(record.time), _canonical(dict(record.arguments))
    row["hash"] = digest(previous, row)
    return row


def digest(previous: str, row: Mapping[str, Any]) -> str:
    """Returns the hash of a row, in hex."""
    content = {name: value for name, value in row.items() if name != "hash"}
    for name in ("principal", "approval"):
        if content[name] is None:
            del content[name]
    return hashlib.sha256(f"{previous}{_canonical(content)}".encode()).hexdigest()


def stored_record(row: Mapping[str, Any]) -> StoredRecord:
    """Returns the record of a row. Raises ValueError or TypeError for a row that no record makes."""
    values = dict(row)
    seq, hash_ = values.pop("seq"), values.pop("hash")
    values["time"] = datetime.fromisoformat(values["time"])
    values["arguments"] = json.loads(values["arguments"])
    return StoredRecord(seq, AuditRecord(**values), hash_)


def stored_time(time: datetime) -> str:
    """Returns the time as text. All have one length, so the texts sort as the times do."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


# A tampered row may hold a value that JSON cannot. It must give another hash, not an error.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=repr).encode


def _storable(value: Any) -> Any:
    """Escapes text that no database stores. A client chooses its own name, and must not prevent a record with it."""
    if not isinstance(value, str) or (value.isascii() and "\0" not in value):
        return value
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
