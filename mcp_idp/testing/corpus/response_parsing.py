"""Parses responses as a strict client does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_CHALLENGE = re.compile(rb'Bearer ([a-z_]+="[^"\\\x00-\x1f\x7f-\xff]*"(?:, [a-z_]+="[^"\\\x00-\x1f\x7f-\xff]*")*)')
_PARAMETER = re.compile(rb'([a-z_]+)="([^"]*)"')
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")


def challenge(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str] | None:
    """Returns the parameters of the only Bearer challenge (RFC 9110 section 11.6.1), or None; none occurs twice."""
    values = [value for name, value in headers if name == b"www-authenticate"]
    if not values:
        return None
    (value,) = values
    whole = _CHALLENGE.fullmatch(value)
    assert whole is not None, value
    parameters = [(name.decode(), text.decode()) for name, text in _PARAMETER.findall(whole[1])]
    assert len(dict(parameters)) == len(parameters), value
    return dict(parameters)


def assert_well_formed(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Asserts that no header name or value contains characters that could begin another line (RFC 9110 section 5)."""
    for name, value in headers:
        assert _NAME.fullmatch(name), name
        assert _VALUE.fullmatch(value), value
