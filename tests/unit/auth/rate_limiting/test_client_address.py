"""Which addresses count as one client."""

from __future__ import annotations

import pytest

from mcp_idp.auth.rate_limiting.client_address import address_key
from mcp_idp.util.addresses import UNKNOWN

pytestmark = pytest.mark.requirement("limits.address")


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("fe80::1%" + "x" * 40, "fe80::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("::ffff:c633:6407", "198.51.100.7"),
        ("2002:c633:6407::1", "198.51.100.7"),
        ("2002:c633:6407:ffff:1:2:3:4", "198.51.100.7"),
        ("64:ff9b::198.51.100.7", "198.51.100.7"),
        ("", UNKNOWN),
        ("testclient", UNKNOWN),
        ("198.51.100.7:1234", UNKNOWN),
        ("198.51.100.007", UNKNOWN),
        ("a" * 100_000, UNKNOWN),
        ("unknown", UNKNOWN),
        ("_hidden", UNKNOWN),
        ("\x00\x1b[31m", UNKNOWN),
        ("٣.3.3.3", UNKNOWN),
    ],
)
def test_all_addresses_of_one_client_have_one_key(host: str, key: str) -> None:
    assert address_key({"type": "http", "client": (host, 1234)}) == key


@pytest.mark.parametrize("scope", [{}, {"client": None}, {"client": ("", 0)}, {"client": ["", None]}])
def test_clients_without_an_address_count_together(scope: dict[str, object]) -> None:
    assert address_key(scope) == UNKNOWN
