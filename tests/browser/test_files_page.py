"""The page where a person hands over a file, in Chromium: on a laptop, on a phone, by keyboard, and without scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.server.uploads.pictures import phone_photo, picture
from tests.servers import PATIENCE
from tests.tool_examples import LICENCE_PNG, STEVE

from .conftest import SCHEMES, WIDTHS, OpenPage
from .site import CONFIG, Site, running_site
from .test_people import check, unreachable

expect.set_options(timeout=PATIENCE * 1000)

DONE = "You may close this page, and go back to the chat."
PHONE = {"is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    config = CONFIG.replace('customers = "confirm", documents = "confirm"', 'customers = "write", documents = "write"')
    with running_site(tmp_path_factory.mktemp("files"), config) as running:
        yield running


@pytest.fixture(scope="module")
def licence(site: Site) -> dict[str, Any]:
    """The arguments of a call that needs a file."""
    made = site.call("create_customer", {"dealer": "umazda", "customer": STEVE})
    return {
        "dealer": "umazda",
        "customer_id": made["structuredContent"]["customer_id"],
        "document_type": "license",
        "document_name": "DL Front",
        "file_name": "license.jpg",
        "relationship": "self",
    }


def ask(site: Site, arguments: dict[str, Any]) -> tuple[str, str]:
    """Makes the call without a file. Returns the link for a person, and the handle."""
    waiting = site.call("upload_document", arguments)["_meta"]["roadster-mcp/waiting"]
    return waiting["url"], waiting["upload"]


def choose(page: Page, *files: bytes, field: str = "#file") -> None:
    payload = [{"name": f"photo {n}.jpg", "mimeType": "image/jpeg", "buffer": file} for n, file in enumerate(files)]
    page.locator(field).set_input_files(payload)  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_can_be_read_in_every_state(
    site: Site, licence: dict[str, Any], open_page: OpenPage, width: int, scheme: str
) -> None:
    url, _ = ask(site, licence)
    with open_page(width, scheme) as page:
        page.goto(url)
        expect(page.get_by_text("driver's license, front")).to_be_visible()
        check(page, "form")
        assert unreachable(page) == []
        choose(page, phone_photo(), picture("PNG"))
        expect(page.get_by_text("2 chosen")).to_be_visible()
        check(page, "files chosen")
        assert unreachable(page) == []
        page.get_by_role("button", name="Hand over").click()
        expect(page.get_by_text("It is here: a PDF of 2 photos.")).to_be_visible()
        expect(page.get_by_text(DONE)).to_be_visible()
        check(page, "done")
        page.reload()
        expect(page.get_by_text("It is here: a PDF of 2 photos.")).to_be_visible()
        check(page, "done before")


def test_a_photo_of_a_phone_is_handed_over_by_keyboard_and_reaches_the_binder(
    site: Site, licence: dict[str, Any], open_page: OpenPage
) -> None:
    url, handle = ask(site, licence)
    with open_page(360, **PHONE) as page:
        page.goto(url)
        choose(page, phone_photo(), field="#photo")
        page.get_by_role("button", name="Hand over").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("It is here: a picture of 200 x 400 pixels.")).to_be_visible()
        expect(page.locator("#done")).to_be_focused()
    answer = site.call("upload_document", {**licence, "upload": handle})
    document = answer["structuredContent"]["document_id"]
    state = httpx2.get(f"{site.upstream}/__sandbox/state", trust_env=False).json()
    assert [row["file_name"] for row in state["documents"] if row["id"] == document] == ["license.jpg"]


def test_photos_can_be_taken_out_again_before_they_are_sent(
    site: Site, licence: dict[str, Any], open_page: OpenPage
) -> None:
    url, _ = ask(site, licence)
    with open_page() as page:
        page.goto(url)
        page.get_by_role("button", name="Hand over").click()
        expect(page.get_by_role("alert")).to_contain_text("Choose a file first.")
        for file in (phone_photo(), picture("PNG"), picture("JPEG")):
            choose(page, file)
        page.get_by_role("button", name="Remove file 2").click()
        expect(page.get_by_text("2 chosen")).to_be_visible()
        page.get_by_role("button", name="Hand over").click()
        expect(page.get_by_text("It is here: a PDF of 2 photos.")).to_be_visible()


def test_a_file_is_dropped_on_the_page(site: Site, licence: dict[str, Any], open_page: OpenPage) -> None:
    url, _ = ask(site, licence)
    drop = """(bytes) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], "a.png", { type: "image/png" }));
      document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
    }"""
    with open_page() as page:
        page.goto(url)
        page.evaluate(drop, [*picture("PNG")])
        page.get_by_role("button", name="Hand over").click()
        expect(page.get_by_text("It is here: a picture of 40 x 20 pixels.")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_refused_file_is_told_and_another_one_is_taken(
    site: Site, licence: dict[str, Any], open_page: OpenPage, width: int
) -> None:
    url, _ = ask(site, licence)
    with open_page(width, ignored="422") as page:
        page.on("console", lambda message: None)
        page.goto(url)
        choose(page, b"x" * (10 * 1024 * 1024 + 1))
        expect(page.get_by_role("alert")).to_contain_text("larger than 10 MiB")
        check(page, "problem")
        choose(page, b"no picture", picture("PNG"))
        page.get_by_role("button", name="Hand over").click()
        expect(page.get_by_role("alert")).to_contain_text("is neither JPEG, PNG, HEIC nor PDF")
        expect(page.get_by_role("alert")).to_contain_text('"photo 0.jpg"')
        expect(page.get_by_text("1 chosen")).to_be_visible()
        page.get_by_role("button", name="Remove file 1").click()
        choose(page, b"no picture either")
        page.get_by_role("button", name="Hand over").click()
        expect(page.get_by_role("alert")).to_contain_text("is neither JPEG, PNG, HEIC nor PDF")
        expect(page.get_by_role("listitem")).to_have_count(0)
        assert page.locator("#file").input_value() == ""
        choose(page, picture("PNG"))
        expect(page.get_by_role("alert")).to_be_hidden()
        page.get_by_role("button", name="Hand over").click()
        expect(page.get_by_text(DONE)).to_be_visible()


def test_the_page_of_a_computer_shows_what_the_phone_handed_over(
    site: Site, licence: dict[str, Any], open_page: OpenPage
) -> None:
    url, _ = ask(site, licence)
    with open_page() as computer, open_page(360, **PHONE) as phone:
        computer.goto(url)
        phone.goto(url)
        choose(phone, phone_photo(), field="#photo")
        phone.get_by_role("button", name="Hand over").click()
        expect(phone.get_by_text(DONE)).to_be_visible()
        expect(computer.get_by_text("It is here: a picture of 200 x 400 pixels.")).to_be_visible()


def test_the_page_works_without_scripts(
    site: Site, licence: dict[str, Any], open_page: OpenPage, tmp_path: Path
) -> None:
    url, handle = ask(site, licence)
    photo = tmp_path / "<b>photo.jpg"
    photo.write_bytes(phone_photo())
    with open_page(360, java_script_enabled=False) as page:
        page.goto(url)
        page.locator("#file").set_input_files(photo)
        page.get_by_role("button", name="Hand over").click()
        expect(page.get_by_text("It is here: a picture of 200 x 400 pixels.")).to_be_visible()
    assert "document_id" in json.dumps(site.call("upload_document", {**licence, "upload": handle}))


def test_a_used_link_says_so(site: Site, licence: dict[str, Any], open_page: OpenPage) -> None:
    with open_page(360) as page:
        page.route("**/favicon.ico", lambda route: route.abort())
        response = page.request.get(f"{site.url}/people/files/{'A' * 32}")
        assert response.status == 410
        page.set_content(response.text())
        expect(page.get_by_text("Ask the assistant for a new one.")).to_be_visible()


def test_the_page_of_a_download_says_that_its_link_is_used(
    site: Site, licence: dict[str, Any], open_page: OpenPage
) -> None:
    upload = site.call("upload_document", {**licence, "file_name": "license.png", "contents": LICENCE_PNG})
    document = {
        "dealer": "umazda",
        "customer_id": licence["customer_id"],
        "document_id": upload["structuredContent"]["document_id"],
    }
    with open_page(360) as page:
        page.goto(site.call("get_document", document)["structuredContent"]["download"])
        done = page.get_by_text("The link is used.")
        expect(done).not_to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert download.value.suggested_filename == "document_file.png"
        expect(done).to_be_visible()
        expect(page.get_by_role("button", name="Download")).not_to_be_visible()
        check(page, "used")
        assert page.evaluate("document.activeElement.id") == "done"
