"""The key with which `reply` signs the person in to the pages of a served world: a file beside the record.

Only the account that runs the harness can read it. A link in an answer of the agent opens no page elsewhere.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from roadster_evals.people.visits import PageKey
from roadster_evals.usage import UsageError

_ENDING = ".pages"


def write_page_key(record: Path, key: PageKey) -> None:
    """Writes the key, in the place of that of an earlier world. Raises UsageError."""
    path = _path_beside(record)
    try:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({"origin": key.origin, "key": key.secret.hex()}, file)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({type(error).__name__})") from None


def read_page_key(record: Path) -> PageKey:
    """Returns the key of the world with this record. Raises UsageError."""
    path = _path_beside(record)
    try:
        content = json.loads(path.read_text("utf-8"))
        return PageKey(content["origin"], bytes.fromhex(content["key"]))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({type(error).__name__}); serve writes it") from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: is no key of pages; serve writes it") from None


def _path_beside(record: Path) -> Path:
    return record.with_name(record.name + _ENDING)
