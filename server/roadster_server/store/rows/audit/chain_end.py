"""The end of the audit chain, to which a driver adds records. SQLAlchemy would take longer for it than the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Dialect, insert
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from roadster_server.store.databases.driver import Append
from roadster_server.store.errors import ClaimLost
from roadster_server.store.records import Claim
from roadster_server.store.rows.claims import MARK_SENT
from roadster_server.store.tables import audit

from .audit import NEWEST, place_after
from .chain import row_of

_COLUMNS = tuple(column.name for column in audit.columns)


class Statement:
    """A statement as text, and the order of its values."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = cast("SQLCompiler", statement.compile(dialect=dialect))
        self.text = str(compiled)
        self._defaults = [(name, compiled.params[name]) for name in compiled.positiontup or ()]

    def values(self, values: Mapping[str, Any]) -> list[Any]:
        return [values.get(name, default) for name, default in self._defaults]


class ChainEnd:
    """Puts records behind the newest one. It remembers those that it put there, to hash none of them again."""

    def __init__(self, dialect: Dialect) -> None:
        self.newest = Statement(NEWEST, dialect)
        self.mark_sent = Statement(MARK_SENT, dialect)
        self.insert = Statement(insert(audit), dialect)
        self._own: list[tuple[Any, ...]] = []

    @staticmethod
    def claim_lost() -> ClaimLost:
        text = "another call holds this idempotency key by now, so nothing was sent; ask again with the key"
        return ClaimLost(text)

    def claim_values(self, claim: Claim) -> list[Any]:
        return self.mark_sent.values({"of_scope": claim.scope, "of_token": claim.token})

    def rows(self, newest: Sequence[tuple[Any, ...]], appends: Sequence[Append]) -> list[dict[str, Any]]:
        """Returns the rows to insert. `newest` are the newest two of the table. Raises StoreError."""
        last = [dict(zip(_COLUMNS, row, strict=True)) for row in newest]
        if last and newest == self._own:
            seq, previous = last[0]["seq"] + 1, last[0]["hash"]
        else:
            seq, previous = place_after(last)
        rows = []
        for append in appends:
            rows.append(row_of(seq, append.record, previous))
            seq, previous = seq + 1, rows[-1]["hash"]
        return rows

    def remember(self, newest: Sequence[tuple[Any, ...]], rows: Sequence[Mapping[str, Any]]) -> None:
        """Call it when the rows are durable."""
        own = [tuple(row[name] for name in _COLUMNS) for row in reversed(rows[-2:])]
        self._own = [*own, *newest][:2]
