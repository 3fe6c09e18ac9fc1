#!/bin/sh
# Plain HTTP with the protocol 2026-07-28, which needs no session. Needs curl and jq.
#
#     sh examples/frameworks/curl.sh http://127.0.0.1:8000/mcp
set -eu
url=${1:-http://127.0.0.1:8000/mcp}

# request METHOD NAME PARAMS: the body names the protocol's version and the client. Headers repeat version, method, name
# and dealer.
request() {
  dealer=$(jq -nr --argjson params "$3" '$params.arguments.dealer // ""')
  jq -nc --arg method "$1" --argjson params "$3" '{jsonrpc: "2.0", id: 1, method: $method, params: ($params + {_meta: {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {name: "curl", version: "1"},
    "io.modelcontextprotocol/clientCapabilities": {}}})}' |
    curl --silent --show-error --max-time 60 "$url" --data-binary @- \
      -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
      -H 'MCP-Protocol-Version: 2026-07-28' -H "Mcp-Method: $1" ${2:+-H "Mcp-Name: $2"} ${dealer:+-H "Mcp-Param-dealer: $dealer"} \
      ${ROADSTER_MCP_TOKEN:+-H "Authorization: Bearer $ROADSTER_MCP_TOKEN"}
}

# call TOOL ARGUMENTS
call() {
  request tools/call "$1" "$(jq -nc --arg name "$1" --argjson arguments "$2" '{name: $name, arguments: $arguments}')"
}

request tools/list '' '{}' | jq -r '"tools: \(.result.tools | length)"'
vin=$(call list_inventory '{"dealer": "umazda", "model": "CX-5", "limit": 1}' |
  jq -r '.result.structuredContent.vehicles[0].vin')
call quote_payments "{\"dealer\": \"umazda\", \"vin\": \"$vin\"}" |
  jq -r '"lease: \(.result.structuredContent.lease.monthly_payment) a month"'
call list_inventory '{"dealer": "toyotademo"}' | jq -r '.result | select(.isError) | .content[0].text'
