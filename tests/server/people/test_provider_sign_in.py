"""Sign-in by an identity provider: who gets in, what a session keeps, and which answers are refused."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from pydantic import SecretStr

from roadster_server.calls.keys import Keys
from roadster_server.identity.authorization import Attempt
from roadster_server.identity.revocations import Revocations
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import IdentitySettings, PeopleRule
from roadster_server.settings.sections.http import HttpSettings
from roadster_server.store import AuditQuery, RevokedSubjects, open_store
from roadster_tools import Seal
from tests.server.transports.listening import listening

from .browser import PageBrowser, page_browser
from .provider import CLIENT, SECRET, Provider, running_provider

pytestmark = pytest.mark.anyio


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture
def live(tmp_path: Path, provider: Provider) -> LiveSettings:
    settings = sandbox_settings(f"sqlite:///{tmp_path}/store.db")
    work = IdentitySettings(
        issuer=provider.url,
        audiences=["https://mcp.example.com/mcp"],
        client_id=CLIENT,
        client_secret=SecretStr(SECRET),
        name_claim="email",
        people=[PeopleRule(match={"groups": "managers"}, role="manager", dealers=["umazda"])],
    )
    return LiveSettings(settings.model_copy(update={"identity": {"work": work}}))


class Revoked:
    """The list of revocations, which a test changes."""

    def __init__(self) -> None:
        self.times: dict[str, int] = {}

    async def read(self, after: int) -> RevokedSubjects:
        return RevokedSubjects(after + 1, dict(self.times))


@pytest.fixture
def revoked() -> Revoked:
    return Revoked()


@pytest.fixture
async def browser(live: LiveSettings, provider: Provider, revoked: Revoked) -> AsyncIterator[PageBrowser]:
    provider.id_token = {"groups": ["managers"], "email": "steve@example.com"}
    revocations = Revocations(revoked.read)
    async with listening(live, revocations=revocations) as url, anyio.create_task_group() as tasks:
        tasks.start_soon(revocations.follow)
        change(live, http=HttpSettings(resource_url=f"{url}/mcp"))
        async with page_browser(url) as opened:
            yield opened
        tasks.cancel_scope.cancel()


def change(live: LiveSettings, **sections: Any) -> None:
    live.current = live.current.model_copy(update=sections)


def change_work(live: LiveSettings, **keys: Any) -> None:
    change(live, identity={"work": live.current.identity["work"].model_copy(update=keys)})


async def sign_in(browser: PageBrowser, page: str = "") -> str:
    return await browser.open(f"/people/sign-in/work{f'?next={page}' if page else ''}")


async def is_signed_in(browser: PageBrowser) -> bool:
    await browser.open("/people")
    return browser.page.url.path == "/people"


async def test_a_person_signs_in_with_the_role_of_the_rules(browser: PageBrowser, provider: Provider) -> None:
    page = await browser.open("/people/sign-in")
    assert "Sign in with work" in page
    page = await sign_in(browser)
    assert "Signed in as <bdi>steve@example.com</bdi>" in page
    assert "Console" in page
    assert provider.requests == ["basic"]


async def test_the_way_to_the_provider_has_pkce_state_and_nonce(browser: PageBrowser, provider: Provider) -> None:
    provider.answer = {"code": "none"}
    await sign_in(browser)
    query = provider.queries["code-0"]
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert query["scope"] == "openid"
    assert min(len(query["state"]), len(query["nonce"]), len(query["code_challenge"])) >= 32
    assert "client_secret" not in query


async def test_the_page_that_was_asked_for_comes_after_the_sign_in(browser: PageBrowser) -> None:
    await sign_in(browser, "console")
    assert browser.page.url.path == "/people/console"
    await sign_in(browser, "//evil.example")
    assert browser.page.url.path == "/people"


async def test_rights_are_those_of_the_configuration_of_the_moment(browser: PageBrowser, live: LiveSettings) -> None:
    await sign_in(browser)
    assert await is_signed_in(browser)
    change_work(live, people=[PeopleRule(match={"groups": "others"}, role="manager")])
    assert not await is_signed_in(browser)


async def test_a_session_holds_only_the_claims_of_the_rules(
    browser: PageBrowser, provider: Provider, live: LiveSettings
) -> None:
    """A rule that needs another claim matches only after a new sign-in."""
    provider.id_token["department"] = "finance"
    await sign_in(browser)
    change_work(live, people=[PeopleRule(match={"department": "finance"}, role="manager")])
    assert not await is_signed_in(browser)
    await sign_in(browser)
    assert await is_signed_in(browser)


async def test_a_session_does_not_outlive_a_rule_that_takes_rights_away(
    browser: PageBrowser, provider: Provider, live: LiveSettings
) -> None:
    """The rule that came first looks at a claim that nobody looked at when the person signed in."""
    provider.id_token["department"] = "suspended"
    await sign_in(browser)
    assert await is_signed_in(browser)
    rules = live.current.identity["work"].people
    change_work(live, people=[PeopleRule(match={"department": "suspended"}, role="manager"), *rules])
    assert not await is_signed_in(browser)


async def test_somebody_whom_no_rule_matches_gets_in_nowhere(browser: PageBrowser, provider: Provider) -> None:
    provider.id_token["groups"] = ["cleaners"]
    page = await sign_in(browser)
    assert browser.page.status_code == 403
    assert "nobody has given your account a role here" in page
    assert not await is_signed_in(browser)


async def test_a_revoked_person_is_signed_out(browser: PageBrowser, revoked: Revoked) -> None:
    await sign_in(browser)
    assert await is_signed_in(browser)
    revoked.times["work:steve"] = int(time.time() * 1000)
    with anyio.fail_after(30):
        while await is_signed_in(browser):
            await anyio.sleep(0.1)
    await sign_in(browser)
    assert not await is_signed_in(browser), "the token was issued before the revocation"


async def test_a_sign_in_is_on_record(browser: PageBrowser, live: LiveSettings) -> None:
    await sign_in(browser)
    async with open_store(live.current.store.url.get_secret_value()) as store:
        (entry,) = [each.record async for each in store.records(AuditQuery(principal="work:steve"))]
    assert (entry.tool, entry.caller, entry.setting, entry.protocol) == (
        "page sign-in",
        "work:manager",
        "identity.work",
        "page",
    )
    assert "steve@example.com" not in repr(entry)


async def test_claims_that_only_user_info_has_are_read_there(browser: PageBrowser, provider: Provider) -> None:
    provider.id_token = {}
    provider.user_info = {"groups": ["managers"], "email": "steve@example.com"}
    assert "steve@example.com" in await sign_in(browser)
    assert provider.requests == ["basic", "userinfo"]


async def test_user_info_of_somebody_else_is_refused(browser: PageBrowser, provider: Provider) -> None:
    provider.id_token = {}
    provider.user_info = {"groups": ["managers"], "sub": "carlos"}
    await sign_in(browser)
    assert not await is_signed_in(browser)


async def test_a_client_shows_its_secret_as_the_provider_wants_it(browser: PageBrowser, provider: Provider) -> None:
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    await sign_in(browser)
    assert await is_signed_in(browser)
    assert provider.requests == ["post"]


NOW = int(time.time())


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": ...},
        {"aud": "another-client"},
        {"aud": [CLIENT, "another-client"]},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"azp": "another-client"},
        {"iss": "https://evil.example"},
        {"exp": NOW - 3600},
        {"exp": ...},
        {"iat": ...},
        {"iat": NOW + 3600},
        {"sub": ...},
        {"token_use": "access"},
        {"typ": "Bearer"},
        {"_claim_names": {"groups": "src1"}, "groups": ...},
    ],
    ids="-".join,  # without the times: every process of a run must give a test the same name
)
async def test_an_id_token_with_a_wrong_claim_is_refused(
    browser: PageBrowser, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.id_token = {**provider.id_token, **claims}
    await sign_in(browser)
    assert browser.page.status_code == 403
    assert not await is_signed_in(browser)


async def test_an_id_token_for_others_too_names_this_client(browser: PageBrowser, provider: Provider) -> None:
    provider.id_token = {**provider.id_token, "aud": [CLIENT, "another-client"], "azp": CLIENT}
    await sign_in(browser)
    assert await is_signed_in(browser)


@pytest.mark.parametrize(
    ("key", "header"),
    [
        ("weak", {}),
        ("strange", {}),
        ("strange", {"kid": "rsa"}),
        ("rsa", {"kid": "unknown"}),
        ("rsa", {"typ": "at+jwt"}),
        ("rsa", {"crit": ["exp"]}),
    ],
)
async def test_an_id_token_with_a_wrong_signature_or_header_is_refused(
    browser: PageBrowser, provider: Provider, key: str, header: dict[str, Any]
) -> None:
    provider.key, provider.header = key, header
    await sign_in(browser)
    assert not await is_signed_in(browser)


@pytest.mark.parametrize(
    "answer",
    [
        {"state": "another"},
        {"state": ...},
        {"code": ...},
        {"code": "another"},
        {"code": "x" * 5000},
        {"iss": "https://evil.example"},
        {"error": "access_denied", "code": ...},
        {"error": "access_denied"},
    ],
    ids=str,
)
async def test_a_wrong_answer_of_the_provider_signs_nobody_in(
    browser: PageBrowser, provider: Provider, answer: dict[str, Any]
) -> None:
    provider.answer = answer
    await sign_in(browser)
    assert browser.page.status_code == 403
    assert "You are not signed in" in browser.page.text
    assert not await is_signed_in(browser)


async def test_an_answer_is_good_in_the_browser_that_began(browser: PageBrowser, provider: Provider) -> None:
    """Else somebody could sign others in as themselves, and read what they do."""
    answer = await browser.http.get(f"{browser.origin}/people/sign-in/work", follow_redirects=False)
    back = (await browser.http.get(answer.headers["location"], follow_redirects=False)).headers["location"]
    async with page_browser(browser.origin) as victim:
        await victim.open(back)
        assert victim.page.status_code == 403
        assert not await is_signed_in(victim)
    await browser.open(back)
    assert await is_signed_in(browser)
    await browser.submit("/people/sign-out")
    await browser.open(back)
    assert not await is_signed_in(browser), "the answer was used before"


async def test_two_tabs_sign_in_at_once(browser: PageBrowser) -> None:
    backs = []
    for _ in range(2):
        answer = await browser.http.get(f"{browser.origin}/people/sign-in/work", follow_redirects=False)
        backs.append((await browser.http.get(answer.headers["location"], follow_redirects=False)).headers["location"])
    for back in backs:
        await browser.open(back)
        assert browser.page.url.path == "/people"


async def test_an_attempt_is_good_for_ten_minutes(browser: PageBrowser, live: LiveSettings) -> None:
    answer = await browser.http.get(f"{browser.origin}/people/sign-in/work", follow_redirects=False)
    back = (await browser.http.get(answer.headers["location"], follow_redirects=False)).headers["location"]
    assert "Max-Age=600" in answer.headers["set-cookie"]
    (name,) = [name for name in browser.http.cookies if "attempt" in name]
    seal = Seal.bound_to(Keys.derive(live.current.roadster.api_key.get_secret_value()).people, "sign-in")
    attempt = Attempt.from_json(seal.open(browser.http.cookies[name]))
    assert 590 < attempt.until - time.time() < 601
    browser.http.cookies.clear()
    old = replace(attempt, until=time.time() - 1)
    browser.http.cookies.set(name, seal.seal(old.to_json()), domain="127.0.0.1", path="/people")
    await browser.open(back)
    assert browser.page.status_code == 403
    assert "took too long" in browser.page.text


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"authorization_endpoint": "http://evil.example/authorize"},
        {"token_endpoint": "http://evil.example/token"},
        {"authorization_endpoint": 7},
    ],
    ids=str,
)
async def test_metadata_of_another_issuer_or_without_tls_are_refused(
    browser: PageBrowser, provider: Provider, metadata: dict[str, Any]
) -> None:
    provider.metadata = metadata
    page = await sign_in(browser)
    assert browser.page.status_code == 403
    assert "The identity provider does not answer" in page


async def test_a_provider_without_a_client_has_no_sign_in(browser: PageBrowser, live: LiveSettings) -> None:
    change_work(live, client_id=None)
    assert "Sign in with" not in await browser.open("/people/sign-in")
    await browser.open("/people/sign-in/work")
    assert browser.page.status_code == 404
    await browser.open("/people/sign-in/nobody")
    assert browser.page.status_code == 404


async def test_a_sign_in_begins_at_the_public_address(browser: PageBrowser) -> None:
    other = browser.origin.replace("127.0.0.1", "localhost")
    answer = await browser.http.get(f"{other}/people/sign-in/work?next=console", follow_redirects=False)
    assert answer.headers["location"] == f"{browser.origin}/people/sign-in/work?next=console"


async def test_the_secret_and_the_code_are_in_no_page_and_no_address(browser: PageBrowser, provider: Provider) -> None:
    page = await sign_in(browser)
    assert SECRET not in page
    for answer in browser.page.history:
        location = answer.headers.get("location", "")
        if urlsplit(location).path.startswith("/people") and "code=" not in location:
            assert parse_qs(urlsplit(location).query) == {}
