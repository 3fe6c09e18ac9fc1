"""The sealed parts of an approval.

Each text is sealed for one approval and one part of it. A row that somebody copied or changed in the database cannot be
opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from roadster_server.store import Approval
from roadster_tools import Seal, Unsealable

Part = Literal["question", "content", "reason", "outcome"]


@dataclass(frozen=True)
class ShownFile:
    """The file of a write: its kind and size in words, and the SHA-256 of its bytes."""

    about: str
    sha256: str


@dataclass(frozen=True)
class ShownWrite:
    """A write as a form and a page show it to a person, with who asks for it."""

    heading: str
    fields: tuple[tuple[str, str], ...]
    """The name and the value of each field, as the form has them."""
    requester: str
    client: str
    file: ShownFile | None = None


@dataclass(frozen=True)
class WaitingCall:
    """The call that an approval lets be sent."""

    arguments: Mapping[str, Any]
    digest: str
    """The hash of the request, and of what it is about, as the person saw them."""
    requester: str
    """The requester, as `Requesters` describes them."""
    client: str
    protocol: str
    scope: str = ""
    """The scope of the idempotency key under which the write is sent."""
    hash: str = ""
    """The hash of the arguments under that key."""


class Sealed:
    """Seals and opens the parts of approvals with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal_of(self, id_: str, part: Part) -> Seal:
        return Seal.bound_to(self._key, id_, part)

    def seal(self, id_: str, part: Part, value: Any) -> bytes:
        """Seals a JSON value, or a dataclass of these."""
        plain = asdict(value) if isinstance(value, ShownWrite | WaitingCall) else value
        return self.seal_of(id_, part).seal(json.dumps(plain)).encode()

    def question(self, approval: Approval) -> ShownWrite:
        """Raises Unsealable where it was sealed under another key."""
        values = self._open(approval.id, "question", approval.question)
        file = values.get("file")
        fields = tuple((name, value) for name, value in values["fields"])
        return ShownWrite(**{**values, "fields": fields, "file": None if file is None else ShownFile(**file)})

    def call(self, approval: Approval) -> WaitingCall:
        """Raises Unsealable where it was sealed under another key, or was deleted."""
        return WaitingCall(**self._open(approval.id, "content", approval.content))

    def reason(self, approval: Approval) -> str:
        """Returns what the approver wrote, which may be nothing."""
        return "" if approval.reason is None else str(self._open(approval.id, "reason", approval.reason))

    def failure(self, approval: Approval) -> tuple[str, str]:
        """Returns the kind and the text of the failure with which an approved write ended."""
        kind, text = self._open(approval.id, "outcome", approval.outcome or b"")
        return str(kind), str(text)

    def answer(self, approval: Approval) -> dict[str, Any]:
        """Returns the structured content of the answer of a write that was done."""
        _rights, _text, content = self._open(approval.id, "outcome", approval.outcome or b"")
        return dict(content)

    def _open(self, id_: str, part: Part, sealed: bytes) -> Any:
        try:
            return json.loads(self.seal_of(id_, part).open(sealed.decode()))
        except UnicodeDecodeError:
            raise Unsealable from None
