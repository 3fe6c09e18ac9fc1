"""Links into a dealer's storefront."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from roadster_server.settings.sections import DealerSettings
from tests.conftest import Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import STEVE
from tests.tools.umazda import AT_UMAZDA, some_vin

pytestmark = pytest.mark.anyio


@pytest.mark.operation("create_link", "build_deep_link")
async def test_build_deep_link_asks_roadster_for_a_vehicle(connect: Connect, world: World) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        answer = answer_of(await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": vin}))
    assert vin in answer["url"]
    assert (await world.requests())[-1]["operation"] == "create_link"


@pytest.mark.operation("customer_link", "build_deep_link")
async def test_build_deep_link_encrypts_a_customers_data(connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": "JM1NDAM77K0306400", "customer": STEVE})
    url = urlsplit(answer_of(result)["url"])
    assert url.netloc == "express.umazda.com"
    assert parse_qs(url.query).keys() == {"mem"}
    assert await world.requests() == []
    for value in STEVE.values():
        assert value not in text_of(result)


@pytest.mark.parametrize(
    "arguments", [{}, {"customer": STEVE}, {"vin": "JM1NDAM77K0306400", "customer": STEVE, "utm_source": "mail"}]
)
async def test_build_deep_link_refuses_missing_arguments(arguments: dict[str, Any], connect: Connect) -> None:
    async with connect() as client:
        assert kind_of(await client.call_tool("build_deep_link", {**AT_UMAZDA, **arguments})) == "invalid_arguments"


async def test_build_deep_link_names_the_missing_key(connect: Connect) -> None:
    dealers = {"umazda": DealerSettings(express_host="express.umazda.com")}
    async with connect(change={"dealers": dealers}, dealers=["umazda"]) as client:
        result = await client.call_tool("build_deep_link", {"vin": "JM1NDAM77K0306400", "customer": STEVE})
    assert kind_of(result) == "not_configured"
    assert "dealers.umazda.link_key" in text_of(result)
