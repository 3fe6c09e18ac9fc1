"""Nothing is built twice: pydantic's schemas take longer to build than a whole call takes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic._internal._generate_schema import GenerateSchema

from tests.conftest import Connect
from tests.tool_examples import every_call

pytestmark = pytest.mark.anyio


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The types whose schema pydantic has built so far."""
    types: list[Any] = []
    generate_schema = GenerateSchema.generate_schema

    def count(self: GenerateSchema, kind: Any) -> Any:
        types.append(kind)
        return generate_schema(self, kind)

    monkeypatch.setattr(GenerateSchema, "generate_schema", count)
    return types


async def test_no_schema_is_built_after_the_first_call_of_each_tool(connect: Connect, builds: list[Any]) -> None:
    async with connect(personal_data="contact") as client:
        for name, arguments in every_call("umazda").items():
            await client.call_tool(name, arguments)
        builds.clear()
        for _ in range(3):
            for name, arguments in every_call("umazda").items():
                await client.call_tool(name, arguments)
    assert builds == []


def test_a_build_is_counted(builds: list[Any]) -> None:
    TypeAdapter(list[int])
    assert builds
