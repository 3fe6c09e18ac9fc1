"""The key under which a write is done once: what the store knows it by, and what its answer is sealed with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from roadster_server.calls.keys import Keys
from roadster_tools import AdmittedCall, Seal


@dataclass(frozen=True)
class WriteKey:
    """A key of one caller, dealer and tool."""

    scope: str
    arguments: str
    """A keyed hash of the arguments."""
    old_scope: str = ""
    """The name of the key in stores of version 0001."""
    argument: str = "idempotency_key"
    """The argument that the key is from, for errors about it."""

    @classmethod
    def of_call(cls, keys: Keys, principal: str, call: AdmittedCall) -> WriteKey | None:
        """Returns the key of a call, None for one that has none.

        A file that a person handed over is for one write, so its handle is a key too.
        """
        if call.idempotency_key is not None:
            return cls.of(keys, principal, call, call.idempotency_key)
        handle = call.plain_arguments.get("upload")
        # No key of a caller has a space.
        return None if handle is None else replace(cls.of(keys, principal, call, f"upload {handle}"), argument="upload")

    @classmethod
    def of(cls, keys: Keys, principal: str, call: AdmittedCall, key: str) -> WriteKey:
        # A plain hash: the keys of the server depend on the API key, and a new API key must not allow the write again.
        named_key = [principal, call.dealer, call.tool.name, key]
        scope = hashlib.sha256(json.dumps(named_key).encode()).hexdigest()
        return cls(scope, hash_of_arguments(keys, call), keys.hash(named_key))

    @classmethod
    def of_approval(cls, keys: Keys, principal: str, call: AdmittedCall, approval: str) -> WriteKey:
        """Returns the key of a write that is sent after a yes: that of its call, or one of the approval's own."""
        # No key of a caller has a space.
        return cls.of(keys, principal, call, call.idempotency_key or f"approval {approval}")

    def seal(self, keys: Keys) -> Seal:
        return Seal.bound_to(keys.results, self.scope)


def hash_of_call(keys: Keys, principal: str, call: AdmittedCall) -> str:
    """Returns a keyed hash of who calls which tool at which dealer with which arguments."""
    return keys.marked_hash([principal, call.dealer, call.tool.name, hash_of_arguments(keys, call)])


def hash_of_arguments(keys: Keys, call: AdmittedCall) -> str:
    # The dealer is left out, because a caller with one dealer need not name it. It stands beside the hash.
    return keys.marked_hash({**call.plain_arguments, "dealer": None})
