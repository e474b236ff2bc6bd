"""What an attacker can reach who knows only the two host names."""

from __future__ import annotations

import socket
import ssl
import warnings
from typing import TYPE_CHECKING

import pytest

from tests.support.production.deployment import ISSUER, LOGIN, MCP, URL

if TYPE_CHECKING:
    from tests.support.production.deployment import Production

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(3600)]

_FORGED = {
    "X-Forwarded-For": "198.51.100.7",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Port": "8443",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=198.51.100.7;host=evil.example;proto=http",
    "X-Real-IP": "198.51.100.7",
}


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/admin/",
        "/admin/realms/mcp",
        "/admin/master/console/",
        "/realms/master",
        "/realms/master/protocol/openid-connect/token",
        "/realms/MCP",
        "/Realms/mcp/protocol/openid-connect/token",
        "/realms/mcp.",
        "/realms/mcp%0a",
        "/realms/mcp%00/",
        "/realms/mcp%23",
        "/realms/mcp%3b/",
        "/RESOURCES/x",
        "/realms/mcp/../master",
        "/realms/mcp/%2e%2e/master",
        "/realms/mcp/..%2fmaster",
        "/realms/mcp/..;/master",
        "/realms/mcp;x/..;/master",
        "//realms/master",
        "/realms/mcp//../master",
        "/resources/../admin/realms",
        "/metrics",
        "/health/ready",
        "/realms/mcp/clients-registrations/default/-",
        "/realms/mcp/clients-registrations/install/-",
        "/realms/mcp/clients-registrations/saml2-entity-descriptor/-",
    ],
)
def test_of_keycloak_only_the_realm_of_the_users_is_proxied(production: Production, target: str) -> None:
    assert production.status(LOGIN, target) == 404


@pytest.mark.parametrize(
    "target",
    [
        "/readyz",
        "/livez",
        "/%72eadyz",
        "//readyz",
        "/metrics",
        "/admin",
        "/LIVEZ",
        "/livez/",
        "/livez;x",
        "/livez%20",
        "/livez%0a",
        "/x/../livez",
        "/./readyz",
        "/readyz#",
        "/readyz.",
    ],
)
def test_the_server_s_health_endpoints_are_not_proxied(production: Production, target: str) -> None:
    assert production.status(MCP, target) == 404


@pytest.mark.parametrize("named", ["keycloak:8080", "identity", "127.0.0.1", "evil.example"])
def test_a_name_that_is_not_ours_is_rejected(production: Production, named: str) -> None:
    assert production.status(LOGIN, "/realms/master", named=named) == 421
    with pytest.raises(ssl.SSLError), production.connection(named.partition(":")[0]):
        pass


def test_forwarded_headers_of_a_client_are_ignored(production: Production) -> None:
    metadata = f"{ISSUER}/.well-known/openid-configuration"
    forged, plain = (production.request("GET", metadata, headers=output).json() for output in (_FORGED, {}))
    assert forged == plain
    challenge = production.request("POST", URL, headers=_FORGED).headers["www-authenticate"]
    assert f'resource_metadata="https://{MCP}/' in challenge
    form = {"grant_type": "refresh_token", "client_id": "nobody-there", "refresh_token": "none"}
    token_url = f"{ISSUER}/protocol/openid-connect/token"
    assert production.request("POST", token_url, data=form, headers=_FORGED).status_code in {400, 401}
    message = [
        line
        for line in production.compose("logs", "keycloak", "keycloak-2").stdout.splitlines()
        if "nobody-there" in line
    ]
    assert message
    assert [line for line in message if "198.51.100.7" in line] == []


@pytest.mark.requirement("production.tls")
@pytest.mark.parametrize(
    ("url", "status"), [(URL, 401), (f"https://{MCP}/livez", 404), (ISSUER, 200), (f"https://{LOGIN}/", 404)]
)
def test_every_response_has_strict_transport_security(production: Production, url: str, status: int) -> None:
    response = production.request("GET", url)
    assert response.status_code == status
    assert response.headers["strict-transport-security"] == "max-age=31536000"
    assert "server" not in response.headers


@pytest.mark.requirement("production.tls")
@pytest.mark.parametrize("host", [MCP, LOGIN])
def test_no_tls_older_than_1_2_is_spoken(production: Production, host: str) -> None:
    old = ssl.create_default_context(cafile=production.authority)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the deprecated TLS version is the subject of the test
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError) as rejected, production.connection(host, old):
        pass
    assert rejected.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"  # sent by Caddy, not by our library
    with production.connection(host) as connection:
        assert connection.version() == "TLSv1.3"


def test_http_leads_to_https_and_nowhere_else(production: Production) -> None:
    for host, expected in ((LOGIN, b" 308 "), ("evil.example", b" 421 ")):
        with socket.create_connection(("127.0.0.1", production.http_port), timeout=60) as connection:
            connection.sendall(f"GET /realms/mcp HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            assert expected in connection.recv(4096).partition(b"\r\n")[0]
