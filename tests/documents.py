"""Documents that differ from a sound one in one value."""

from __future__ import annotations

import copy
from typing import Any


def changed_document(document: Any, path: str, value: Any) -> Any:
    """Returns a copy with the value at `path`, such as `items.0.name`. The value ... leaves it out."""
    changed = copy.deepcopy(document)
    *steps, last = path.split(".")
    node = changed
    for step in steps:
        node = node[int(step) if step.isdigit() else step]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return changed
