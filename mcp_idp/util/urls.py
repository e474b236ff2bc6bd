"""Whether a host, as it is written in a URL, is on this machine, inside a network, or public."""

from __future__ import annotations

import re
from ipaddress import ip_address
from socket import inet_aton
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address, without brackets) never leaves this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """Whether `host` is written as an address, or a name, that is not on the public network.

    A public name can still resolve to a private address; this sees what is written only.
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
    try:  # 127.1, 0x7f.0.0.1, 0177.0.0.1: what resolvers take for an IPv4 address and ip_address does not
        return not ip_address(inet_aton(host)).is_global
    except (OSError, UnicodeError):
        return False


def validate_http_url(name: str, value: str) -> None:
    """Refuse what is not an absolute http(s) URL, with `name` in the message.

    Raises:
        ValueError: the value is no such URL; one line says what to write.
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
