"""Sign-in by a link at the server's own computer, sessions, and what pages refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from roadster_server.calls.keys import Keys
from roadster_server.people.local_links import make_local_key
from roadster_server.settings.live import LiveSettings

from .browser import SAME_ORIGIN, PageBrowser, link_path, page_browser

pytestmark = pytest.mark.anyio


async def test_a_link_signs_in_after_the_button_was_pressed(browser: PageBrowser, live: LiveSettings) -> None:
    page = await browser.open(link_path(live.current))
    assert "You sign in as" in page
    assert "manager" in page
    await browser.open("/people/")
    assert browser.page.url.path == "/people/sign-in", "to open a link signs nobody in"
    await browser.sign_in(live.current)
    assert browser.page.url.path == "/people"
    assert "Signed in as <bdi>manager</bdi>" in browser.page.text


async def test_a_link_is_good_once(browser: PageBrowser, live: LiveSettings, origin: str) -> None:
    link = link_path(live.current)
    await browser.open(link)
    await browser.submit("/people/link")
    assert browser.page.status_code == 200
    async with page_browser(origin) as other:
        await other.open(link)
        await other.submit("/people/link")
        assert other.page.status_code == 403
        await other.open("/people")
        assert other.page.url.path == "/people/sign-in"


async def test_a_link_leads_to_the_page_one_came_for(browser: PageBrowser, live: LiveSettings) -> None:
    await browser.open("/people/console/audit")
    assert browser.page.url.path == "/people/sign-in"
    await browser.sign_in(live.current)
    assert browser.page.url.path == "/people/console/audit"
    await browser.submit("/people/sign-out")
    await browser.open("/people/sign-in")
    await browser.sign_in(live.current)
    assert browser.page.url.path == "/people", "only once"


@pytest.mark.parametrize("page", ["https://evil.example", "//evil.example", "../mcp", "a//b", "a?next=b", "a" * 201])
async def test_a_link_leads_to_no_other_place(browser: PageBrowser, live: LiveSettings, page: str) -> None:
    await browser.open(f"/people/sign-in?next={quote(page, safe='')}")
    await browser.sign_in(live.current)
    assert browser.page.url.path == "/people"
    cookie = f"roadster-{browser.page.url.port}-next"
    browser.http.cookies.set(cookie, page, domain="127.0.0.1", path="/people")
    await browser.open(link_path(live.current))
    await browser.submit("/people/link")
    assert browser.page.url.path == "/people", "a cookie is no better than an address"


@pytest.mark.parametrize("age", [timedelta(minutes=6), timedelta(minutes=-30)])
async def test_a_link_is_good_for_five_minutes(browser: PageBrowser, live: LiveSettings, age: timedelta) -> None:
    keys = Keys.derive(live.current.roadster.api_key.get_secret_value())
    key = make_local_key(keys.people, "manager", datetime.now(UTC) - age)
    await browser.open(f"/people/link?key={key}")
    assert browser.page.status_code == 403


async def test_behind_a_proxy_the_pages_name_the_address_at_which_a_link_is_good(
    browser: PageBrowser, live: LiveSettings, origin: str
) -> None:
    http = live.current.http.model_copy(update={"trusted_proxies": ["127.0.0.1"]})
    live.current = live.current.model_copy(update={"http": http})
    browser.http.headers["x-forwarded-for"] = "192.0.2.7"
    page = await browser.open("/people/sign-in")
    assert f"{origin}/people</code> and not at this address" in page
    assert "Nobody can sign in here yet" not in page
    assert f"{origin}/people</code>" in await browser.open(link_path(live.current))
    assert browser.page.status_code == 403


async def test_a_link_of_another_caller_is_refused(browser: PageBrowser, live: LiveSettings) -> None:
    await browser.open(link_path(live.current, "local"))
    assert browser.page.status_code == 403


async def test_an_altered_link_is_refused(browser: PageBrowser, live: LiveSettings) -> None:
    link = link_path(live.current)
    await browser.open(link[:-20] + ("A" if link[-20] != "A" else "B") + link[-19:])
    assert browser.page.status_code == 403


async def test_the_sign_in_leads_to_the_page_that_was_asked_for(browser: PageBrowser, live: LiveSettings) -> None:
    await browser.open("/people/sign-in?next=nowhere/4f2a")
    await browser.open(f"{link_path(live.current)}&next=nowhere/4f2a")
    await browser.submit("/people/link")
    assert browser.page.url.path == "/people/nowhere/4f2a"


@pytest.mark.parametrize(
    "page",
    ["//evil.example", "https://evil.example", "../mcp", "approvals/../../x", "javascript:alert(1)", "/x", "a\\b", ""],
)
async def test_the_sign_in_leads_nowhere_else(browser: PageBrowser, live: LiveSettings, page: str) -> None:
    await browser.open(f"{link_path(live.current)}&next={quote(page, safe='')}")
    await browser.submit("/people/link")
    assert browser.page.url.path == "/people"


async def test_a_sign_out_ends_the_session_at_the_server(browser: PageBrowser, live: LiveSettings) -> None:
    await browser.sign_in(live.current)
    cookies = dict(browser.http.cookies)
    await browser.submit("/people/sign-out")
    assert browser.page.url.path == "/people/sign-in"
    for name, value in cookies.items():
        browser.http.cookies.set(name, value)
    await browser.open("/people")
    assert browser.page.url.path == "/people/sign-in"


async def test_a_session_ends_when_the_configuration_lets_its_person_in_no_more(
    browser: PageBrowser, live: LiveSettings
) -> None:
    await browser.sign_in(live.current)
    people = live.current.people.model_copy(update={"local_caller": None})
    live.current = live.current.model_copy(update={"people": people})
    await browser.open("/people")
    assert browser.page.url.path == "/people/sign-in"


async def test_the_cookie_is_for_no_script_and_no_other_site(browser: PageBrowser, live: LiveSettings) -> None:
    await browser.open(link_path(live.current))
    cookies = browser.page.headers.get_list("set-cookie")
    assert len(cookies) == 1
    assert "; Path=/people; HttpOnly; SameSite=Lax" in cookies[0]


async def test_a_cookie_is_secure_unless_the_address_is_a_loopback_one(
    browser: PageBrowser, live: LiveSettings
) -> None:
    http = live.current.http.model_copy(update={"allowed_hosts": ["dealer.example"]})
    live.current = live.current.model_copy(update={"http": http})
    await browser.open(link_path(live.current), host="dealer.example")
    cookie = browser.page.headers["set-cookie"]
    assert cookie.startswith("__Secure-roadster-browser=")
    assert "; Secure" in cookie


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "http://["},
        {"origin": "null"},
        {},
    ],
)
async def test_a_form_of_another_site_does_nothing(
    browser: PageBrowser, live: LiveSettings, headers: dict[str, str]
) -> None:
    """The token is right, so only the headers of the browser tell."""
    await browser.open(link_path(live.current))
    form = browser.form("/people/link")
    answer = await browser.http.post(form.action, data=form.fields, headers=headers)
    assert answer.status_code == 403
    await browser.open("/people")
    assert browser.page.url.path == "/people/sign-in"


@pytest.mark.parametrize("token", ["", "0" * 64, "é" * 64, "of another browser"])
async def test_a_form_without_its_token_does_nothing(
    browser: PageBrowser, live: LiveSettings, origin: str, token: str
) -> None:
    await browser.open(link_path(live.current))
    form = browser.form("/people/link")
    if token == "of another browser":
        async with page_browser(origin) as other:
            await other.open(link_path(live.current))
            token = other.form("/people/link").fields["form_token"]
    answer = await browser.http.post(form.action, data={**form.fields, "form_token": token}, headers=SAME_ORIGIN)
    assert answer.status_code == 403
    assert "Nothing was done" in answer.text
    await browser.open("/people")
    assert browser.page.url.path == "/people/sign-in"


async def test_a_token_from_before_the_sign_in_is_not_good_after_it(browser: PageBrowser, live: LiveSettings) -> None:
    await browser.open(link_path(live.current))
    token = browser.form("/people/link").fields["form_token"]
    await browser.submit("/people/link")
    form = browser.form("/people/sign-out")
    answer = await browser.http.post(form.action, data={"form_token": token}, headers=SAME_ORIGIN)
    assert answer.status_code == 403


async def test_a_form_is_read_up_to_its_size(browser: PageBrowser, live: LiveSettings) -> None:
    await browser.open(link_path(live.current))
    await browser.submit("/people/link", next="a" * 70_000)
    assert browser.page.status_code == 413


async def test_a_page_stands_in_no_frame_and_runs_no_foreign_script(browser: PageBrowser) -> None:
    await browser.open("/people/sign-in")
    headers = browser.page.headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


async def test_no_origin_may_read_the_pages(browser: PageBrowser, live: LiveSettings) -> None:
    """An origin that may call the server is not one that may read what a person sees."""
    http = live.current.http.model_copy(update={"allowed_origins": ["https://app.example"]})
    live.current = live.current.model_copy(update={"http": http})
    await browser.open("/people/sign-in", origin="https://app.example")
    assert browser.page.status_code == 200
    assert "access-control-allow-origin" not in browser.page.headers


async def test_a_foreign_host_is_refused(browser: PageBrowser) -> None:
    await browser.open("/people/sign-in", host="evil.example")
    assert browser.page.status_code == 421


async def test_an_unknown_page_says_so_in_html(browser: PageBrowser) -> None:
    await browser.open("/people/nothing-here")
    assert browser.page.status_code == 404
    assert "There is no such page" in browser.page.text
    assert browser.page.headers["x-frame-options"] == "DENY"


async def test_pages_are_served_below_a_prefix(browser: PageBrowser, live: LiveSettings) -> None:
    http = live.current.http.model_copy(update={"path_prefix": "/roadster"})
    live.current = live.current.model_copy(update={"http": http})
    await browser.open(f"/roadster{link_path(live.current)}")
    assert 'href="/roadster/people/static/people.css"' in browser.page.text
    await browser.submit("/roadster/people/link")
    assert browser.page.url.path == "/roadster/people"
    assert "; Path=/roadster/people;" in browser.page.history[0].headers["set-cookie"]


async def test_styles_and_scripts_come_from_here(browser: PageBrowser) -> None:
    await browser.open("/people/static/people.css")
    assert browser.page.headers["content-type"].startswith("text/css")
    tag = browser.page.headers["etag"]
    await browser.open("/people/static/people.css", **{"if-none-match": tag})
    assert browser.page.status_code == 304
    for name in ("..%2Fapp.py", "no.css", "people.css%00", "%2e%2e", f"{'a' * 300}.css"):
        await browser.open(f"/people/static/{name}")
        assert browser.page.status_code == 404


async def test_pages_have_the_limit_of_calls(browser: PageBrowser, live: LiveSettings) -> None:
    manager = live.current.callers["manager"].model_copy(update={"calls_per_minute": 3})
    live.current = live.current.model_copy(update={"callers": {**live.current.callers, "manager": manager}})
    await browser.sign_in(live.current)
    for _ in range(2):
        await browser.open("/people/console")
        assert browser.page.status_code == 200
    page = await browser.open("/people/console")
    assert browser.page.status_code == 429
    assert "You have opened too many pages in a minute" in page
    await browser.open("/people/sign-in")
    assert browser.page.status_code == 200, "signing out and in is always possible"
