"""Reads a JSON text and remembers where each member stands, so that a change can leave all the others as written.

Numbers, escapes and comments of a host's file belong to its owner. A writer of JSON would change or lose some of them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from .entry_file import Edit

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<comment>//[^\r\n]*(?=\r?\n|\Z)|/\*.*?\*/)
    |(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*+")
    |(?P<scalar>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)
    |(?P<mark>[{}\[\]:,])""",
    re.VERBOSE | re.DOTALL,
)

_DEEPEST = 100
"""Levels of objects and lists in each other. Settings have a few."""


class Token(NamedTuple):
    """A piece of the text that is no white space. `kind` is a group of `_TOKEN`."""

    kind: str
    start: int
    end: int
    text: str

    @property
    def is_line_comment(self) -> bool:
        return self.text.startswith("//")


@dataclass(frozen=True)
class Value:
    """A value and its place. `members` are those of an object."""

    start: int
    end: int
    data: Any
    members: tuple[Member, ...] = ()

    def member(self, key: str) -> Member | None:
        """Returns the member of this name."""
        return next((member for member in self.members if member.key == key), None)


@dataclass(frozen=True)
class Member:
    """A key with its value. `comma` is the place of the comma that follows."""

    key: str
    start: int
    value: Value
    comma: int | None

    @property
    def end(self) -> int:
        return self.value.end if self.comma is None else self.comma + 1


@dataclass
class _Reader:
    text: str
    with_comments: bool
    tokens: list[Token] = field(default_factory=list)
    place: int = 0

    def mistake(self, start: int, words: str) -> ValueError:
        line = self.text.count("\n", 0, start) + 1
        return ValueError(f"not JSON: {words} at line {line} column {start - self.text.rfind(chr(10), 0, start)}")

    def next(self) -> Token:
        """Takes the next token. At the end of the text it is an empty one."""
        token = self.peek()
        self.place += 1
        return token

    def peek(self) -> Token:
        end = len(self.text)
        return self.tokens[self.place] if self.place < len(self.tokens) else Token("end", end, end, "")

    def value(self, depth: int) -> Value:
        token = self.next()
        if token.text == "{" and depth < _DEEPEST:
            return self.members(token, depth)
        if token.text == "[" and depth < _DEEPEST:
            return self.items(token, depth)
        if token.kind not in ("text", "scalar"):
            raise self.mistake(token.start, "a value is missing, or nested too deep,")
        return Value(token.start, token.end, self.parse(token))

    def parse(self, token: Token) -> Any:
        try:
            return json.loads(token.text)
        except ValueError:
            raise self.mistake(token.start, "a text or number cannot be read") from None

    def members(self, opening: Token, depth: int) -> Value:
        members: dict[str, Member] = {}
        comma: int | None = opening.start
        while self.peek().text != "}":
            if comma is None:
                raise self.mistake(self.peek().start, "a comma or } is missing")
            name = self.next()
            if name.kind != "text" or self.next().text != ":":
                raise self.mistake(name.start, "a key with a colon is missing")
            key = self.parse(name)
            if key in members:
                raise self.mistake(name.start, f"the key {name.text} twice, the second")
            value = self.value(depth + 1)
            comma = self.comma("}")
            members[key] = Member(key, name.start, value, comma)
        data = {key: member.value.data for key, member in members.items()}
        return Value(opening.start, self.next().end, data, tuple(members.values()))

    def items(self, opening: Token, depth: int) -> Value:
        items: list[Any] = []
        comma: int | None = opening.start
        while self.peek().text != "]":
            if comma is None:
                raise self.mistake(self.peek().start, "a comma or ] is missing")
            items.append(self.value(depth + 1).data)
            comma = self.comma("]")
        return Value(opening.start, self.next().end, items)

    def comma(self, closing: str) -> int | None:
        """Takes a comma and returns its place. One at the end is taken where comments are."""
        if self.peek().text != ",":
            return None
        token = self.next()
        if self.peek().text == closing and not self.with_comments:
            raise self.mistake(token.start, "there is a comma at an end")
        return token.start


@dataclass(frozen=True)
class JsonDocument:
    """A text that holds one JSON object."""

    text: str
    root: Value
    tokens: list[Token]

    def insertion(self, key: str, data: Any, of: Value) -> Edit:
        """Returns the edit that puts a new member first in the object, so that no comma of another one changes.

        `{"a": 1}` becomes `{"key": 2, "a": 1}`. Where a line ends before the first member, the new one has a line:

            { // comment            { // comment
              "a": 1                  "key": 2,
            }                         "a": 1
                                    }
        """
        comma = "," if of.members else ""
        member = f"{json.dumps(key)}: {self.value_text(data, of)}{comma}"
        opening, following = self._around(of.start + 1)
        place = self._first_line(of)
        line = f"{self._line_end()}{self._member_indentation(of)}{member}"
        if following.text == "}" and self._is_spread(of):
            margin = "" if of is self.root else self._indentation(of.start)
            return Edit(opening.end, opening.end, f"{line}{self._line_end()}{margin}")
        return Edit(following.start, following.start, f"{member} ") if place is None else Edit(place, place, line)

    def removal(self, member: Member, of: Value) -> list[Edit]:
        """Returns the edits that take a member out of the object, and leave all comments around it.

        They undo `insertion`. Of `{"a": 1, "key": 2}` the comma goes too, which must not stand at the end.
        """
        before, after = self._around(member.start)[0], self._around(member.end)[1]
        space = self.text[member.end : after.start]
        has_line = "\n" in self.text[before.end : member.start] and "\n" in space
        is_last = after.text == "}"
        start, end = before.end, member.end
        if has_line and before.text == "{" and is_last:
            end += space.index("\n") + 1
        elif not has_line and not is_last:
            start, end = member.start, after.start
        elif not has_line and before.is_line_comment:
            start = member.start
        # A comment may stand between the value and its comma.
        comma = member.value.end if member.comma is None else member.comma
        edits = [Edit(start, member.value.end), Edit(comma, end)]
        if member is of.members[-1] and member.comma is None and len(of.members) > 1:
            edits.append(Edit(of.members[-2].end - 1, of.members[-2].end))
        return edits

    def has_comment(self, start: int, end: int) -> bool:
        """Tells whether a comment stands between the two places."""
        return any(token.kind == "comment" and start <= token.start < end for token in self.tokens)

    def value_text(self, data: Any, of: Value) -> str:
        """Returns the text of a member's value in the object."""
        if not self._is_spread(of):
            return json.dumps(data, ensure_ascii=False)
        text = json.dumps(data, indent=self._unit(), ensure_ascii=False)
        return text.replace("\n", self._line_end() + self._member_indentation(of))

    def _around(self, place: int) -> tuple[Token, Token]:
        """Returns the last token that ends there or before, and the first that begins there or after."""
        return next(pair for pair in pairwise(self.tokens) if pair[0].end <= place <= pair[1].start)

    def _is_spread(self, value: Value) -> bool:
        """Tells whether a new first member has a line of its own. An empty object without a line is like the root."""
        is_empty = self._around(value.start + 1)[1].start == value.end - 1
        return self._first_line(value) is not None or (is_empty and (value is self.root or self._is_spread(self.root)))

    def _first_line(self, value: Value) -> int | None:
        """Returns the end of the object's first line, or None where its first member or its end is in that line."""
        content = value.members[0].start if value.members else value.end - 1
        for before, after in pairwise(self.tokens):
            if value.start <= before.start < content and "\n" in self.text[before.end : after.start]:
                return before.end
        return None

    def _unit(self) -> str:
        is_indented = self.root.members and self._is_spread(self.root)
        return (self._indentation(self.root.members[0].start) if is_indented else "") or "  "

    def _member_indentation(self, value: Value) -> str:
        if value.members:
            return self._indentation(value.members[0].start)
        return self._indentation(value.start) + self._unit()

    def _indentation(self, place: int) -> str:
        """Returns the blanks at the beginning of the line."""
        line = self.text[self.text.rfind("\n", 0, place) + 1 : place]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _line_end(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"


def read_document(text: str, *, with_comments: bool) -> JsonDocument:
    """Returns the object in the text, which may hold comments and commas at an end if the host reads them.

    Raises ValueError with the mistake and its place.
    """
    reader, place, tokens = _Reader(text, with_comments), 0, []
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or (match.lastgroup == "comment" and not with_comments):
            raise reader.mistake(place, "this is no JSON")
        place = match.end()
        if match.lastgroup != "space":
            tokens.append(Token(match.lastgroup or "", match.start(), place, match[0]))
    reader.tokens = [token for token in tokens if token.kind != "comment"]
    root = reader.value(0)
    if reader.peek().kind != "end":
        raise reader.mistake(reader.peek().start, "something follows the value")
    if not isinstance(root.data, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - it is the text that is wrong
    return JsonDocument(text, root, tokens)
