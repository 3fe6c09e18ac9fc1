"""Somebody's own assistant, as small as one can be."""


async def quote(client, vin: str) -> float:
    """The monthly payment of a lease."""
    result = await client.call_tool("quote_payments", {"dealer": "umazda", "vin": vin, "deal_type": "lease"})
    if result.is_error:
        raise LookupError(vin)
    return result.structured_content["lease"]["monthly_payment"]
