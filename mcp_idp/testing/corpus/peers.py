"""Hostile servers and providers, as the commands `login`, `token`, `doctor`, `inspect` and `bootstrap` meet them.

A row replaces the response of one endpoint; all others respond as a server and a provider without faults. What must
hold is the same for every row: no password, secret, code or token goes to a host that the user did not name; the
output is bounded and has no control characters; the command ends by itself, with a message and not a traceback.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Body = Callable[[], Iterable[bytes]]
    Document = Mapping[str, Any]

RESOURCE = "/.well-known/oauth-protected-resource/mcp"
PROVIDER = "/.well-known/oauth-authorization-server"
REGISTRATION, AUTHORIZATION, LOGIN, TOKEN = "/registration", "/authorization", "/login", "/token"
DEVICE, KEYS, MCP, ADMIN = "/device", "/keys", "/mcp", "/admin/realms/mcp"
ADMIN_TOKEN = "/realms/master/protocol/openid-connect/token"
COMMANDS: Mapping[str, tuple[str, ...]] = {
    RESOURCE: ("login", "secret", "doctor"),
    PROVIDER: ("login", "secret", "doctor", "inspect"),
    REGISTRATION: ("login", "device"),
    AUTHORIZATION: ("login",),
    LOGIN: ("login",),
    TOKEN: ("login", "secret", "token", "device"),
    DEVICE: ("device",),
    KEYS: ("inspect", "doctor"),
    MCP: ("login", "doctor", "secret"),
    ADMIN: ("bootstrap",),
    ADMIN_TOKEN: ("bootstrap",),
}
"""The commands that request each endpoint. `secret` and `device` are `token` with a client secret, or a device code;
`login` and `token` log in with a password."""
CONTROLS = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202eevil\u2066\u2028\r\n\u200b"
_JSON = ("content-type", "application/json")
_LARGE = 500 * 1024 * 1024
_CHUNK = b" " * 65536


@dataclass(frozen=True, slots=True)
class Names:
    """The addresses in a row.

    Attributes:
        own: the server and the provider that the user named.
        elsewhere: another one, which must receive nothing secret.
    """

    own: str
    elsewhere: str


@dataclass(frozen=True, slots=True)
class PeerResponse:
    """A response, without Content-Length: its end is the end of the connection.

    Attributes:
        body: creates the chunks, of which there may be any number.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (_JSON,)
    body: Body = tuple


@dataclass(frozen=True, slots=True, kw_only=True)
class HostilePeer:
    """One row.

    Attributes:
        name: what is tried.
        source: the clause that it violates, or the class of fault.
        path: the endpoint.
        respond: creates its response.
    """

    name: str
    source: str
    path: str
    respond: Callable[[Names], PeerResponse]

    @property
    def id(self) -> str:
        """The endpoint and the name."""
        return f"{self.path}: {self.name}"


def documents(names: Names) -> dict[str, dict[str, Any]]:
    """Returns the documents of a server and a provider without faults, by endpoint."""
    own = names.own
    return {
        RESOURCE: {"resource": own + MCP, "authorization_servers": [own], "scopes_supported": ["mcp:tools"]},
        PROVIDER: {
            "issuer": own,
            "authorization_endpoint": own + AUTHORIZATION,
            "token_endpoint": own + TOKEN,
            "registration_endpoint": own + REGISTRATION,
            "device_authorization_endpoint": own + DEVICE,
            "jwks_uri": own + KEYS,
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
            "scopes_supported": ["mcp:tools"],
        },
        REGISTRATION: {
            "client_id": "the-client",
            "redirect_uris": ["http://127.0.0.1/callback"],
            "token_endpoint_auth_method": "none",
            "registration_client_uri": own + REGISTRATION + "/the-client",
            "registration_access_token": "the-registration-token",
        },
        TOKEN: {"access_token": "the-access-token", "token_type": "Bearer", "expires_in": 300, "scope": "mcp:tools"},
        DEVICE: {
            "device_code": "the-device-code",
            "user_code": "ABCD-EFGH",
            "verification_uri": own + "/activate",
            "verification_uri_complete": own + "/activate?user_code=ABCD-EFGH",
            "expires_in": 600,
            "interval": 1,
        },
        KEYS: {"keys": []},
        ADMIN_TOKEN: {"access_token": "the-admin-token", "expires_in": 300, "token_type": "Bearer"},
        ADMIN: {"realm": "mcp", "defaultRole": {"name": "default-roles-mcp", "id": "1"}, "attributes": {}},
    }


def as_json(value: Any) -> PeerResponse:
    """Returns a response with `value` as JSON."""
    return PeerResponse(body=lambda: [json.dumps(value).encode()])


def _raw(text: bytes, *headers: tuple[str, str], status: int = 200) -> Callable[[Names], PeerResponse]:
    return lambda _: PeerResponse(status, headers or (_JSON,), lambda: [text])


def _redirect(status: int, location: Callable[[Names], str]) -> Callable[[Names], PeerResponse]:
    return lambda names: PeerResponse(status, (("location", location(names)),))


def _endless(start: bytes, chunk: bytes) -> Callable[[Names], PeerResponse]:
    return lambda _: PeerResponse(body=lambda: chain([start], repeat(chunk, _LARGE // len(chunk))))


def _anywhere(path: str) -> dict[str, tuple[str, Callable[[Names], PeerResponse]]]:
    """Returns the responses that no endpoint should send."""
    bomb = gzip.compress(bytes(20 * 1024 * 1024))
    return {
        "a redirect to another server": ("A5", _redirect(302, lambda n: n.elsewhere + path)),
        "a redirect that repeats the request at another server": ("A5", _redirect(307, lambda n: n.elsewhere + path)),
        "a permanent redirect to another server": ("A5", _redirect(308, lambda n: n.elsewhere + path)),
        "a redirect to itself": ("RFC 9110 section 15.4", _redirect(307, lambda n: n.own + path)),
        "a redirect to a file": ("RFC 9110 section 15.4", _redirect(302, lambda _: "file:///etc/passwd")),
        "a redirect to no address": ("RFC 9110 section 15.4", _redirect(302, lambda _: "http://[")),
        "500 MB of white space": ("A13", _endless(b"", _CHUNK)),
        "500 MB in one string": ("A13", _endless(b'{"issuer":"', _CHUNK)),
        "500 MB of members": ("A13", _endless(b"{", b'"a":1,' * 10_000)),
        "a compressed body of 20 MB": ("A13", _raw(bomb, _JSON, ("content-encoding", "gzip"))),
        "a body of a compression that is not known": ("A13", _raw(b"{}", _JSON, ("content-encoding", "evil"))),
        "objects in objects": ("A13", _raw(b'{"a":' * 50_000 + b"1" + b"}" * 50_000)),
        "lists in lists": ("A13", _raw(b"[" * 100_000)),
        "a member twice": ("RFC 8259 section 4", _raw(b'{"issuer":"a","issuer":"b","client_id":"a","client_id":"b"}')),
        "a list": ("RFC 8259", _raw(b"[1,2]")),
        "a number": ("RFC 8259", _raw(b"7")),
        "null": ("RFC 8259", _raw(b"null")),
        "no JSON": ("RFC 8259", _raw(b"\x00\xff\x1b[2J<html>")),
        "nothing": ("RFC 8259", _raw(b"")),
        "a number of 100,000 digits": ("RFC 8259 section 6", _raw(b'{"expires_in":' + b"9" * 100_000 + b"}")),
        "an error that steers the terminal": (
            "A13",
            _raw(json.dumps({"error": CONTROLS, "error_description": CONTROLS * 2000}).encode(), status=400),
        ),
        "an error of the server": ("RFC 9110 section 15.6", _raw(CONTROLS.encode(errors="replace"), status=500)),
    }


def _values(names: Names) -> dict[str, Any]:
    """Returns what a member may hold instead of its value."""
    return {
        "null": None,
        "a number": 7,
        "an object": {"a": {"b": []}},
        "a list of lists": [[names.own], None, 7],
        "a number too large": 10**300,
        "another server": f"{names.elsewhere}/evil",
        "control characters": f"{names.own}/{CONTROLS}",
        "a script": "javascript:alert(1)",
        "a long text": "x" * 200_000,
    }


_FEW = ("null", "a number", "a list of lists")
_ANYWHERE_PATHS = (RESOURCE, PROVIDER, REGISTRATION, AUTHORIZATION, LOGIN, TOKEN, DEVICE, KEYS, MCP, ADMIN, ADMIN_TOKEN)


def _member(path: str, member: str, value: str) -> HostilePeer:
    def respond(names: Names) -> PeerResponse:
        return as_json({**documents(names)[path], member: _values(names)[value]})

    return HostilePeer(name=f"{member} is {value}", source="wrong member", path=path, respond=respond)


_NAMES = Names("http://own.example", "http://elsewhere.example")
RESPONSES = tuple(
    HostilePeer(name=name, source=source, path=path, respond=respond)
    for path in _ANYWHERE_PATHS
    for name, (source, respond) in _anywhere(path).items()
)
MEMBERS = tuple(
    _member(path, member, value)
    for path, document in documents(_NAMES).items()
    for member in document
    for value in _values(_NAMES)
    if path not in {KEYS, ADMIN} or value in _FEW
)


def _challenge(name: str, header: str) -> HostilePeer:
    respond = _raw(b"{}", ("www-authenticate", header), status=401)
    return HostilePeer(name=name, source="A12", path=MCP, respond=respond)


CHALLENGES = (
    _challenge("20,000 spaces in the challenge", f"Bearer{' ' * 20_000}!"),
    _challenge("20,000 commas in the challenge", f"Bearer{', ' * 10_000}!"),
    _challenge("20,000 backslashes in the challenge", 'Bearer a="' + "\\" * 20_000),
    _challenge("a parameter of 20,000 letters", f"Bearer {'a' * 20_000}"),
    _challenge("5,000 parameters", "Bearer " + "a=b," * 5_000),
    _challenge("a challenge that names a file", 'Bearer resource_metadata="file:///etc/passwd"'),
    _challenge("a challenge with C1 control characters", 'Bearer scope="\x9b31m\x84", resource_metadata="\x9b"'),
)


def _page(name: str, html: str) -> HostilePeer:
    respond = _raw(html.encode(), ("content-type", "text/html"))
    return HostilePeer(name=name, source="A12", path=AUTHORIZATION, respond=respond)


def _form(name: str, action: Callable[[Names], str], method: str = "post") -> HostilePeer:
    def respond(names: Names) -> PeerResponse:
        html = f'<form method={method} action="{action(names)}"><input name=u><input type=password name=p></form>'
        return PeerResponse(headers=(("content-type", "text/html"),), body=lambda: [html.encode()])

    return HostilePeer(name=name, source="A5", path=AUTHORIZATION, respond=respond)


PAGES = (
    _form("a form that sends the password elsewhere", lambda n: f"{n.elsewhere}/login"),
    _form("the same without a scheme", lambda n: n.elsewhere.removeprefix("http:")),
    _form("the same with the right server as user", lambda n: f"{n.own}@{n.elsewhere.removeprefix('http://')}/"),
    _form("the same with a backslash", lambda n: f"{n.own}\\@{n.elsewhere.removeprefix('http://')}/"),
    _form("a form to a script", lambda _: "javascript:alert(1)"),
    _form("a form to no address", lambda _: "http://["),
    _form("a form that sends the password in the URL", lambda n: f"{n.own}/login", "get"),
    _page("30,000 tags that do not end", "<a " * 30_000),
    _page("30,000 comments that do not end", "<!--" * 30_000),
    _page("tags in tags, and ends of others", "<a>" * 50_000 + "</b>" * 50_000),
    _page("a character reference of 100,000 digits", f"<form method=post action='&#{'9' * 100_000};'>&#{'9' * 9000};"),
    _page("a title with control characters", f"<title>{CONTROLS.encode(errors='ignore').decode()}</title>"),
)


REQUEST_ID = "the id of the request"
"""Is replaced in a response by the id of the JSON-RPC request."""


def _rpc(name: str, **members: Any) -> HostilePeer:
    result = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **members}
    document = {"jsonrpc": "2.0", "id": REQUEST_ID, "result": result}
    return HostilePeer(name=name, source="MCP", path=MCP, respond=lambda _: as_json(document))


_DISCOVERED: Mapping[str, Any] = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
SERVERS = (
    _rpc("tools whose names steer the terminal", **_DISCOVERED, tools=[{"name": CONTROLS, "inputSchema": {}}]),
    _rpc("a list of tools that goes on for ever", **_DISCOVERED, tools=[], nextCursor="again"),
    _rpc("a list of 20,000 tools", **_DISCOVERED, tools=[{"name": f"t{n}", "inputSchema": {}} for n in range(20_000)]),
    _rpc("tools without a schema", **_DISCOVERED, tools=[{"name": "greet"}]),
    _rpc("tools that are texts", **_DISCOVERED, tools="all"),
    _rpc("a schema of wrong types", **_DISCOVERED, tools=[{"name": "greet", "inputSchema": {"required": 7}}]),
    _rpc("versions that do not exist", supportedVersions=[CONTROLS], capabilities={}),
    HostilePeer(
        name="a JSON-RPC error that steers the terminal",
        source="A13",
        path=MCP,
        respond=lambda _: as_json(
            {"jsonrpc": "2.0", "id": REQUEST_ID, "error": {"code": -1, "message": CONTROLS * 500}}
        ),
    ),
    HostilePeer(
        name="an event stream of 500 MB",
        source="A13",
        path=MCP,
        respond=lambda _: PeerResponse(
            headers=(("content-type", "text/event-stream"),),
            body=lambda: repeat(b"data: {}\n\n" * 1000, _LARGE // 10_000),
        ),
    ),
)
FIRST = (*RESPONSES, *CHALLENGES)
"""The rows of the server that are sent before any login; its other rows are responses to a request with a token."""
PEERS = (*RESPONSES, *MEMBERS, *CHALLENGES, *PAGES, *SERVERS)
