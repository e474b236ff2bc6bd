"""The number of values of any document is computed before any of them is built."""

from __future__ import annotations

import json
import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_idp.util import strict_json
from mcp_idp.util.strict_json import MAX_DEPTH, MAX_NUMBER_CHARACTERS, MAX_VALUES, StrictJsonError, TooManyValues

pytestmark = pytest.mark.requirement("body.json_values")

SIZE = 4 * 1024 * 1024
BOUNDED = settings(max_examples=300, derandomize=True, deadline=None)
TEXTS = st.text(st.sampled_from('a,:[]{}"\\/\u00e9\U0001f600\n'), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=30,
)


def _values(value: Any) -> int:
    match value:
        case dict():
            return 1 + sum(1 + _values(member) for member in value.values())
        case list():
            return 1 + sum(map(_values, value))
        case _:
            return 1


@BOUNDED
@given(JSON, st.booleans())
def test_the_bound_is_never_below_the_number_of_values_and_near_it(value: Any, escaped: bool) -> None:  # noqa: FBT001
    document = json.dumps(value, ensure_ascii=escaped).encode()
    values = _values(value)
    maximum = 2 * values + 1  # an empty array counts as two
    assert strict_json.loads(document, max_values=maximum) == value
    assert values <= strict_json.count_values(document, maximum) <= max(maximum, strict_json.count_values(document))
    if values > 1:
        with pytest.raises(TooManyValues):
            strict_json.loads(document, max_values=values // 2)


@pytest.mark.parametrize(
    "item", [b"{}", b'{"a":{}}', b"[[]]", b"[]", b"1", b"1e5", b'""', b'"ab"', b"null", b'{"a":1}', b'"\\\\",""']
)
def test_as_many_values_as_the_bound_pass_and_more_do_not(item: bytes) -> None:
    one = strict_json.count_values(b"[" + item + b"," + item + b"]") - strict_json.count_values(b"[" + item + b"]")
    maximum = (MAX_VALUES - 2) // one
    assert len(strict_json.loads(b"[" + b",".join([item] * maximum) + b"]"))
    with pytest.raises(TooManyValues, match="more than 50000 values"):
        strict_json.loads(b"[" + b",".join([item] * (maximum + 2)) + b"]")


@pytest.mark.parametrize(
    "text", ["," * SIZE, "[" * SIZE, '"{},' * (SIZE // 4), "\\" * SIZE, '\\"[' * (SIZE // 3), "\u00e9,{}" * (SIZE // 4)]
)
def test_a_text_may_hold_what_looks_like_values(text: str) -> None:
    document = json.dumps({"text": text, "one": 1}).encode()
    assert strict_json.count_values(document) == 5
    assert strict_json.loads(document)["text"] == text


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_as_many_levels_as_the_bound_pass_and_one_more_does_not(opening: bytes) -> None:
    closing = opening.translate(None, b'"a:')[::-1].translate(bytes.maketrans(b"[{", b"]}"))
    levels = MAX_DEPTH // len(closing)
    document = opening * levels + b"1" + closing * levels
    assert strict_json.loads(document)
    with pytest.raises(TooManyValues, match="nested deeper than 128 levels"):
        strict_json.loads(b"[" + document + b"]")
    assert strict_json.loads(b"[" + b",".join([b"[" * 9 + b"]" * 9] * 900) + b"]")  # many side by side


@pytest.mark.parametrize("sign", [b"", b"-"])
def test_a_number_may_be_as_long_as_the_largest_float_and_is_not_converted_beyond_the_bound(sign: bytes) -> None:
    fitting = sign + b"9" * (MAX_NUMBER_CHARACTERS - len(sign))
    assert strict_json.loads(fitting) == int(fitting)
    largest = f"{sys.float_info.max:f}".encode()
    assert strict_json.loads(sign + largest) == float(sign + largest)
    for number in (fitting + b"9", sign + b"0." + b"1" * MAX_NUMBER_CHARACTERS, sign + b"1e-" + b"0" * 400 + b"1"):
        with pytest.raises(StrictJsonError, match="more than 400 characters"):
            strict_json.loads(number)


@pytest.mark.parametrize(
    "document",
    [
        b'"' * SIZE,
        b"\\" * SIZE,
        b'"' + b'\\"' * (SIZE // 2),
        b'"' + b"," * SIZE,
        b"," * SIZE,
        b"[" * SIZE,
        b"[]" * (SIZE // 2),
        b'"\\' * (SIZE // 2),
        b'["a"' + b',"a"' * (SIZE // 4),
        b"[" + b'"a",1,' * (SIZE // 6),
        b'{"a":' * (SIZE // 5),
        b'[\\"' + b",{}" * (SIZE // 3) + b"]",
        b"\xff[" * (SIZE // 2),
    ],
    ids=lambda document: document[:8].decode("latin-1"),
)
def test_a_hostile_document_is_rejected_in_memory_that_is_a_small_multiple_of_its_length(document: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(StrictJsonError):
            strict_json.loads(document)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * SIZE


@pytest.mark.parametrize("document", [b"{}", b'{"jsonrpc":"2.0","id":1,"method":"ping"}', b'"' + b"a" * 1000 + b'"'])
def test_an_ordinary_document_is_counted_without_a_copy(document: bytes) -> None:
    strict_json.count_values(document)
    tracemalloc.start()
    try:
        strict_json.count_values(document)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500
