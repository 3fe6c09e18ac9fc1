"""The page where a person hands over a file, as a browser without scripts and as its script use it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from html import unescape
from typing import Any

import anyio
import httpx2
import pytest

from roadster_server.calls.keys import Keys
from roadster_server.people.forms import TOKEN_FIELD, TOKEN_HEADER
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.uploads import UploadSettings
from roadster_server.store.lazy import lazy_store
from roadster_server.uploads.acceptance import AcceptedFile
from roadster_server.uploads.waiting import FileDesk, FileKeys, StoredFiles
from roadster_tools import Caller
from roadster_tools.failures import UnusableFile
from roadster_tools.gate.waiting_files import FilePurpose
from tests.server.store.databases import execute
from tests.server.transports.listening import listening
from tests.server.uploads.pictures import PLACE, phone_photo, picture, png_that_claims
from tests.server.uploads.test_acceptance import PDF, pdf_of_size
from tests.server.uploads.test_clamd import EICAR
from tests.server.uploads.test_clamd import listening as scanning

from .browser import SAME_ORIGIN, PageBrowser, page_browser

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
LICENCE = FilePurpose("upload_document", 1650260, "license")
PHOTO = phone_photo()


@pytest.fixture
async def waiting(live: LiveSettings) -> AsyncIterator[StoredFiles]:
    """The files of one caller, as a call would ask for them."""
    keys = Keys.derive(live.current.roadster.api_key.get_secret_value())

    async def link_to(page: str) -> str:
        return f"/people/{page}"

    async with lazy_store(live.current.store.url.get_secret_value(), contact_key=keys.contacts) as store:
        caller = Caller("local", ("umazda",))
        yield StoredFiles(store, FileKeys(keys.files, keys.hash), link_to, caller, "umazda")


async def link_of(waiting: StoredFiles, purpose: FilePurpose = LICENCE) -> tuple[str, str]:
    request = await waiting.ask(purpose)
    assert request.link is not None
    return request.link, request.handle


async def hand_over(browser: PageBrowser, *files: bytes, name: str = "photo.jpg", **headers: str) -> httpx2.Response:
    """Sends the form of the page with these files, as a browser without scripts does."""
    form = browser.form(str(browser.page.url.path))
    fields = [("file", (name, file, "image/jpeg")) for file in files] or [("file", ("", b"", ""))]
    headers = {"origin": browser.origin, **SAME_ORIGIN, **headers}
    browser.page = await browser.http.post(form.action, data=form.fields, files=fields, headers=headers)
    return browser.page


async def test_a_photo_is_handed_over_without_a_script(browser: PageBrowser, waiting: StoredFiles) -> None:
    link, handle = await link_of(waiting)
    page = await browser.open(link)
    for words in ("driver&#39;s license, front", "customer 1650260", "umazda", "local"):
        assert words in page
    assert (await hand_over(browser, PHOTO)).status_code == 200
    assert "a picture of 200 x 400 pixels" in browser.page.text
    assert "go back to the chat" in browser.page.text
    file = await waiting.read(handle, LICENCE)
    assert file is not None
    assert file.startswith(b"\xff\xd8")
    assert PLACE not in file
    assert "a picture of 200 x 400 pixels" in await browser.open(link), "the page of the computer shows it too"


async def test_the_script_gets_words_as_json(browser: PageBrowser, waiting: StoredFiles) -> None:
    link, handle = await link_of(waiting)
    await browser.open(link)
    token = browser.form(link).fields[TOKEN_FIELD]
    headers = {"origin": browser.origin, "accept": "application/json", TOKEN_HEADER: token}

    async def send(*files: bytes) -> tuple[int, Any]:
        answer = await browser.http.post(link, files=[("file", ("a", file)) for file in files], headers=headers)
        return answer.status_code, answer.json()

    browser.http.base_url = httpx2.URL(browser.origin)
    assert (await browser.http.get(f"{link}/state")).json() == {"is_over": False, "about": ""}
    assert await send(b"<html>") == (
        422,
        {
            "problem": 'The file "a" is neither JPEG, PNG, HEIC nor PDF; take a photo of it, or print it into a PDF.',
            "refused": [0],
        },
    )
    status, answer = await send(PHOTO, b"<html>")
    assert (status, answer["refused"]) == (422, [1])
    assert await send(PHOTO, picture("HEIF", size=(64, 64))) == (200, {"about": "a PDF of 2 photos"})
    assert await send(PHOTO) == (410, {"is_over": True})
    assert (await browser.http.get(f"{link}/state")).json() == {"is_over": False, "about": "a PDF of 2 photos"}
    file = await waiting.read(handle, LICENCE)
    assert file is not None
    assert file.startswith(b"%PDF-")


async def test_a_link_is_good_once(browser: PageBrowser, origin: str, waiting: StoredFiles) -> None:
    link, handle = await link_of(waiting)
    async with page_browser(origin) as phone:
        await phone.open(link)
        await browser.open(link)
        assert (await hand_over(phone, PHOTO)).status_code == 200
    first = await waiting.read(handle, LICENCE)
    assert (await hand_over(browser, picture("PNG"))).status_code == 410
    assert "This link is not good any more" in browser.page.text
    assert "Go to the start" not in browser.page.text
    assert await waiting.read(handle, LICENCE) == first


async def test_slow_forms_of_one_link_hold_up_no_other(browser: PageBrowser, waiting: StoredFiles) -> None:
    """Whoever has a link could send as many forms by it as there are places, each without an end."""
    slow, _ = await link_of(waiting)
    link, handle = await link_of(waiting)
    is_over, has_begun = anyio.Event(), anyio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"--x"
        has_begun.set()
        await is_over.wait()

    headers = {"origin": browser.origin, **SAME_ORIGIN, "content-type": "multipart/form-data; boundary=x"}
    statuses: list[int] = []

    async def send_slowly() -> None:
        answer = await browser.http.post(f"{browser.origin}{slow}", content=endless(), headers=headers)
        statuses.append(answer.status_code)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send_slowly)
        await has_begun.wait()
        with anyio.fail_after(30):
            while 409 not in statuses:
                answer = await browser.http.post(f"{browser.origin}{slow}", content=b"--x--", headers=headers)
                statuses.append(answer.status_code)
        await browser.open(link)
        assert (await hand_over(browser, PHOTO)).status_code == 200
        assert await waiting.is_there(handle)
        is_over.set()
    assert statuses[-1] == 403, "the form that was waited for has no token"


@pytest.mark.parametrize("secret", ["A" * 32, "..", "%00", "x" * 5000, "%3Cscript%3E"])
async def test_a_guessed_link_is_no_page(secret: str, browser: PageBrowser, waiting: StoredFiles) -> None:
    _, handle = await link_of(waiting)
    for guess in (secret, handle):
        page = await browser.open(f"/people/files/{guess}")
        assert browser.page.status_code in {404, 410, 303, 200 if secret == ".." else 410}
        assert "<script>" not in page
        assert 'type="file"' not in page


async def test_a_form_of_another_site_takes_no_file(browser: PageBrowser, waiting: StoredFiles) -> None:
    link, handle = await link_of(waiting)
    await browser.open(link)
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert (await hand_over(browser, PHOTO, **foreign)).status_code == 403
    await browser.open(link)
    form = browser.form(link)
    for fields in ({}, {TOKEN_FIELD: "0" * 64}):
        files = {"file": ("a.jpg", PHOTO)}
        answer = await browser.http.post(form.action, data=fields, files=files, headers={"origin": browser.origin})
        assert answer.status_code == 403
    assert not await waiting.is_there(handle)


async def test_no_other_site_shows_the_page_in_a_frame(browser: PageBrowser, waiting: StoredFiles) -> None:
    link, _ = await link_of(waiting)
    await browser.open(link)
    assert browser.page.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in browser.page.headers["content-security-policy"]
    assert browser.page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>.jpg",
        "x" * 4000 + ".jpg",
        "\u202egpj.exe",
        "../../etc/passwd",
        'a";b.jpg',
        "\0.jpg",
    ],
)
async def test_a_files_own_name_is_never_used(name: str, browser: PageBrowser, waiting: StoredFiles) -> None:
    link, handle = await link_of(waiting)
    await browser.open(link)
    answer = await hand_over(browser, PHOTO, name=name)
    assert answer.status_code == 200
    assert "onerror" not in answer.text
    assert await waiting.is_there(handle)


async def test_a_file_has_at_most_10_mib(browser: PageBrowser, waiting: StoredFiles) -> None:
    link, _ = await link_of(waiting)
    pdf = pdf_of_size(10 * MIB - 100)
    largest = pdf + b"\n" * (10 * MIB - len(pdf))
    await browser.open(link)
    assert (await hand_over(browser, largest + b"\n")).status_code == 422
    assert 'The file "photo.jpg" is larger than 10 MiB' in unescape(browser.page.text)
    assert (await hand_over(browser, largest)).status_code == 200
    link, _ = await link_of(waiting)
    await browser.open(link)
    assert (await hand_over(browser, largest[:-1])).status_code == 200


async def test_a_form_has_at_most_30_mib(browser: PageBrowser, waiting: StoredFiles) -> None:
    link, handle = await link_of(waiting)
    await browser.open(link)
    assert (await hand_over(browser, *[b"x" * 9 * MIB] * 4)).status_code == 413
    assert not await waiting.is_there(handle)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((), "is empty"),
        ((png_that_claims(50_000, 50_000),), "50000 x 50000 pixels"),
        ((PDF + b"<html><script>alert(1)</script>",), "something behind its end"),
        ((b"<html>" + PDF,), "neither JPEG"),
        ((PHOTO,) * 11, "more than 10 photos"),
    ],
)
async def test_what_is_refused_is_told_on_the_form_which_stays_good(
    files: tuple[bytes, ...], words: str, browser: PageBrowser, waiting: StoredFiles
) -> None:
    link, handle = await link_of(waiting)
    await browser.open(link)
    assert (await hand_over(browser, *files)).status_code == 422
    assert words in browser.page.text
    assert not await waiting.is_there(handle)
    assert (await hand_over(browser, PHOTO)).status_code == 200


async def test_a_link_that_ends_while_a_file_is_refused_is_told_to_be_over(
    live: LiveSettings, browser: PageBrowser, waiting: StoredFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_self: FileDesk, _secret: str, _files: Sequence[bytes]) -> AcceptedFile:
        await execute(live.current.store.url.get_secret_value(), "UPDATE roadster_file_requests SET expires = 1000")
        raise UnusableFile("is empty")

    link, _ = await link_of(waiting)
    await browser.open(link)
    monkeypatch.setattr(FileDesk, "take", refuse)
    assert (await hand_over(browser)).status_code == 410
    assert "not good any more" in browser.page.text


async def test_a_virus_is_refused_by_the_scanner_of_the_configuration(
    live: LiveSettings, waiting: StoredFiles, tmp_path: Any
) -> None:
    async with scanning("unix", tmp_path) as address:
        scanned = live.current.model_copy(update={"uploads": UploadSettings(clamd=address)})
        async with listening(LiveSettings(scanned)) as origin, page_browser(origin) as browser:
            link, handle = await link_of(waiting)
            await browser.open(link)
            assert (await hand_over(browser, picture("PNG") + EICAR)).status_code == 422
            assert "has a virus" in browser.page.text
            assert not await waiting.is_there(handle)
            assert (await hand_over(browser, PHOTO)).status_code == 200


async def test_no_log_has_the_secret_of_a_link(
    browser: PageBrowser, waiting: StoredFiles, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    link, handle = await link_of(waiting)
    await browser.open(link)
    await hand_over(browser, b"<html>")
    await hand_over(browser, PHOTO)
    secret = link.rpartition("/")[2]
    own = [record for record in caplog.records if not record.name.startswith(("httpcore2", "httpx2"))]
    assert not [record for record in own if secret in str(record.__dict__) or handle in str(record.__dict__)]
