"""An agent without a model. It can do one thing: quote a lease."""

import re

from mcp import Client


async def agent(request: str, client: Client) -> str:
    """Works on the request with a client of the server, and returns the answer."""
    vin = re.search(r"\b[A-HJ-NPR-Z0-9]{17}\b", request)
    if vin is None or "lease" not in request:
        return "I can only quote leases. Which car is it?"
    patterns = {"term_months": r"(\d+) months", "annual_miles": r"([\d,]+) miles", "customer_cash": r"\$([\d,]+) down"}
    matches = {name: re.search(pattern, request) for name, pattern in patterns.items()}
    terms = {name: int(match[1].replace(",", "")) for name, match in matches.items() if match}
    quote = await client.call_tool("quote_payments", {"dealer": "umazda", "vin": vin[0], "deal_type": "lease", **terms})
    if quote.is_error or quote.structured_content is None:
        return "I cannot quote it at the moment."
    return f"The lease would be ${quote.structured_content['lease']['monthly_payment']} a month."
