"""The state of each dealer's mirror, and the lease of its refresh. Every function needs a transaction."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, select, update

from roadster_server.store.databases.database import insert_new
from roadster_server.store.mirror_records import MirrorState
from roadster_server.store.tables import mirrors

_columns = mirrors.c


def state(connection: Connection, dealer: str) -> MirrorState:
    """Returns the dealer's state, that of an empty mirror where there is none."""
    names = [column for column in _columns if column.name not in ("dealer", "holder")]
    row = (connection.execute(select(*names).where(_columns.dealer == dealer))).mappings().one_or_none()
    return MirrorState(**row) if row else MirrorState()


def take_lease(connection: Connection, dealer: str, holder: str, until: int, now: int) -> MirrorState | None:
    """Gives the refresh of a dealer's mirror to `holder`. Returns None while another one has it."""
    empty = {**asdict(MirrorState()), "dealer": dealer, "holder": ""}
    connection.execute(insert_new(connection, mirrors), empty)
    # A lease that ends much later than this one was given by a clock that was ahead. One that ends a little later was
    # given to another process in the time between `now` and here.
    is_free = (_columns.lease < now) | (_columns.lease > until + (until - now))
    lease = update(mirrors).where(_columns.dealer == dealer, is_free)
    if (connection.execute(lease.values(holder=holder, lease=until))).rowcount == 0:
        return None
    return state(connection, dealer)


def put(connection: Connection, dealer: str, holder: str, new: MirrorState) -> bool:
    """Changes the state. Returns False, and changes nothing, where `holder` has lost the lease."""
    own = update(mirrors).where(_columns.dealer == dealer, _columns.holder == holder)
    return (connection.execute(own.values(**asdict(new)))).rowcount > 0
