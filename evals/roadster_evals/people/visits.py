"""The person's visits to the pages for people: they open a link, read the page, and press a button or hand a file over.

The pages are the server's own, and a person gets to them as people do at their own computer: by a link that signs them
in. The key of such links is new in each trial, and the agent does not have it. A link is opened only if the agent gave
it to them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Literal
from urllib.parse import urljoin, urlsplit

import httpx2

from roadster_evals.language.phrases import fold
from roadster_evals.scenario_files.scenario import Person, Scenario
from roadster_server.people.local_links import make_local_key

from .questions import is_meant

AGENT, COLLEAGUE = "agent", "colleague"
"""Callers of the server: that of the agent, as which the person signs in too, and that of a colleague of theirs."""

PAGES = "http://127.0.0.1:8000"
"""The origin of the pages of a trial in this process. Nothing listens there."""

Choice = Literal["agrees", "declines", "later"]
"""An answer of the person about a write that waits."""

_APPROVAL = re.compile(r"http://127\.0\.0\.1:\d{1,5}/people/approvals/[0-9a-f]{32}(?![\w/-])")
_PORT = re.compile(r"(?<=http://127\.0\.0\.1):\d{1,5}(?=/people/)")
_FILE = re.compile(r"http://127\.0\.0\.1:\d{1,5}/people/files/[\w-]{32}(?![\w/-])")


@dataclass(frozen=True)
class PageKey:
    """The key that signs a trial's person in, and the origin of the pages where it does."""

    origin: str
    secret: bytes = field(repr=False)


def links_in(text: str) -> Iterator[tuple[str, bool]]:
    """Yields each link to a page in the text, and whether something is decided there."""
    links = {match[0]: match.start() for pattern in (_APPROVAL, _FILE) for match in pattern.finditer(text)}
    for link in sorted(links, key=lambda each: links[each]):
        yield link, _APPROVAL.fullmatch(link) is not None


def without_port(text: str) -> str:
    """Returns the text with the links to pages as if they had no port: that of a world in another process differs."""
    return _PORT.sub("", text)


def at_pages(link: str) -> str:
    """Returns the link as a trial in this process has it."""
    return urljoin(PAGES, urlsplit(link).path)


class Browser:
    """The browser of the scenario's person, or of their colleague."""

    def __init__(self, http: httpx2.AsyncClient, scenario: Scenario, key: PageKey) -> None:
        self._http = http
        self._key = key
        self._person = scenario.person or Person()
        self._is_colleague = scenario.pages is not None and scenario.pages.colleague

    async def visit(self, link: str, choice: Choice) -> str:
        """Does what the person does at the page, and returns what they say of it. Raises httpx2.HTTPError.

        A second visit says the same: the page shows what was decided, or that the file is there. The browser goes to
        the pages of this trial only, because another program of this machine must not get the sign-in.
        """
        if not link.startswith(f"{self._key.origin}/"):
            return "The link leads nowhere."
        if _FILE.fullmatch(link):
            return await self._hand_over(await self._open(link))
        return await self._decide(await self._open(link), choice)

    async def _decide(self, page: _Page, choice: Choice) -> str:
        someone = "My colleague has" if self._is_colleague else "I have"
        shows_it = is_meant(self._person, page.write)
        if form := page.form_with("decision"):
            is_yes = choice == "agrees" and shows_it
            # A deletion has a box to tick, which counts for a yes only.
            fields = {**form.fields, **dict.fromkeys(form.boxes, "yes"), "decision": "yes" if is_yes else "no"}
            page = await self._send(form, data=fields)
        match page.strong.partition(" ")[0].rstrip(",."):
            case "Approved":
                return f"{someone} said yes on the page."
            case "Declined" if not shows_it:
                return f"{someone} said no on the page: it does not show what I meant."
            case "Declined":
                return f"{someone} said no on the page."
        return f"The page says: {page.summary}"

    async def _hand_over(self, page: _Page) -> str:
        files = [each for each in self._person.files if any(fold(word) in fold(page.text) for word in each.shows)]
        form = page.form_with("file")
        if form is not None and not files:
            return "I do not have that file here."
        for contents in files[0].contents if files else ():
            if form is not None:
                file = base64.b64decode(contents)
                page = await self._send(form, data=form.fields, files={"file": ("file", file)})
                form = page.form_with("file")
        if page.strong.startswith("It is here") and form is None:
            return "I have handed the file over on the page."
        return f"The page says: {page.summary}"

    async def _open(self, link: str) -> _Page:
        page = _Page(await self._http.get(link))
        if urlsplit(page.url).path != "/people/sign-in":
            return page
        caller = COLLEAGUE if self._is_colleague else AGENT
        key = make_local_key(self._key.secret, caller, datetime.now(UTC))
        button = _Page(await self._http.get(urljoin(link, f"/people/link?key={key}")))
        form = button.form_with("key")
        return page if form is None else await self._send(form, data=form.fields)

    async def _send(self, form: _Form, **content: object) -> _Page:
        parts = urlsplit(form.action)
        headers = {"origin": f"{parts.scheme}://{parts.netloc}", "sec-fetch-site": "same-origin"}
        return _Page(await self._http.post(form.action, headers=headers, **content))  # type: ignore[arg-type]


@asynccontextmanager
async def open_browser(
    scenario: Scenario, key: PageKey, transport: httpx2.AsyncBaseTransport | None = None
) -> AsyncIterator[Browser]:
    """Yields the browser of a scenario's person. `transport` leads to the pages of this process."""
    async with httpx2.AsyncClient(transport=transport, follow_redirects=True, trust_env=False) as http:
        yield Browser(http, scenario, key)


@dataclass
class _Form:
    """A form: where it goes to, its hidden fields, its boxes, and the names of all that it has."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    boxes: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


class _Page(HTMLParser):
    """A page as a person reads it: text, heading, first words in bold, notice, forms, and the values of a write."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__()
        self.url = str(response.url)
        self.forms: list[_Form] = []
        self.write: list[str] = []
        """The values of the write that is decided about."""
        self._section = ""
        self._is_value = False
        self._texts: list[str] = []
        self._marks: dict[str, str] = {}
        self._mark = ""
        self.feed(response.text)

    @property
    def text(self) -> str:
        return " ".join(self._texts)

    @property
    def strong(self) -> str:
        return self._marks.get("strong", "")

    @property
    def summary(self) -> str:
        """The notice, or else the words in bold or the heading."""
        return next(filter(None, map(self._marks.get, ("notice", "strong", "h1"))), "nothing")

    def form_with(self, name: str) -> _Form | None:
        """Returns the first form with a field or a button of this name."""
        return next((form for form in self.forms if name in form.names), None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(_Form(urljoin(self.url, attributes.get("action", ""))))
        elif tag in ("input", "button") and self.forms:
            self._add(self.forms[-1], attributes)
        elif tag == "p" and "notice" in attributes.get("class", "") and "hidden" not in attributes:
            self._mark = "notice"
        elif tag == "section":
            self._section = attributes.get("aria-labelledby", "")
        elif tag == "dd" and self._section == "write":
            self._is_value = True
            self.write.append("")
        elif tag in ("strong", "h1") and tag not in self._marks:
            self._mark = tag

    def _add(self, form: _Form, attributes: Mapping[str, str]) -> None:
        name = attributes.get("name", "")
        form.names.add(name)
        match attributes.get("type"):
            case "hidden":
                form.fields[name] = attributes["value"]
            case "checkbox":
                form.boxes.append(name)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "strong", "h1"):
            self._mark = ""
        elif tag == "section":
            self._section = ""
        elif tag == "dd":
            self._is_value = False

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if text:
            self._texts.append(text)
            if self._is_value:
                self.write[-1] = f"{self.write[-1]} {text}".strip()
            if self._mark:
                self._marks[self._mark] = f"{self._marks.get(self._mark, '')} {text}".strip()
