"""Registration requests that must be rejected or must not get what they request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

GOOD = "http://127.0.0.1:33333/callback"
EVIL = "https://evil.example/callback"
_NATIVE = {"redirect_uris": [GOOD], "token_endpoint_auth_method": "none"}


@dataclass(frozen=True, slots=True)
class Hostile:
    """One request.

    Attributes:
        name: what it attempts.
        source: why it is an attack.
        body: the request's body as bytes, because not all of them are valid JSON.
    """

    name: str
    source: str
    body: bytes


def _row(name: str, source: str, /, **members: Any) -> Hostile:
    return Hostile(name, source, json.dumps(_NATIVE | members).encode())


def _redirect(name: str, source: str, *uris: str) -> Hostile:
    return _row(name, source, redirect_uris=list(uris))


def _written(name: str, source: str, members: str) -> Hostile:
    return Hostile(name, source, ('{"token_endpoint_auth_method":"none",' + members + "}").encode())


_OPEN = "RFC 9700 section 4.1: the code goes where the redirect URI says"
_LOOK = "RFC 9700 section 4.1.1: a host that looks like loopback"
_CODE = "RFC 9700 section 4.11: the user agent is told to run it"
_EXACT = "RFC 9700 section 2.1: redirect URIs are compared whole"
_FETCH = "RFC 7591 section 5: the provider fetches or shows it"
_SHAPE = "RFC 7591 section 3.2.2"

REDIRECTS = (
    _redirect("a foreign host", _OPEN, EVIL),
    _redirect("a foreign host behind a good one", _OPEN, GOOD, EVIL),
    _redirect("a foreign host over http", _OPEN, "http://evil.example/callback"),
    _redirect("a foreign host that begins with localhost", _LOOK, "http://localhost.evil.example/callback"),
    _redirect("a foreign host that begins with 127.0.0.1", _LOOK, "http://127.0.0.1.evil.example/callback"),
    _redirect("a foreign host that ends with localhost", _LOOK, "http://evil-localhost/callback"),
    _redirect("localhost as a user name", _LOOK, "http://localhost@evil.example/callback"),
    _redirect("localhost and a port as user name and password", _LOOK, "http://localhost:80@evil.example/callback"),
    _redirect("a user name before localhost", _LOOK, "http://evil.example@localhost/callback"),
    _redirect("a backslash before the user part", _LOOK, "http://evil.example\\@localhost/callback"),
    _redirect("localhost with a letter from another script", _LOOK, "http://lоcalhost/callback"),  # noqa: RUF001
    _redirect("the same name as punycode", _LOOK, "http://xn--lcalhost-nbh/callback"),
    _redirect("localhost with full-width dots", _LOOK, "http://127。0。0。1/callback"),
    _redirect("loopback as a decimal number", _LOOK, "http://2130706433/callback"),
    _redirect("loopback in octal", _LOOK, "http://0177.0.0.1/callback"),
    _redirect("the address that means all of them", _LOOK, "http://0.0.0.0/callback"),
    _redirect("loopback with a zone", _LOOK, "http://[::1%25eth0]/callback"),
    _redirect("an IPv4 address inside an IPv6 one", _LOOK, "http://[::ffff:203.0.113.9]/callback"),
    _redirect("a vendor's host, another path", _EXACT, "https://vscode.dev/redirect/../evil"),
    _redirect("a vendor's host as a prefix", _EXACT, "https://vscode.dev.evil.example/redirect"),
    _redirect("a vendor's URI over http", _EXACT, "http://vscode.dev/redirect"),
    _redirect(
        "a vendor's URI with a query", _EXACT, "https://claude.ai/api/mcp/auth_callback?next=https://evil.example"
    ),
    _redirect("a wildcard alone", _EXACT, "*"),
    _redirect("a wildcard host", _EXACT, "https://*/callback"),
    _redirect("a wildcard path on localhost", _EXACT, "http://localhost/*"),
    _redirect("a wildcard behind localhost", _EXACT, "http://localhost*"),
    _redirect("a wildcard port", _EXACT, "http://localhost:*/callback"),
    _redirect("a fragment", "RFC 6749 section 3.1.2", f"{GOOD}#fragment"),
    _redirect("javascript:", _CODE, "javascript:alert(document.domain)"),
    _redirect("javascript: with a host", _CODE, "javascript://localhost/%0aalert(1)"),
    _redirect("data:", _CODE, "data:text/html,<script>alert(1)</script>"),
    _redirect("vbscript:, in capitals", _CODE, "VBSCRIPT:msgbox"),
    _redirect("file:", _CODE, "file:///etc/passwd"),
    _redirect(
        "a scheme of its own without a host", "RFC 8252 section 8.4: any program can claim it", "com.evil:/callback"
    ),
    _redirect("a scheme of its own with a host", "RFC 8252 section 8.4: any program can claim it", "evil://callback"),
    _redirect("Cursor's scheme with another path", _EXACT, "cursor://anysphere.cursor-mcp/oauth/other"),
    _redirect("a line break", _EXACT, "http://localhost/callback\r\nSet-Cookie: a=b"),
    _redirect("a NUL byte", _EXACT, "http://localhost/callback\x00.evil.example"),
    _redirect("an escaped slash before a host", _EXACT, "http://localhost%2f@evil.example/callback"),
    _redirect("a path only", _EXACT, "/callback"),
    _redirect("a host only", _EXACT, "//evil.example/callback"),
)

ADDRESSES = (
    _row("a foreign jwks_uri", _FETCH, jwks_uri="https://evil.example/keys"),
    _row("a sector_identifier_uri inside the network", _FETCH, sector_identifier_uri="http://169.254.169.254/latest"),
    _row("request_uris inside the network", _FETCH, request_uris=["http://keycloak:9000/metrics"]),
    _row("a foreign backchannel_logout_uri", _FETCH, backchannel_logout_uri=EVIL),
    _row("a foreign post_logout_redirect_uris", _FETCH, post_logout_redirect_uris=[EVIL]),
    _row("a foreign logo_uri", _FETCH, logo_uri="https://evil.example/logo.png"),
    _row("a foreign tos_uri", _FETCH, tos_uri=EVIL),
    _row("a foreign policy_uri", _FETCH, policy_uri=EVIL),
    _row("a foreign client_uri", _FETCH, client_uri="https://evil.example/"),
    _row("a client_uri that runs", _CODE, client_uri="javascript:alert(1)"),
)

SHAPES = (
    _row("an unknown member", _SHAPE, protocol_mappers=[{"name": "sub"}]),
    _row("a member of RFC 8707", _SHAPE, resource="http://localhost:3000/mcp"),
    _row("a client_id of its own choice", "RFC 7591 section 3.1: the provider chooses it", client_id="mcp-native"),
    _row("a scope that is not there", "RFC 6749 section 3.3", scope="mcp:tools mcp:everything"),
    _row("a scope of the provider's own", "RFC 6749 section 3.3", scope="roles"),
    _row("a number for the redirect URIs", _SHAPE, redirect_uris=7),
    _row("an object for the name", _SHAPE, client_name={"a": 1}),
    _row("a string for the grants", _SHAPE, grant_types="authorization_code"),
    _row("a name of 10 000 letters", _SHAPE, client_name="a" * 10_000),
    _row("a redirect URI of 10 000 letters", _SHAPE, redirect_uris=[GOOD + "a" * 10_000]),
    _written(
        "the redirect URIs twice, the foreign one last",
        "RFC 8259 section 4",
        f'"redirect_uris":["{GOOD}"],"redirect_uris":["{EVIL}"]',
    ),
    Hostile("a list", _SHAPE, b"[]"),
    Hostile("no JSON", _SHAPE, b"redirect_uris=" + GOOD.encode()),
    Hostile("JSON that never closes", _SHAPE, b'{"redirect_uris":' + b"[" * 20_000),
)

REJECTED = (*REDIRECTS, *ADDRESSES, *SHAPES)
