"""JSON that means one thing only.

RFC 8259 section 4 leaves open which of two equal names counts, so two readers of one document can disagree: what one
judges is not what the other acts on. Here a repeated name is an error, as are NaN and Infinity, which JSON does not
have, numbers too large for a float, and half of a surrogate pair, which is no character (section 8.2).
"""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any, NoReturn


class NotStrictJson(ValueError):
    """The document is not JSON, or not JSON with one meaning."""


def _no_repeated_name(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise NotStrictJson("a member is there twice")
    return document


def _no_constant(name: str) -> NoReturn:
    raise NotStrictJson(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise NotStrictJson("a number is too large")
    return number


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # the escape of a half: rare, so that looking is cheap
_decoder = json.JSONDecoder(object_pairs_hook=_no_repeated_name, parse_constant=_no_constant, parse_float=_finite)


def loads(document: bytes) -> Any:
    """The value that `document` (UTF-8, without a byte order mark) stands for.

    Raises:
        NotStrictJson: it is not JSON, names a member twice, holds NaN, Infinity, an endless number or half of a
            surrogate pair, or nests deeper than the interpreter goes.
    """
    try:
        value = _decoder.decode(document.decode("utf-8"))
        if _SURROGATE.search(document) is not None:
            json.dumps(value, ensure_ascii=False).encode()  # a UnicodeError where a half is left
    except NotStrictJson:
        raise
    except UnicodeEncodeError as error:
        raise NotStrictJson("half of a surrogate pair") from error
    except (ValueError, RecursionError) as error:  # a huge integer literal is a bare ValueError
        raise NotStrictJson(f"not JSON: {type(error).__name__}") from error
    return value
