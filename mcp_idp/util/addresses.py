"""Groups IP addresses: a client usually has all addresses of a group (RFC 6177 section 2)."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

UNKNOWN = "unknown"
_MAX_CHARACTERS = 64  # no address is longer; a longer text comes from a header of a proxy
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
_HOST_BITS = 64


def address_group(host: str) -> str:
    """Returns a key that is equal for the addresses of one client.

    Args:
        host: an IP address, or any other text.

    Returns:
        The address for IPv4 and the /64 network for IPv6, of which a single client usually has all addresses. For an
        IPv6 address that stands for one of IPv4 (IPv4-mapped, 6to4, NAT64), that address. `UNKNOWN` for other text.
    """
    return _group(host) if len(host) <= _MAX_CHARACTERS else UNKNOWN


@lru_cache(maxsize=4096)
def _group(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return UNKNOWN
    if isinstance(address, IPv4Address):
        return str(address)
    inner = address.ipv4_mapped or address.sixtofour or _nat64(address)
    if inner is not None:
        return str(inner)
    return str(IPv6Network((int(address) >> _HOST_BITS << _HOST_BITS, _HOST_BITS)))


def _nat64(address: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
