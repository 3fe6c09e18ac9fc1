"""FastMCP with a tool for each operation of the sandbox's own OpenAPI description.

python -m bench.servers.peers.openapi_tools URL [PORT]    over HTTP without sessions where there is a port
"""

from __future__ import annotations

import sys

import httpx2
from fastmcp import FastMCP

url = sys.argv[1]
description = httpx2.get(f"{url}/openapi.json", trust_env=False).json()
upstream = httpx2.AsyncClient(base_url=url, headers={"Authorization": "Bearer sandbox-key"}, trust_env=False)
server = FastMCP.from_openapi(description, client=upstream)
if len(sys.argv) > 2:
    server.run("http", show_banner=False, port=int(sys.argv[2]), stateless_http=True, json_response=True)
else:
    server.run(show_banner=False)
