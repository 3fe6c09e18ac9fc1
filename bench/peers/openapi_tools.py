"""FastMCP with a tool for each operation of the sandbox's own OpenAPI description.

python -m bench.peers.openapi_tools URL
"""

from __future__ import annotations

import sys

import httpx2
from fastmcp import FastMCP

url = sys.argv[1]
description = httpx2.get(f"{url}/openapi.json", trust_env=False).json()
upstream = httpx2.AsyncClient(base_url=url, headers={"Authorization": "Bearer sandbox-key"}, trust_env=False)
server = FastMCP.from_openapi(description, client=upstream)
server.run(show_banner=False)
