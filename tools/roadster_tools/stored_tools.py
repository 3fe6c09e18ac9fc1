"""The tools as `schemas.json` has them. They are all that lists and rights need: see `definitions` for their code."""

from __future__ import annotations

from .schemas import load_schemas
from .tool import Tool

TOOLS = {name: Tool(name, **entry["facts"]) for name, entry in load_schemas().items()}
"""Every tool by name, in the order of `tools/list`."""

TOOLSETS = tuple(dict.fromkeys(tool.toolset for tool in TOOLS.values()))
