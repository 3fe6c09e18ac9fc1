"""Writes `tools/roadster_tools/schemas.json` anew from the signatures of all tools: `make generate`."""

from __future__ import annotations

import json
from pathlib import Path

from roadster_tools import TOOLS

SCHEMAS = Path(__file__).parent.parent / "tools" / "roadster_tools" / "schemas.json"


def main() -> None:
    schemas = {tool.name: tool.derived_schemas() for tool in TOOLS.values()}
    SCHEMAS.write_text(json.dumps(schemas, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
