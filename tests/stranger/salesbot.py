"""Somebody else's assistant, as small as possible."""


async def quote(client, vin: str) -> float:
    """Returns the monthly payment of a lease."""
    result = await client.call_tool("quote_payments", {"dealer": "umazda", "vin": vin, "deal_type": "lease"})
    if result.is_error:
        raise LookupError(vin)
    return result.structured_content["lease"]["monthly_payment"]
