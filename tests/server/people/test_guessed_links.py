"""Requests of strangers, with links and cookies that are guessed or used, write nothing.

The store is locked meanwhile, so a write would wait for it until it fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from roadster_server.calls.keys import Keys
from roadster_server.people.forms import TOKEN_FIELD
from roadster_server.settings.live import LiveSettings
from roadster_server.store.lazy import lazy_store
from roadster_server.uploads.waiting import FileKeys, StoredFiles
from roadster_tools import Caller
from roadster_tools.gate.waiting_files import FilePurpose
from tests.server.store.databases import lock
from tests.server.uploads.pictures import phone_photo

from .browser import SAME_ORIGIN, PageBrowser, link_path

pytestmark = pytest.mark.anyio

GUESS = "A" * 32
PHOTO = phone_photo()


@pytest.fixture
async def upload_link(live: LiveSettings) -> AsyncIterator[str]:
    """A link that takes a file, as a call asks for one."""
    keys = Keys.derive(live.current.roadster.api_key.get_secret_value())

    async def link_to(page: str) -> str:
        return f"/people/{page}"

    async with lazy_store(live.current.store.url.get_secret_value(), contact_key=keys.contacts) as store:
        caller = Caller("local", ("umazda",))
        files = StoredFiles(store, FileKeys(keys.files, keys.hash), link_to, caller, "umazda")
        yield str((await files.ask(FilePurpose("upload_document", 1650260, "license"))).link)


@contextmanager
def locked(live: LiveSettings) -> Iterator[None]:
    with lock(live.current.store.url.get_secret_value()):
        yield


async def form_token(browser: PageBrowser, live: LiveSettings) -> str:
    await browser.open(link_path(live.current))
    return browser.form("/people/link").fields[TOKEN_FIELD]


async def send(browser: PageBrowser, path: str, token: str, file: bytes | None = None, **fields: str) -> int:
    """Sends a form with or without a file, and returns the status of the answer."""
    headers = {"origin": browser.origin, **SAME_ORIGIN}
    files = None if file is None else {"file": ("photo.jpg", file, "image/jpeg")}
    data = {TOKEN_FIELD: token, **fields}
    answer = await browser.http.post(f"{browser.origin}{path}", data=data, files=files, headers=headers)
    return answer.status_code


async def test_a_guessed_link_for_a_file_writes_nothing(browser: PageBrowser, live: LiveSettings) -> None:
    token = await form_token(browser, live)
    with locked(live):
        assert await send(browser, f"/people/files/{GUESS}", token, PHOTO) == 410


async def test_a_link_that_has_its_file_writes_nothing(
    browser: PageBrowser, live: LiveSettings, upload_link: str
) -> None:
    token = await form_token(browser, live)
    assert await send(browser, upload_link, token, PHOTO) == 200
    with locked(live):
        assert await send(browser, upload_link, token, PHOTO) == 410


async def test_a_link_whose_attempts_are_used_up_writes_nothing(
    browser: PageBrowser, live: LiveSettings, upload_link: str
) -> None:
    token = await form_token(browser, live)
    assert [await send(browser, upload_link, token, b"<html>") for _ in range(20)] == [422] * 20
    with locked(live):
        assert await send(browser, upload_link, token, PHOTO) == 410


async def test_a_guessed_link_to_a_file_writes_nothing(browser: PageBrowser, live: LiveSettings) -> None:
    token = await form_token(browser, live)
    with locked(live):
        assert await send(browser, f"/people/downloads/{GUESS}", token) == 410


async def test_a_sign_in_by_a_link_that_was_used_writes_nothing(browser: PageBrowser, live: LiveSettings) -> None:
    await browser.open(link_path(live.current))
    key = browser.form("/people/link").fields["key"]
    await browser.submit("/people/link")
    browser.http.cookies.clear()
    token = await form_token(browser, live)
    with locked(live):
        assert await send(browser, "/people/link", token, key=key) == 403
        assert await send(browser, "/people/link", token, key=GUESS) == 403


async def test_a_sign_out_from_a_session_that_is_made_up_writes_nothing(
    browser: PageBrowser, live: LiveSettings
) -> None:
    await form_token(browser, live)
    (name,) = (cookie.name for cookie in browser.http.cookies.jar)
    browser.http.cookies.set(name.replace("browser", "session"), GUESS, domain="127.0.0.1", path="/people")
    token = await form_token(browser, live)
    with locked(live):
        assert await send(browser, "/people/sign-out", token) == 200
    assert browser.http.cookies.get(name.replace("browser", "session")) is None


async def test_a_sign_in_that_nobody_began_writes_nothing(browser: PageBrowser, live: LiveSettings) -> None:
    with locked(live):
        await browser.open(f"/people/signed-in/work?state={GUESS}&code=1")
    assert browser.page.status_code == 403
