"""The deliveries, orders and customers of each dealer. Every function needs a transaction."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from roadster_server.store.database import insert_new
from roadster_server.store.tables import belongings

from .expiry import milliseconds


async def has(connection: AsyncConnection, dealer: str, kind: str, id_: str) -> bool:
    row = select(belongings.c.id).where(
        belongings.c.dealer == dealer, belongings.c.kind == kind, belongings.c.id == id_
    )
    return (await connection.execute(row)).first() is not None


async def add(connection: AsyncConnection, dealer: str, kind: str, id_: str) -> bool:
    """Returns whether it is the dealer's now: a delivery stays with the dealer that had it first."""
    insert = insert_new(connection, belongings).values(
        dealer=dealer, kind=kind, id=id_, added=milliseconds(datetime.now(UTC))
    )
    await connection.execute(insert)
    return await has(connection, dealer, kind, id_)


async def ids(connection: AsyncConnection, dealer: str, kind: str, prefix: str, most: int) -> list[str]:
    newest = (
        select(belongings.c.id)
        .where(
            belongings.c.dealer == dealer,
            belongings.c.kind == kind,
            belongings.c.id.startswith(prefix, autoescape=True),
        )
        .order_by(belongings.c.added.desc(), belongings.c.id)
        .limit(most)
    )
    return list((await connection.scalars(newest)).all())
