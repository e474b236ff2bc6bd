"""Hostile registrations that aim at the registrar itself: each is refused, or forwarded without its hostile part."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

LOOPBACK = "http://127.0.0.1:33333/callback"
EVIL = "https://evil.example/callback"
_GOOD = json.dumps({"redirect_uris": [LOOPBACK]}).encode()
_METADATA, _REDIRECT = (400, "invalid_client_metadata"), (400, "invalid_redirect_uri")
_TYPE, _LENGTH, _SIZE = ((status, "invalid_client_metadata") for status in (415, 411, 413))

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostileRegistration:
    """One row.

    Attributes:
        name: what is tried.
        source: the clause or the finding that it comes from.
        body: the body.
        types: the Content-Type headers.
        headers: further headers; a Content-Length in place of the true one.
        refused: the status and the error code; None if the document is forwarded.
        member: the member that the error text names.
        forwarded: for a document that is forwarded, what it is without the hostile part.
    """

    name: str
    source: str
    body: bytes = _GOOD
    types: tuple[bytes, ...] = (b"application/json",)
    headers: Headers = ()
    refused: tuple[int, str] | None = None
    member: str = ""
    forwarded: dict[str, Any] | None = None


_PORTLESS = {"redirect_uris": [LOOPBACK, "http://127.0.0.1/callback"]}
_SHAPE, _FRAMING = "RFC 8259 sections 4 and 8", "RFC 9112 section 6.3"


def _uri(name: str, uri: Any, source: str = "RFC 9700 section 4.1") -> HostileRegistration:
    body = json.dumps({"redirect_uris": [LOOPBACK, uri]}).encode()
    return HostileRegistration(name=name, source=source, body=body, refused=_REDIRECT, member="redirect_uris[1]")


def _bytes(name: str, body: bytes, source: str = _SHAPE, refused: tuple[int, str] = _METADATA) -> HostileRegistration:
    return HostileRegistration(name=name, source=source, body=body, refused=refused, member="document")


def _type(name: str, *types: bytes) -> HostileRegistration:
    return HostileRegistration(
        name=name, source="Fetch standard: a page sends these without a preflight", types=types, refused=_TYPE
    )


def _framing(name: str, *headers: tuple[bytes, bytes], refused: tuple[int, str] = _LENGTH) -> HostileRegistration:
    return HostileRegistration(name=name, source=_FRAMING, headers=headers, refused=refused)


def _member(name: str, member: str, value: Any, refused: tuple[int, str] = _METADATA) -> HostileRegistration:
    body = json.dumps({"redirect_uris": [LOOPBACK], member: value}).encode()
    return HostileRegistration(name=name, source="RFC 7591 section 5", body=body, refused=refused, member=member)


def _narrowed(name: str, kept: dict[str, Any] | None = None, /, **members: Any) -> HostileRegistration:
    body = json.dumps({"redirect_uris": [LOOPBACK], **members}).encode()
    return HostileRegistration(
        name=name, source="RFC 7591 section 5", body=body, forwarded={**_PORTLESS, **(kept or {})}
    )


REGISTRATIONS = (
    # redirect URIs: one foreign one among good ones
    _uri("a foreign URI after a good one", EVIL),
    _uri("localhost as a user name", "http://localhost@evil.example/callback"),
    _uri("localhost and a port as a user name", "http://localhost:80@evil.example/callback"),
    _uri("a host that begins with a loopback address", "http://127.0.0.1.evil.example/callback"),
    _uri("a port that is a host", "http://localhost:80.evil.example/callback"),
    _uri("a negative port", "http://localhost:-1/callback"),
    _uri("an escaped slash in the authority", "http://localhost%2f@evil.example/callback"),
    _uri("a backslash", "http://localhost\\@evil.example/callback"),
    _uri("a fragment", "http://localhost:7001/callback#@evil.example"),
    _uri("a query that the login could extend", "http://localhost:7001/callback?next=https://evil.example"),
    _uri("a wildcard", "http://localhost:7001/*"),
    _uri("a wildcard as the port", "http://localhost:*/callback"),
    _uri("a line break after a good URI", LOOPBACK + "\n"),
    _uri("a line break before a good URI", "\n" + LOOPBACK),
    _uri("a NUL after a good URI", LOOPBACK + "\0"),
    _uri("digits of another script as the port", "http://localhost:\u0667\u0660\u0660\u0661/callback"),
    _uri("a host in full-width letters", "http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54:7001/callback"),
    _uri("capitals in the scheme", "HTTP://localhost:7001/callback"),
    _uri("https on loopback", "https://localhost:7001/callback"),
    _uri("another loopback address", "http://127.0.0.2:7001/callback"),
    _uri("loopback as a number", "http://2130706433:7001/callback"),
    _uri("an IPv4-mapped loopback address", "http://[::ffff:127.0.0.1]:7001/callback"),
    _uri("a script", "javascript:alert(1)"),
    _uri("a URI longer than a column", "http://localhost:7001/" + "a" * 255),
    _uri("a list in the list", [LOOPBACK]),
    _uri("an object in the list", {"uri": LOOPBACK}),
    _uri("null in the list", None),
    _uri("a number in the list", 7001),
    _member("too many URIs", "redirect_uris", [LOOPBACK] * 21, _REDIRECT),
    _member("no URI", "redirect_uris", [], _REDIRECT),
    _member("one URI as a text", "redirect_uris", LOOPBACK, _REDIRECT),
    _member("an object of URIs", "redirect_uris", {"0": EVIL}, _REDIRECT),
    _member("null for the URIs", "redirect_uris", None, _REDIRECT),
    _member("a foreign URI after a logout", "post_logout_redirect_uris", [EVIL], _REDIRECT),
    # the document
    _bytes(
        "a member twice, the foreign one last",
        b'{"redirect_uris":["%s"],"redirect_uris":["%s"]}' % (LOOPBACK.encode(), EVIL.encode()),
    ),
    _bytes(
        "a member twice, one name escaped",
        b'{"redirect_uris":["%s"],"redirect\\u005furis":["%s"]}' % (LOOPBACK.encode(), EVIL.encode()),
    ),
    _bytes(
        "a member twice in an object inside",
        b'{"redirect_uris":["%s"],"jwks":{"keys":[],"keys":[]}}' % LOOPBACK.encode(),
    ),
    _bytes("a byte order mark", b"\xef\xbb\xbf" + _GOOD),
    _bytes("a second document", _GOOD + _GOOD),
    _bytes("trailing text", _GOOD + b"x"),
    _bytes("a trailing comma", _GOOD[:-1] + b",}"),
    _bytes("a comment", b"/**/" + _GOOD),
    _bytes("UTF-16", _GOOD.decode().encode("utf-16")),
    _bytes("UTF-16 without a mark", _GOOD.decode().encode("utf-16-le")),
    _bytes("UTF-32", _GOOD.decode().encode("utf-32")),
    _bytes("UTF-7", b"+AHs-" + _GOOD[1:]),
    _bytes("bytes that are not UTF-8", _GOOD[:-1] + b',"client_name":"\xff"}'),
    _bytes("half of a surrogate pair", _GOOD[:-1] + b',"client_name":"\\ud83d"}'),
    _bytes("NaN", _GOOD[:-1] + b',"default_max_age":NaN}'),
    _bytes("a list", b"[" + _GOOD + b"]"),
    _bytes("null", b"null"),
    _bytes("nothing", b""),
    _bytes("brackets that never close", b'{"redirect_uris":' + b"[" * 20_000),
    _bytes("more values than a registration has", _GOOD[:-1] + b',"contacts":[' + b'"",' * 3000 + b'""]}'),
    _bytes("more than 64 kB, mostly a name", _GOOD[:-1] + b',"client_name":"' + b"a" * 66_000 + b'"}', "memory", _SIZE),
    _bytes("more than 64 kB of white space", _GOOD + b" " * 66_000, "memory", _SIZE),
    # the type and the framing
    _type("no type"),
    _type("plain text", b"text/plain"),
    _type("a form", b"application/x-www-form-urlencoded"),
    _type("XML", b"application/xml"),
    _type("two types", b"application/json", b"text/plain"),
    _type("two types in one header", b"application/json, text/plain"),
    _type("JSON as a parameter", b"text/plain; x=application/json"),
    _type("another character set", b"application/json; charset=utf-16"),
    _type("another JSON type", b"application/json-seq"),
    _framing("a chunked body", (b"transfer-encoding", b"chunked")),
    _framing(
        "a length and a transfer coding", (b"content-length", b"%d" % len(_GOOD)), (b"transfer-encoding", b"chunked")
    ),
    _framing(
        "an unknown transfer coding", (b"content-length", b"%d" % len(_GOOD)), (b"transfer-encoding", b"xchunked")
    ),
    _framing("two lengths", (b"content-length", b"%d" % len(_GOOD)), (b"content-length", b"1")),
    _framing("a signed length", (b"content-length", b"+%d" % len(_GOOD))),
    _framing("a length over the bound", (b"content-length", b"70000"), refused=_SIZE),
    _framing(
        "a compressed body", (b"content-length", b"%d" % len(_GOOD)), (b"content-encoding", b"gzip"), refused=_TYPE
    ),
    # smuggled members
    _member("an id of its choice", "client_id", "mcp-native"),
    _member("keys at a foreign address", "jwks_uri", EVIL),
    _member("requests at a foreign address", "request_uris", [EVIL]),
    _member("a foreign sector identifier", "sector_identifier_uri", EVIL),
    _member("a foreign logout page in a frame", "frontchannel_logout_uri", EVIL),
    _member("a foreign address that Keycloak calls", "backchannel_logout_uri", EVIL),
    _member("another foreign address that Keycloak calls", "backchannel_client_notification_endpoint", EVIL),
    _member("a foreign page that begins logins", "initiate_login_uri", EVIL),
    _member("an object as the authentication", "token_endpoint_auth_method", {"$ne": 1}),
    _member("a name that is a list", "client_name", ["a"]),
    _member("only a grant without a user", "grant_types", ["client_credentials"]),
    _member("grants as a text", "grant_types", "authorization_code"),
    _member("only the implicit flow", "response_types", ["token"]),
    _narrowed(
        "members of Keycloak's own representation",
        protocolMappers=[{"name": "sub"}],
        attributes={"a": "b"},
        fullScopeAllowed=True,
        consentRequired=False,
        serviceAccountsEnabled=True,
        redirectUris=["*"],
        rootUrl=EVIL,
        webOrigins=["*"],
    ),
    _narrowed("names that differ in case", Redirect_Uris=[EVIL], JWKS_URI=EVIL, CLIENT_ID="mcp-native"),
    _narrowed("names with a language", **{"client_name#ja": "x", "redirect_uris#x": [EVIL], "logo_uri#de": EVIL}),
    _narrowed(
        "members of a response",
        client_secret="s",
        registration_access_token="t",
        registration_client_uri=EVIL,
        client_id_issued_at=1,
    ),
    _narrowed("pages that the consent page would show", logo_uri=EVIL, tos_uri=EVIL, policy_uri=EVIL, client_uri=EVIL),
    _narrowed("a home page with a known host as its user", client_uri="https://github.com@evil.example/"),
    _narrowed("a home page with a backslash", client_uri="https://github.com\\@evil.example/"),
    _narrowed("a scope that is no text", scope=["mcp:admin"]),
    _narrowed("every scope", scope="mcp:tools mcp:admin offline_access openid roles"),
    _narrowed(
        "grants without a user besides the good one",
        {"grant_types": ["authorization_code"]},
        grant_types=["authorization_code", "client_credentials", "password", "implicit", "urn:x"],
    ),
    _narrowed(
        "a flow that shows tokens in the URL bar", {"response_types": ["code"]}, response_types=["code", "token"]
    ),
    _narrowed("128 emoji, which are 256 units", {"client_name": "\U0001f600" * 127}, client_name="\U0001f600" * 128),
    _narrowed("control characters in the name", {"client_name": "ab"}, client_name="a\0\r\n\x1b\x9bb"),
)
