"""An agent without a model, that can do one thing: say what a lease costs."""

import re

from mcp import Client


async def agent(request: str, client: Client) -> str:
    """Given the request and a client of the server; what it returns is its answer."""
    vin = re.search(r"\b[A-HJ-NPR-Z0-9]{17}\b", request)
    if vin is None or "lease" not in request:
        return "I can only quote leases. Which car is it?"
    terms = {"term_months": r"(\d+) months", "annual_miles": r"([\d,]+) miles", "customer_cash": r"\$([\d,]+) down"}
    found = {name: re.search(pattern, request) for name, pattern in terms.items()}
    asked = {name: int(match[1].replace(",", "")) for name, match in found.items() if match}
    quote = await client.call_tool("quote_payments", {"dealer": "umazda", "vin": vin[0], "deal_type": "lease", **asked})
    if quote.is_error or quote.structured_content is None:
        return "I cannot quote it at the moment."
    return f"The lease would be ${quote.structured_content['lease']['monthly_payment']} a month."
