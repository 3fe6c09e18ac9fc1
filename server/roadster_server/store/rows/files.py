"""The files that people were asked for, and the parts of those that wait. Every function needs a transaction."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, Delete, RowMapping, delete, func, insert, select, update

from roadster_server.store.databases.database import take_turn_of
from roadster_server.store.records import DOWNLOAD, AuditRecord, FileRequest, StoredFileRequest
from roadster_server.store.tables import file_parts, file_requests

from .audit import audit

_columns = file_requests.c
_NAMES = FileRequest.__dataclass_fields__


def add(connection: Connection, request: FileRequest, now: int, most: int) -> bool:
    """Adds a request for a file. Adds none, and returns False, where the principal has `most` of them."""
    take_turn_of(connection, request.principal)  # so that no two count the same ones before they add theirs
    own = (_columns.principal == request.principal, _columns.expires > now, _columns.purpose != DOWNLOAD)
    if (connection.scalar(select(func.count()).select_from(file_requests).where(*own)) or 0) >= most:
        return False
    connection.execute(insert(file_requests), {**asdict(request), "facts": ""})
    return True


def add_download(connection: Connection, request: FileRequest, facts: str) -> None:
    connection.execute(insert(file_requests), {**asdict(request), "facts": facts})


def find_by_link(connection: Connection, link: str, now: int) -> StoredFileRequest | None:
    rows = connection.execute(select(file_requests).where(_columns.link == link, _columns.expires > now))
    return _request_in(rows.mappings().one_or_none())


def find_by_file(connection: Connection, file: str, now: int) -> StoredFileRequest | None:
    rows = connection.execute(select(file_requests).where(_columns.file == file, _columns.expires > now))
    return _request_in(rows.mappings().one_or_none())


def _request_in(row: RowMapping | None) -> StoredFileRequest | None:
    if row is None:
        return None
    request = FileRequest(**{name: row[name] for name in _NAMES})
    return StoredFileRequest(request, row["content"], row["facts"])


def use(connection: Connection, link: str, now: int) -> StoredFileRequest | None:
    """Returns the request of a link and deletes it. Of two transactions at a time, one gets it."""
    entry = find_by_link(connection, link, now)
    if entry is None:
        return None
    gone = connection.execute(delete(file_requests).where(_columns.file == entry.request.file))
    return entry if gone.rowcount else None


def can_begin(connection: Connection, link: str, now: int, most: int) -> bool:
    """Returns whether the link is good for another attempt to hand over a file."""
    return connection.scalar(select(_columns.file).where(*_begins(link, now, most))) is not None


def begin(connection: Connection, link: str, now: int, most: int) -> StoredFileRequest | None:
    """Counts an attempt to hand over a file, and returns the request. Returns None where the link is not good."""
    attempt = update(file_requests).where(*_begins(link, now, most))
    if connection.execute(attempt.values(attempts=_columns.attempts + 1)).rowcount == 0:
        return None
    return find_by_link(connection, link, now)


def _begins(link: str, now: int, most: int) -> tuple[ColumnElement[bool], ...]:
    return _columns.link == link, _columns.expires > now, _columns.content == "", _columns.attempts < most


def add_part(connection: Connection, file: str, content: str, number: int, part: bytes, expires: int) -> None:
    row = {"file": file, "content": content, "number": number, "part": part, "expires": expires}
    connection.execute(insert(file_parts), row)


def end(
    connection: Connection, link: str, content: str, facts: str, *, now: int, expires: int, record: AuditRecord
) -> bool:
    """Makes the parts the file of the request. Returns False where another attempt was first, or the link is over."""
    first = update(file_requests).where(_columns.link == link, _columns.expires > now, _columns.content == "")
    if connection.execute(first.values(content=content, facts=facts, expires=expires)).rowcount == 0:
        return False
    audit.append(connection, record)
    return True


def parts(connection: Connection, file: str, content: str) -> list[bytes]:
    """Returns the parts in order."""
    own = select(file_parts.c.part).where(file_parts.c.file == file, file_parts.c.content == content)
    return list(connection.scalars(own.order_by(file_parts.c.number)))


def remove_parts(connection: Connection, file: str, content: str) -> None:
    connection.execute(delete(file_parts).where(file_parts.c.file == file, file_parts.c.content == content))


def remove(connection: Connection, file: str) -> None:
    """Deletes the request, with all parts."""
    _remove(connection, [file])


def forget_of_customer(connection: Connection, dealer: str, customer: str) -> int:
    """Deletes what a customer's files leave. Returns the number of requests."""
    own = select(_columns.file).where(_columns.dealer == dealer, _columns.customer == customer)
    return _remove(connection, list(connection.scalars(own)))


def forget_expired(connection: Connection, now: int, most: int) -> int:
    """Deletes up to `most` requests whose time is over, and parts that no request has. Returns how many requests."""
    connection.execute(_parts_until(now))
    old = select(_columns.file).where(_columns.expires <= now).order_by(_columns.expires).limit(most)
    return _remove(connection, list(connection.scalars(old.with_for_update(skip_locked=True))))


def _parts_until(now: int) -> Delete:
    return delete(file_parts).where(file_parts.c.expires <= now)


def _remove(connection: Connection, files: list[str]) -> int:
    if files:
        connection.execute(delete(file_parts).where(file_parts.c.file.in_(files)))
        connection.execute(delete(file_requests).where(_columns.file.in_(files)))
    return len(files)
