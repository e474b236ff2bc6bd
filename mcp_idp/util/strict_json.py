"""JSON that means one thing only.

RFC 8259 section 4 leaves open which of two equal names counts, so two readers of one document can disagree: what one
judges is not what the other acts on. Here a repeated name is an error, as are NaN and Infinity, which JSON does not
have, numbers too large for a float, and half of a surrogate pair, which is no character (section 8.2).

A value takes up to a hundred times the memory of its text, so values are counted before any of them is built.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from math import isfinite
from typing import Any, NoReturn

# Some 170 bytes of memory each where the SDK parses the message again: 8 MiB.
MAX_VALUES = 50_000
_FEW_VALUES = 1000  # so few need no exact count
# The SDK reads 200 levels on one of its ways and 980 on another, where every Python has a limit of its own.
MAX_DEPTH = 128


class StrictJsonError(ValueError):
    """The document is not JSON, or not JSON with one meaning."""


class TooManyValues(StrictJsonError):
    """The document may well be JSON, and holds more than is read."""


def _no_repeated_name(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise StrictJsonError("a member is there twice")
    return document


def _no_constant(name: str) -> NoReturn:
    raise StrictJsonError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise StrictJsonError("a number is too large")
    return number


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # the escape of a half: rare, so that looking is cheap
_decoder = json.JSONDecoder(object_pairs_hook=_no_repeated_name, parse_constant=_no_constant, parse_float=_finite)


_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - _STEPS.keys())


def count_values(document: bytes, max_values: int = MAX_VALUES) -> int:
    """How many values `document` holds at most, names of members counted as values; nothing of it is built.

    Each value stands behind one of `[`, `{`, `,` and `:`, but for the first. Those inside texts count too where they
    are few. Time and memory are linear in the length, whatever the document is.

    Raises:
        TooManyValues: they are more than `max_values`, or nested deeper than `MAX_DEPTH`.
    """
    opened, count = _count(document)
    if opened <= MAX_DEPTH and count <= min(max_values, _FEW_VALUES):
        return count
    # As far as the document is JSON a backslash is inside a text. What an escape hides is gone, so each quote is an end
    # of a text, and every second piece is outside.
    pieces = document.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"', 2 * max_values + 1)
    if len(pieces) > 2 * max_values + 1:
        raise TooManyValues(f"more than {max_values} values")
    outside = b"".join(pieces[::2])
    _, count = _count(outside)
    if count > max_values:
        raise TooManyValues(f"more than {max_values} values")
    if max(accumulate(map(_STEPS.__getitem__, outside.translate(None, _NO_BRACKETS))), default=0) > MAX_DEPTH:
        raise TooManyValues(f"nested deeper than {MAX_DEPTH} levels")
    return count


def _count(document: bytes) -> tuple[int, int]:
    """How many arrays and objects, and how many values there are at most."""
    opened = document.count(b"[") + document.count(b"{")
    return opened, 1 + opened + document.count(b",") + document.count(b":")


def loads(document: bytes, *, max_values: int = MAX_VALUES) -> Any:
    """The value that `document` (UTF-8, without a byte order mark) stands for.

    Raises:
        TooManyValues: it holds more than `max_values`, or nests deeper than `MAX_DEPTH`.
        StrictJsonError: it is not JSON, names a member twice, holds NaN, Infinity, an endless number or half of a
            surrogate pair.
    """
    count_values(document, max_values)
    return build(document)


def build(document: bytes) -> Any:
    """The value of a `document` whose values were counted.

    Raises:
        NotStrictJson: as `loads`.
    """
    try:
        value = _decoder.decode(document.decode("utf-8"))
        if _SURROGATE.search(document) is not None:
            json.dumps(value, ensure_ascii=False).encode()  # a UnicodeError where a half is left
    except StrictJsonError:
        raise
    except UnicodeEncodeError as error:
        raise StrictJsonError("half of a surrogate pair") from error
    except (ValueError, RecursionError) as error:  # a huge integer literal is a bare ValueError
        raise StrictJsonError(f"not JSON: {type(error).__name__}") from error
    return value
