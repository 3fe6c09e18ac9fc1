"""Finds what acts by itself in a PDF: what runs, opens or sends something, and files within the file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from roadster_tools.failures import UnusableFile

if TYPE_CHECKING:  # for start time
    from pypdf.generic import DictionaryObject

PRINT = "print it into a new PDF, and give that one"

_SCRIPTS = "scripts"
_OTHER_FILES = "other files in it"

_ACTIONS = {
    "/JavaScript": _SCRIPTS,
    "/Launch": "actions that start programs",
    "/GoToR": "links to other files",
    "/GoToE": "links to other files",
    "/Thread": "links to other files",
    "/SubmitForm": "actions that send what is filled in",
    "/ImportData": "actions that read other files",
    "/RichMediaExecute": _SCRIPTS,
}
"""Kinds of actions that are refused, and the words for them. A thread of the file itself names no file."""

_FILES = {"/FileAttachment", "/RichMedia"}
"""Kinds of annotations that hold files."""

_NAMES = {
    **_ACTIONS,
    "/EmbeddedFile": _OTHER_FILES,
    "/EmbeddedFiles": _OTHER_FILES,
    **dict.fromkeys(_FILES, _OTHER_FILES),
}
_NAME = re.compile(rb"/[A-Za-z#0-9]{6,60}")
_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+-]*):")
_PLAIN_SCHEMES = {"http", "https", "mailto", "tel"}
"""The beginnings of addresses that a link may have."""


def check_actions(item: DictionaryObject) -> None:
    """Raises UnusableFile for a dictionary that runs, opens or sends something, or that holds a file.

    A link to a page of the web is none, if a person has to click on it.
    """
    words = _ACTIONS.get(str(item.get("/S")))
    if words is not None and (item.get("/S") != "/Thread" or "/F" in item):
        _refuse(words)
    if "/S" in item and "/JS" in item:
        _refuse(_SCRIPTS)
    if "/EF" in item or item.get("/Subtype") in _FILES:
        _refuse(_OTHER_FILES)
    for address in (item.get("/URI"), item.get("/Base")):
        if isinstance(address, str | bytes) and not _is_plain(address):
            _refuse("links that open something else than a page of the web")
    for action in (item.get("/OpenAction"), *_values(item.get("/AA"))):
        if isinstance(action, dict) and action.get("/S") == "/URI":
            _refuse("links that open by themselves")
    if "/XFA" in item:
        _check_form(item["/XFA"])


def check_names(content: bytes) -> None:
    """Raises UnusableFile for names of such actions. Those of an encrypted PDF are plain, unless they are packed."""
    for name in _NAME.findall(content):
        plain = _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), name).decode("latin-1")
        if plain != "/Thread" and plain in _NAMES:
            _refuse(_NAMES[plain])


def _values(dictionary: Any) -> list[Any]:
    return [dictionary[key] for key in dictionary] if isinstance(dictionary, dict) else []


def _is_plain(address: str | bytes) -> bool:
    text = address.decode("latin-1") if isinstance(address, bytes) else address
    # Readers leave out blanks and control characters.
    text = re.sub(r"[\0-\x20\ufeff\xfe\xff]", "", text)
    scheme = _SCHEME.match(text)
    if scheme is None:  # www.example.com, which people write without a scheme
        return not text.startswith(("/", "\\"))
    return scheme[1].lower() in _PLAIN_SCHEMES


def _check_form(form: Any) -> None:
    """Raises UnusableFile for an XFA form that has a script or sends what is filled in. It is one stream or several."""
    from pypdf.generic import ArrayObject, StreamObject  # noqa: PLC0415

    parts = [form] if isinstance(form, StreamObject) else [*form] if isinstance(form, ArrayObject) else []
    try:
        streams = (stream for part in parts if isinstance(stream := part.get_object(), StreamObject))
        text = b"".join(stream.get_data() for stream in streams)
    except Exception:  # noqa: BLE001 - larger than the limits of pypdf, or damaged
        _refuse("a form that is too large to be looked into")
    # In UTF-16 each letter is beside a zero. Markup may have a prefix.
    for name, words in ((rb"script", _SCRIPTS), (rb"submit", _ACTIONS["/SubmitForm"])):
        if re.search(rb"<(?:[\w.-]+:)?" + name + rb"\b", text.replace(b"\0", b"")):
            _refuse(words)


def _refuse(words: str) -> None:
    raise UnusableFile(f"is a PDF with {words}; {PRINT}")
