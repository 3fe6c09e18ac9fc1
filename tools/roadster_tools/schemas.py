"""The schemas of all tools, written down: reviewed like code, and read at the start instead of derived.

Deriving them makes pydantic build every model, which an assistant would wait for at each start. Run
`make schemas` after changing a tool; a test compares what is written with what the code says.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

_NAME = "schemas.json"


@cache
def written_schemas() -> dict[str, dict[str, dict[str, Any]]]:
    """Input and output schema by tool."""
    schemas: dict[str, dict[str, dict[str, Any]]] = json.loads(
        files("roadster_tools").joinpath(_NAME).read_text(encoding="utf-8")
    )
    return schemas


def main() -> None:
    """Writes the schemas anew, into the source tree."""
    from . import TOOLS  # noqa: PLC0415 - the tools read what this module holds

    derived = {tool.name: tool.derived_schemas() for tool in TOOLS.values()}
    Path(__file__).with_name(_NAME).write_text(json.dumps(derived, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
