"""Which Host and Origin headers are allowed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_idp.config.settings import Settings
from mcp_idp.http.transport_security import TransportSecurity

_HOSTS = st.lists(
    st.sampled_from(
        ["localhost", "127.0.0.1", "[::1]", ":", "3000", ".", "@", "%25lo", "evil.example", " ", "\xff", "/"]
    ),
    max_size=4,
).map("".join)


@pytest.mark.requirement("auth.any_header")
@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(_HOSTS)
def test_only_loopback_host_names_with_or_without_a_port_are_allowed(host: str) -> None:
    transport_security = TransportSecurity(Settings())
    if transport_security.is_allowed_host(host.encode("latin-1")):
        name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "1")
        assert (name or host) in {"localhost", "127.0.0.1", "[::1]"}
        assert port.isdigit()
