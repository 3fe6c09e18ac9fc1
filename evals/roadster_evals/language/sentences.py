"""The sentences of an assistant, as a scripted person understands them: in English, by the words that are in them.

The order in which a person answers is that of docs/develop/scenario-files.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .phrases import LINK, fold, holds_word

_ITEM = re.compile(r"\s*(?:\n\s*[-\u2013\u2014*\u2022|]|\s\d[.)])\s+")
"""The beginning of a list's item or of a table's row. They belong to the sentence before them."""

_MARKUP = re.compile(r"[*`|]|(?<!\w)_+|_+(?!\w)")

_END = re.compile(r"(?<=[.!?])[\"')]*\s+|(?<![:\s])\s*\n\s*\n")
"""The end of a sentence. What ends in a colon goes on after the blank line."""

_VERB = (
    r"(?:tell|give|send|share|provide|confirm|specify|enter|include|supply|submit|indicate|clarify|choose|select|attach"
    r"|paste|repeat|fill in|let (?:me|us) (?:have|know)|(?:reply|respond|answer) with"
    r"|(?:verify|double-check)(?= (?:the|your)\b)|(?:name|state|list|type|write)(?= (?:me|us|the|your|an?|both|all)\b))"
)
_WANTED = (
    r"(?:your|the|their|his|her|its|an?|both|all|(?:full|first|last)(?= (?:and|name))|name|e-?mail|phone|address|vin)\b"
    r"(?! (?:moment|minute|second|time|patience)\b)"
)
"""The beginning of what is asked for."""
_LEAD = r"^(?:(?:and|also|then|just|simply|next|first|now|so|ok|okay|great|thanks|thank you|sure),? )*"
_PURPOSE = r"(?:to|for|before|if so|if you(?: want| wish| agree| would like|'d like))\b[^,]*, "
_I = r"\b(?:i|we)(?:'d|'ll|'m|'re| would| will| am| are)?(?: also| still| only| just| first| then| now| do)*"
_REQUEST = re.compile(
    r"\?"
    # The assistant speaks of what the person is to do.
    rf"|{_LEAD}{_VERB}\b(?! (?:this|that|it|them)\b)|{_LEAD}{_PURPOSE}{_VERB} (?:me|us|{_WANTED})"
    rf"|\b(?:please|kindly),? (?:also |just |kindly )?{_VERB}\b"
    rf"|\bplease[,:]? {_WANTED}|{_LEAD}{_WANTED}.*\bplease(?:[.,!]|$)"
    r"|\b(?:tell|give|send) (?:me|us)\b|\blet (?:me|us) know\b|\b(?:could|can|would) you\b"
    rf"|\b(?:if|once|as soon as) you (?:could |can |would |just )*(?:provide|share|send|supply) {_WANTED}"
    r"|\byou(?:'ll| will)? (?:need|have) to (?:provide|supply|specify)\b"
    # It speaks of what it lacks.
    r"|\b(?:is|are)(?: still| also)? (?:missing|needed|required)\b|\b(?:missing|needed|required):|\brequires? your\b"
    rf"|{_I} (?:(?:need|require)(?! (?:nothing|no|to)\b)|need to (?:know|have|ask)|missing)\b"
    r"|\b(?:i|we)(?:'d| would)(?: also| still)? like (?:your|the|to (?:know|have|ask))\b"
)
_REPORT = re.compile(
    r"\b(?:let (?:me|us) know|tell (?:me|us)) (?:what (?:he|she|it|they)\b"
    r"|how (?!much|many|large|big|heavy|long|old|late|(?:to|(?:i|we) can) (?:reach|contact))"
    r"|when\b(?!.*\b(?:should|shall|must|want|would)\b)"
    r"|(?:if|whether)\b(?! (?:i (?:should|shall|may|can)|you (?:agree|consent))\b))[^?,;]*"
)
"""A wish to hear some day how it went, or the like. The assistant waits for no answer to that."""
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
        text = _REPORT.sub("", self.text)
        return _REQUEST.search(text) is not None and not _CLOSING.search(text)

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
    text = _MARKUP.sub("", _ITEM.sub(", ", LINK.sub("", message)))
    yield from (Sentence(fold(part)) for part in _END.split(text) if part.strip())


def without_links(message: str) -> str:
    """Returns the folded message without its links."""
    return fold(LINK.sub("", message))
