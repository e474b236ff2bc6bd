"""Classifies the host of a URL (loopback, private or public) and validates URLs."""

from __future__ import annotations

import re
from ipaddress import ip_address
from socket import inet_aton
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether `host` (a name, or an address without brackets) is localhost, a name under it or a loopback address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """Whether `host` is loopback, a name without a dot, or an address that is not globally reachable.

    Names are not resolved: a public name can still resolve to a private address.
    """
    host = host.rstrip(".")
    if is_loopback(host) or "." not in host:
        return ":" not in host or _is_non_global_ip(host)
    return _is_non_global_ip(host)


def _is_non_global_ip(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        pass
    try:  # 127.1, 0x7f.0.0.1, 0177.0.0.1: resolvers accept these as IPv4 addresses, `ip_address` does not
        return not ip_address(inet_aton(host)).is_global
    except (OSError, UnicodeError):
        return False


def is_below_invalid(value: str) -> bool:
    """Whether a host or origin is below `.invalid`, a domain in which no name exists (RFC 6761 section 6.4)."""
    authority = (value.partition("://")[2] or value).partition("/")[0]
    host = authority.rpartition("@")[2].partition(":")[0]
    return host.lower().rstrip(".").endswith(".invalid")


def is_http_url(value: str) -> bool:
    """Whether a value is meant as an http(s) URL, however it is written; it need not be a valid one."""
    return value.strip().lower().startswith(("http://", "https://"))


def validate_http_url(name: str, value: str) -> None:
    """Validates that a value is an absolute http(s) URL without user, query and fragment.

    Args:
        name: the name of the setting, for the message.
        value: the value to validate.

    Raises:
        ValueError: it is not. The message is one line that says what to write.
    """
    try:
        parts = urlsplit(value)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or re.search(r"[^\x21-\x7e]|[\"\\<>]", value):
        raise ValueError(f"{name}={value!r}: write an absolute URL such as https://login.example.com/realms/mcp")
    if parts.username is not None or parts.query or parts.fragment or value.endswith(("?", "#")):
        raise ValueError(f"{name}={value!r}: write the URL without user, query and fragment")
