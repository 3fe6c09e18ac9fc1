"""JSON as hosts and feeds send it: half characters, marks, bytes of other encodings, numbers that are none."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_client.json_text import (
    MAX_VALUES,
    NOT_A_NUMBER,
    TooManyValues,
    mend_json,
    parse_lenient_json,
    parse_strict_json,
    refuse_many_values,
    write_lenient_json,
)

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
    sound = json.dumps(replace_surrogates(document), ensure_ascii=False).encode()
    for parse in (parse_lenient_json, lambda raw: parse_strict_json(mend_json(raw))):
        assert parse(json.dumps(document).encode()) == parse(sound)


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
    assert parse_lenient_json(raw) == value
    assert parse_strict_json(mend_json(raw)) == value


NUMBERS_THAT_ARE_NONE = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1E+999",
    "9" * 400 + ".0",
    "-" + "9" * 10_000,
    "9" * 5_000 + ".5e7",
)


@given(document=DOCUMENTS, number=st.sampled_from(NUMBERS_THAT_ARE_NONE), data=st.data())
def test_number_that_is_none_is_marked_and_hides_nothing(document: object, number: str, data: st.DataObject) -> None:
    """Also where a text beside it holds the same digits, and where a byte is no UTF-8 or a line ends within a text."""
    raw = json.dumps({"document": document, "text": f'"{number}', "odd": "@"}).encode()
    odd = raw.replace(b'"@"', number.encode())
    tail = data.draw(st.sampled_from([b"}", b', "x\xe9": 1}', b', "x\n": 1}']))
    value = parse_lenient_json(odd[:-1] + tail)
    assert value["odd"] is NOT_A_NUMBER
    assert {"document": value["document"], "text": value["text"], "odd": "@"} == parse_lenient_json(raw)
    assert parse_lenient_json(write_lenient_json(value)) == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'"Jos\xe9"', "Jos\ufffd"),
        (b'\xef\xbb\xbf"\xe9"', "\ufffd"),
        (b'"a\nb\tc\x00"', "a b c "),
        (b'{"a"\x00:1}', {"a": 1}),
    ],
)
def test_bytes_that_json_does_not_have_are_mended(raw: bytes, value: object) -> None:
    assert parse_lenient_json(raw) == value
    with pytest.raises(ValueError, match="at line"):
        parse_strict_json(mend_json(raw))


@pytest.mark.parametrize("raw", [b"", b"\xef\xbb\xbf", b'"\\ud83"', b"[1,]", b"{a:1}", b"nan", b"[" * 100_000])
def test_other_faults_are_still_refused(raw: bytes) -> None:
    for parse in (parse_lenient_json, parse_strict_json):
        with pytest.raises(ValueError, match="at line 1"):
            parse(raw)


@pytest.mark.parametrize("number", NUMBERS_THAT_ARE_NONE[:3])
def test_number_that_is_none_is_refused_where_it_must_be_exact(number: str) -> None:
    with pytest.raises(ValueError, match="at line 1"):
        parse_strict_json(number.encode())


@pytest.mark.parametrize("part", ['\\"', '""', '" ', "\\", "9" * 3_999 + " ", "-9", "9"])
def test_broken_json_is_mended_in_time(part: str) -> None:
    """Looking at each byte again and again would take hours."""
    with suppress(ValueError):
        parse_lenient_json((b"\xff" + part.encode() * 300_000)[: 1024 * 1024])


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
