"""Writes all tools and their schemas into `tools/roadster_tools/schemas.json`. `make generate` runs it.

The schemas are derived from the signatures of the tools. The server reads the file at its start, because deriving them
and loading the code of the tools take longer. Review a change of the file like code: a model reads it.
"""

from __future__ import annotations

import json
from pathlib import Path

from roadster_tools.definitions import DEFINITIONS

SCHEMAS = Path(__file__).parent.parent / "tools" / "roadster_tools" / "schemas.json"


def main() -> None:
    schemas = {name: tool.as_json() for name, tool in DEFINITIONS.items()}
    SCHEMAS.write_text(json.dumps(schemas, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
