"""Groups IP addresses by who holds them: one customer usually gets a whole IPv6 /64 network (RFC 6177 section 2)."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address

_HOST_BITS = 64


@lru_cache(maxsize=4096)
def address_group(host: str) -> str:
    """Returns a key that is equal for addresses of one holder.

    Args:
        host: an IP address, or any other text.

    Returns:
        The network in hexadecimal for an IPv6 address, the IPv4 address for one that is mapped into IPv6 (RFC 4291
        section 2.5.5.2), and `host` for everything else.
    """
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host)
    except ValueError:
        return host
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else f"{int(address) >> _HOST_BITS:x}::/64"
