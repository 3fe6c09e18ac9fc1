"""Lone surrogates and byte order marks, as hosts and feeds send them."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_client.json_text import MAX_VALUES, TooManyValues, mend_json, parse_json, refuse_many_values

TEXTS = st.text(st.characters() | st.characters(categories=["Cs"]))
"""Texts of any characters, lone surrogates among them."""

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(TEXTS, values, max_size=4),
    max_leaves=10,
)


def replace_surrogates(value: object) -> object:
    """Returns the document as Python itself would mend it."""
    if isinstance(value, str):
        # A pair of halves is one character, as in every JSON reader.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [replace_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {replace_surrogates(name): replace_surrogates(item) for name, item in value.items()}
    return value


@given(document=DOCUMENTS)
def test_every_text_is_read_with_a_replacement_for_each_half_character(document: object) -> None:
    assert parse_json(json.dumps(document).encode()) == parse_json(
        json.dumps(replace_surrogates(document), ensure_ascii=False).encode()
    )


@given(document=DOCUMENTS)
def test_sound_json_is_left_as_it_is(document: object) -> None:
    sound = json.dumps(replace_surrogates(document)).encode()
    assert mend_json(sound) == sound


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (rb'"a\ud83d"', "a\ufffd"),
        (rb'"\ude00b"', "\ufffdb"),
        (rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd\N{GRINNING FACE}"),
        (rb'"\\ud83d"', "\\ud83d"),
        (rb'"\\\ud83d"', "\\\ufffd"),
        (b'\xef\xbb\xbf"a"', "a"),
    ],
)
def test_half_characters_and_marks(raw: bytes, value: str) -> None:
    assert parse_json(raw) == value


@pytest.mark.parametrize("raw", [b"", b"\xef\xbb\xbf", b"NaN", b'"\\ud83"', b'"\xff"', b"[" * 100_000])
def test_other_faults_are_still_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="at line 1"):
        parse_json(raw)


@pytest.mark.parametrize("text", [",", '"', "[{", "\\", '\\",', "word"])
def test_values_are_counted_exactly_outside_texts(text: str) -> None:
    document = {text * MAX_VALUES: [text * MAX_VALUES, *[1] * (MAX_VALUES - 2)]}
    refuse_many_values(json.dumps(document).encode())
    document["one more"] = []
    with pytest.raises(TooManyValues):
        refuse_many_values(json.dumps(document).encode())


@pytest.mark.parametrize("part", ['\\"', '""', '" ', "\\", " "])
def test_values_of_broken_json_are_counted_in_time(part: str) -> None:
    """Looking twice at each byte would take hours."""
    with suppress(TooManyValues):
        refuse_many_values(b"," * MAX_VALUES + b'"' + part.encode() * 1_000_000)
