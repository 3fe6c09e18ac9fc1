"""Which delivery, order and customer is which dealer's. Each function is part of a transaction."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import insert_new
from .expiry import milliseconds
from .tables import belongings


async def has(connection: AsyncConnection, dealer: str, kind: str, id_: str) -> bool:
    found = select(belongings.c.id).where(
        belongings.c.dealer == dealer, belongings.c.kind == kind, belongings.c.id == id_
    )
    return (await connection.execute(found)).first() is not None


async def add(connection: AsyncConnection, dealer: str, kind: str, id_: str) -> bool:
    """Whether it is the dealer's then: a delivery stays with the dealer that had it first."""
    added = insert_new(connection, belongings).values(
        dealer=dealer, kind=kind, id=id_, added=milliseconds(datetime.now(UTC))
    )
    await connection.execute(added)
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
