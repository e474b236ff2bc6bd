"""Compares the clock of a responder with the local one, by the header Date (RFC 9110 section 6.6.1)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def seconds_ahead(headers: Mapping[str, str], now: float) -> float | None:
    """Returns by how many seconds the responder's clock is ahead of the local one; None if unknown.

    Args:
        headers: The response headers.
        now: When the response arrived by the local clock, in seconds since the epoch.
    """
    if not headers.get("date") or headers.get("age"):  # a cached response has an old Date
        return None
    try:
        return parsedate_to_datetime(headers["date"]).timestamp() - now
    except (ValueError, OverflowError):
        return None
