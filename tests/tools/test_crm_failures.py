"""The failures of myKaarma, in words of our own."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from roadster_sandbox import API_KEY, REQUESTER_USER_UUID, USERNAME
from roadster_sandbox.world.service_records import LOCKED_UUID
from roadster_server.settings.settings import Settings
from tests.conftest import Connect, World, kind_of, response, settings_for, text_of
from tests.tools.crm import ASKED, PROSE, upstream

pytestmark = pytest.mark.anyio


def problem(code: Any) -> dict[str, Any]:
    return {
        "errors": [{"errorCode": code, "errorTitle": PROSE, "errorMessage": PROSE}],
        "warnings": [{"warningCode": 1, "warningTitle": PROSE, "warningMessage": PROSE}],
        "error": PROSE,
        "customerInfo": {"fname": PROSE},
    }


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (response(problem(7001)), "upstream", 'was refused: "myKaarma reports error code 7001". No document says'),
        (response(problem("7001")), "upstream", "was refused."),
        (response(problem(12065550171)), "upstream", "was refused."),
        (response(problem(None)), "upstream", "was refused."),
        (response({"errors": [PROSE]}), "upstream", "was refused."),
        (response({"errors": PROSE}), "upstream", "was refused."),
        (response(problem(401)), "upstream", "does not accept our credentials (401)"),
        (response(problem(403)), "upstream", "does not accept our credentials (403)"),
        (response(problem(404)), "not_found", "not found at this dealer"),
        (response(problem(7002), 400), "upstream", 'was refused with 400: "myKaarma reports error code 7002"'),
        (response(problem(7002), 401), "upstream", "does not accept our credentials (401)"),
        (response(problem(7002), 500), "upstream", "failed with 500"),
        (response([]), "upstream", "does not have the documented fields"),
        (response({"customerInfo": [PROSE]}), "upstream", "does not have the documented fields"),
    ],
)
async def test_failure_repeats_no_word_of_mykaarma(
    answer: httpx2.Response, kind: str, text: str, connect: Connect, world: World
) -> None:
    async with connect(upstream=upstream(world, answer), personal_data="contact") as client:
        result = await client.call_tool("get_crm_customer", ASKED)
    assert kind_of(result) == kind
    assert text in text_of(result)
    for word in ("Carlos", "2065550171", "ignore"):
        assert word not in text_of(result)


async def test_failure_of_the_sandbox_has_its_reason(connect: Connect, world: World) -> None:
    async with connect() as client:
        refusal = await client.call_tool("get_crm_customer", {**ASKED, "customer_uuid": LOCKED_UUID})
        await world.fault("get_customer_record", "html")
        page = await client.call_tool("get_crm_customer", ASKED)
    assert "error code 7001" in text_of(refusal)
    assert "the server's operator must ask myKaarma" in text_of(refusal)
    assert "is a web page, often a login: check the credentials" in text_of(page)


@pytest.mark.parametrize(
    "wrong", [{"username": "nobody"}, {"password": "wrong"}, {"requester_user_uuid": "0" * 32}], ids=str
)
async def test_failure_for_wrong_credentials_names_the_operator(
    wrong: dict[str, str], connect: Connect, store_url: str
) -> None:
    settings: Settings = settings_for(store_url)
    assert settings.mykaarma is not None
    credentials = {"base_url": settings.mykaarma.base_url, "username": USERNAME, "password": API_KEY}
    secrets = {**credentials, "requester_user_uuid": REQUESTER_USER_UUID, **wrong}
    mykaarma = settings.mykaarma.model_construct(
        base_url=secrets["base_url"],
        username=type(settings.mykaarma.username)(secrets["username"]),
        password=type(settings.mykaarma.password)(secrets["password"]),
        requester_user_uuid=secrets["requester_user_uuid"],
    )
    async with connect(change={"mykaarma": mykaarma}) as client:
        result = await client.call_tool("get_crm_customer", ASKED)
    assert "does not accept our credentials (401)" in text_of(result)
