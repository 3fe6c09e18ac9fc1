"""The sentences of an assistant, as a scripted person understands them: in English, by the words that are in them.

The order in which a person answers is that of docs/develop/scenario-files.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .phrases import LINK, fold, holds_word

_ITEM = re.compile(r"\s*(?:\n\s*[-*•]|\s\d[.)])\s+")
"""The beginning of a list's item. The items belong to the sentence before them."""

_END = re.compile(r"(?<=[.!?])[\"'*_)]*\s+|\n\s*\n")

_ASKING_VERB = r"(?:tell|give|send|share|provide|confirm|specify|enter|state|name)"
_REQUEST = re.compile(
    rf"\?|^{_ASKING_VERB}\b(?! (?:this|that|it|them)\b)|\bplease (?:also |just |kindly )?{_ASKING_VERB}\b"
    r"|\b(?:tell|give|send) (?:me|us)\b|\blet me know\b|\b(?:could|can|would) you\b"
    r"|\b(?:is|are) (?:missing|needed|required)\b"
    r"|\b(?:i|we)(?:'d| would|'ll| will)?(?: also| still| only| just)? need\b"
)
_CLOSING = re.compile(
    r"\b(?:any|some)thing (?:else|more|further)\b|\belse (?:can|may|could|should|would)\b"
    r"|\b(?:how|what) (?:else )?(?:can|may|could|should|shall) (?:i|we) (?:else )?(?:help|assist|do)\b"
    r"|\b(?:help|assist) you\b|\b(?:any|more|other|further) questions?\b|\bwould you like to do\b"
    r"|\bwhat(?:'s| is) next\b"
)
_CONTENT = re.compile(
    r"\b(?:does|do|did) (?:that|this|it|these|those|everything) (?:all )?(?:work|suit|sound|look|help|fit|answer)\b"
    r"|\bhow (?:does|do) (?:that|this|it|these|those) (?:sound|look|work)\b|\b(?:sounds?|looks?) (?:good|right|ok\w*)\b"
    r"|\bis (?:that|this|it|everything) (?:all )?(?:right|correct|ok\w*|fine|good|clear|what you)\b"
    r"|^(?:ok|okay|right|fine|all right|agreed|correct)\?"
)
_GO_AHEAD = re.compile(
    r"\b(?:shall|should|may|can) i (?!have\b|get\b|ask\b|know\b|see\b)|\b(?:do you want|would you like|ok(?:ay)? to"
    r"|go ahead|proceed|do you (?:agree|confirm|consent)|please confirm|are you sure|do you still)\b"
)
_OTHER_DEEDS = (
    re.compile(r"\b(?:delet|remov|eras|cancel|withdraw)\w*|\bcall\w* (?:\w+ ){0,3}off\b"),
    re.compile(r"\b(?:instead|(?:somebody|someone) else|everybody|everyone)\b"),
)
"""Deeds and targets, in groups of words with one meaning. A person says yes to none that they have not named."""


@dataclass(frozen=True)
class Sentence:
    """One sentence, folded."""

    text: str

    @property
    def is_question(self) -> bool:
        """Tells if the assistant wants to know something. It wants nothing if it only offers more help."""
        return "?" in self.text and not _CLOSING.search(self.text)

    @property
    def is_request(self) -> bool:
        """Tells if the assistant wants to know something, also without a question mark: "please give me the VIN"."""
        return _REQUEST.search(self.text) is not None and not _CLOSING.search(self.text)

    @property
    def asks_if_content(self) -> bool:
        return self.is_question and _CONTENT.search(self.text) is not None

    @property
    def asks_to_go_ahead(self) -> bool:
        return self.is_question and not self.asks_if_content and _GO_AHEAD.search(self.text) is not None

    def asks_for(self, words: Sequence[str]) -> bool:
        """Tells if the sentence asks for what one of the words names. A statement with the word does not."""
        return _REQUEST.search(self.text) is not None and holds_word(words, self.text)

    def exceeds(self, own_words: str) -> bool:
        """Tells if it names a deed or a target that the person's own words do not."""
        own_words = fold(own_words)
        return any(group.search(self.text) and not group.search(own_words) for group in _OTHER_DEEDS)


def sentences_of(message: str) -> Iterator[Sentence]:
    """Yields the sentences of a message."""
    text = _ITEM.sub(", ", LINK.sub("", message))
    yield from (Sentence(fold(part)) for part in _END.split(text) if part.strip())


def without_links(message: str) -> str:
    """Returns the folded message without its links."""
    return fold(LINK.sub("", message))
