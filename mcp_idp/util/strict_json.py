"""A strict JSON parser that rejects ambiguous documents.

RFC 8259 section 4 does not define which of two members with the same name counts, so two parsers can read one document
differently, and the message that is authorized might not be the one that is processed. This parser rejects duplicate
names; NaN and Infinity, which are not JSON; numbers too large for a float or of too many characters; and unpaired
surrogates, which are no characters (section 8.2).

A value can take a hundred times the memory of its text, so values are counted before any is built. Converting a number
takes time that grows with the square of its length, so the length is checked before.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

# The SDK parses the message again and uses some 170 bytes per value: 8 MiB.
MAX_VALUES = 50_000
_FEW_VALUES = 1000  # up to here, the upper bound is returned without an exact count
# The SDK parses 200 levels on one of its code paths and 980 on another, where the limit depends on the Python version.
MAX_DEPTH = 128
# The largest float, written out, has 309 digits. RFC 8259 section 6 allows a limit on range and precision.
MAX_NUMBER_CHARACTERS = 400


class StrictJsonError(ValueError):
    """The document is not JSON, or is ambiguous JSON."""


class TooManyValues(StrictJsonError):
    """The document holds too many values or nests too deeply; it may be valid JSON otherwise."""


def _no_repeated_name(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise StrictJsonError("a member occurs twice")
    return document


def _no_constant(name: str) -> NoReturn:
    raise StrictJsonError(f"{name} is not JSON")


def _short_integer(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise StrictJsonError(f"a number has more than {MAX_NUMBER_CHARACTERS} characters")
    return int(text)


def _finite(text: str) -> float:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise StrictJsonError(f"a number has more than {MAX_NUMBER_CHARACTERS} characters")
    number = float(text)
    if not isfinite(number):
        raise StrictJsonError("a number is too large")
    return number


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # an escaped surrogate: rare, so the costly check seldom runs
_decoder = json.JSONDecoder(
    object_pairs_hook=_no_repeated_name, parse_constant=_no_constant, parse_float=_finite, parse_int=_short_integer
)


_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_EVERY_BYTE = frozenset(range(256))
_NO_BRACKETS = bytes(_EVERY_BYTE - _STEPS.keys())
_NO_BEGINNINGS = bytes(_EVERY_BYTE - set(b"[{,:"))
_PIECE_BYTES = 128 * 1024  # counted in about a millisecond


def count_values(document: bytes, max_values: int = MAX_VALUES) -> int:
    """Counts the values in `document` without parsing it. Names of members count as values.

    Every value but the first follows one of `[`, `{`, `,` and `:`, so these are counted. Time and memory are linear in
    the length of any document.

    Args:
        document: the JSON text; it need not be valid.
        max_values: the maximum number of values.

    Returns:
        An upper bound of the number of values. If it is small, it may include punctuation inside strings.

    Raises:
        TooManyValues: there are more than `max_values`, or they nest deeper than `MAX_DEPTH`.
    """
    *_, count = counting(document, max_values)
    return count


def counting(document: bytes, max_values: int = MAX_VALUES) -> Iterator[int]:
    """Counts like `count_values`, in steps of about a millisecond.

    Yields:
        The count so far; the last one is the result.

    Raises:
        TooManyValues: see `count_values`.
    """
    if len(document) <= _PIECE_BYTES:
        opened = document.count(b"[") + document.count(b"{")
        count = 1 + opened + document.count(b",") + document.count(b":")
        if opened <= MAX_DEPTH and count <= min(max_values, _FEW_VALUES):
            yield count
            return
    count, depth = 1, 0
    for outside in _outside_strings(document):
        count += len(outside.translate(None, _NO_BEGINNINGS))
        if count > max_values:
            raise TooManyValues(f"more than {max_values} values")
        levels = list(accumulate(map(_STEPS.__getitem__, outside.translate(None, _NO_BRACKETS)), initial=depth))
        depth = levels[-1]
        if max(levels) > MAX_DEPTH:
            raise TooManyValues(f"nested deeper than {MAX_DEPTH} levels")
        yield count


def _outside_strings(document: bytes) -> Iterator[bytes]:
    """Yields what is outside strings, piece by piece.

    In valid JSON, backslashes occur only inside strings. With escaped backslashes and quotes removed, each remaining
    quote begins or ends a string.
    """
    inside, start = 0, 0
    while start < len(document):
        piece = document[start : start + _PIECE_BYTES]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:  # what the last one escapes belongs to the same piece
            piece = document[start : start + _PIECE_BYTES + 1]
        start += len(piece)
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        yield b"".join(parts[inside::2])
        inside ^= (len(parts) - 1) % 2


def loads(document: bytes, *, max_values: int = MAX_VALUES) -> Any:
    """Parses a JSON document.

    Args:
        document: the JSON text in UTF-8, without a byte order mark.
        max_values: the maximum number of values, names of members included.

    Raises:
        TooManyValues: the document holds more than `max_values` values, or nests deeper than `MAX_DEPTH`.
        StrictJsonError: it is not JSON, or contains a duplicate name, NaN, Infinity, a number too large for a float or
            of more than `MAX_NUMBER_CHARACTERS`, or an unpaired surrogate.
    """
    count_values(document, max_values)
    return build(document)


def build(document: bytes) -> Any:
    """Parses a JSON document that `count_values` has accepted.

    Raises:
        StrictJsonError: see `loads`.
    """
    try:
        value = _decoder.decode(document.decode("utf-8"))
        if b"\\u" in document and _SURROGATE.search(document) is not None:
            json.dumps(value, ensure_ascii=False).encode()  # raises UnicodeEncodeError for an unpaired surrogate
    except StrictJsonError:
        raise
    except UnicodeEncodeError as error:
        raise StrictJsonError("an unpaired surrogate") from error
    except (ValueError, RecursionError) as error:
        raise StrictJsonError(f"not JSON: {type(error).__name__}") from error
    return value
