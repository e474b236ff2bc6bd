"""Describes the difference between two URLs that should be identical."""

from __future__ import annotations

from urllib.parse import urlsplit

from mcp_idp.util.urls import is_loopback


def describe_difference(one: str, other: str) -> str:
    """Returns a phrase that names the first relevant difference between two different URLs."""
    if one.rstrip("/") == other.rstrip("/"):
        return "a trailing slash"
    a, b = urlsplit(one), urlsplit(other)
    if a.scheme != b.scheme and (a.netloc, a.path) == (b.netloc, b.path):
        return f"{a.scheme} and {b.scheme}"
    if a.hostname != b.hostname:
        both = is_loopback(a.hostname or "") and is_loopback(b.hostname or "")
        same = ": the same machine, but two names" if both else ""
        return f"the host, {a.hostname} and {b.hostname}{same}"
    if a.netloc != b.netloc:
        return f"the port or the spelling of the host, {a.netloc} and {b.netloc}"
    if a.path != b.path:
        return f"the path, '{a.path}' and '{b.path}'"
    return "their spelling"
