"""Which Host and Origin headers are allowed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_idp.config.settings import Settings
from mcp_idp.http.transport_security import TransportSecurity, merge_headers

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


def test_merged_headers_have_one_vary_without_repetitions_and_only_if_there_is_one() -> None:
    cors = ((b"access-control-allow-origin", b"http://localhost:6274"),)
    application = [(b"Access-Control-Allow-Origin", b"*"), (b"content-type", b"text/plain")]
    assert merge_headers(application, cors) == [(b"content-type", b"text/plain"), *cors]
    application = [(b"Vary", b"Accept, origin,,"), (b"vary", b" Cookie , ORIGIN")]
    assert merge_headers(application, ((b"vary", b"Origin"),)) == [(b"vary", b"Accept, origin, Cookie")]
