"""What an attack is, as data, and the requests it is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mcp_idp.testing.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcp_idp.errors import TokenErrorReason

    Headers = tuple[tuple[bytes, bytes], ...]

MODERN = "2026-07-28"
BOTH = "application/json, text/event-stream"
HOST = b"localhost:3000"
LEGACY = b"2025-06-18"
NO_CREDENTIALS = "unauthenticated_request"
FOREIGN_HOST = "host_not_allowed"


@dataclass(frozen=True, slots=True)
class Stage:
    """The server that is attacked: its provider and its settings.

    Attributes:
        name: for the table.
        issuer: makes the provider.
        settings: of `Settings`, in which `access` is not: members laid over the access file.
        good: what passes here, so that no row is refused for a reason that is none of its own; None where nothing does.
    """

    name: str = "plain"
    issuer: Callable[[], Issuer] = Issuer
    settings: Mapping[str, Any] = field(default_factory=dict)
    access: Mapping[str, Any] = field(default_factory=dict)
    good: Callable[[Any], str] | None = Issuer.token


PLAIN = Stage()


def rpc(method: str, params: Mapping[str, Any]) -> bytes:
    """A JSON-RPC request with the id 1."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
WHOAMI = rpc("tools/call", {"name": "whoami", "arguments": {}, "_meta": META})
LIST = rpc("tools/list", {})
INITIALIZE = rpc(
    "initialize",
    {"protocolVersion": LEGACY.decode(), "capabilities": {}, "clientInfo": {"name": "client", "version": "1"}},
)
_CALL: Headers = (
    (b"content-type", b"application/json"),
    (b"accept", BOTH.encode()),
    (b"mcp-protocol-version", MODERN.encode()),
    (b"mcp-method", b"tools/call"),
    (b"mcp-name", b"whoami"),
)
_LEGACY_CALL: Headers = (*_CALL[:2], (b"mcp-protocol-version", LEGACY))


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, byte for byte.

    `before` is sent first, and its session is then used. `crowd` is sent before that, whatever is answered. `client` is
    the address that it comes from.
    """

    headers: Headers
    body: bytes = WHOAMI
    method: str = "POST"
    path: str = "/mcp"
    query: bytes = b""
    before: Request | None = None
    crowd: tuple[Request, ...] = ()
    client: str = "127.0.0.1"

    def but(self, **changes: Any) -> Request:
        """The same request with these attributes changed."""
        return replace(self, **changes)


def bearer(token: str) -> tuple[bytes, bytes]:
    """The `Authorization` header of `token`."""
    # UTF-8: what is not ASCII arrives as a client would send it.
    return b"authorization", b"Bearer " + token.encode()


def call(token: str | None, *more: tuple[bytes, bytes], hosts: tuple[bytes, ...] = (HOST,), **changes: Any) -> Request:
    """A call of `whoami` as a client makes it, with `more` headers, and with other parts in place of its own."""
    authorization = () if token is None else (bearer(token),)
    headers = (*((b"host", host) for host in hosts), *_CALL, *authorization, *more)
    return Request(headers).but(**changes)


def in_session(opener: str, token: str, method: str = "POST") -> Request:
    """A request with `token` in the session that `opener` has opened."""
    opening = Request(((b"host", HOST), *_CALL[:2], bearer(opener)), INITIALIZE)
    headers = ((b"host", HOST), *_LEGACY_CALL, bearer(token))
    return Request(headers, LIST if method == "POST" else b"", method, before=opening)


Sent = str | Request | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One row.

    Attributes:
        name: a sentence: what is tried.
        source: the clause or the published advisory that it comes from.
        check: a label for the check that stops it.
        send: makes it, from a provider that really signs: a token, a request, or the bytes of a connection.
        status: of the answer; 0 where the connection ends without one.
        challenge: the error code of the challenge; "" in a challenge without one, None without a challenge.
        message: why, in the log (a reason, a code, the line or a part of the fault); on the wire, the code in the body.
        stage: the server it is sent to.
    """

    name: str
    source: str
    check: str
    send: Callable[[Any], Sent]
    status: int = 401
    challenge: str | None = "invalid_token"
    message: str = ""
    stage: Stage = PLAIN

    @property
    def id(self) -> str:
        """The check, then the name: a check's rows are chosen by `check/`."""
        return f"{self.check}/ {self.name}"


def token(  # noqa: PLR0917 - a row's columns
    name: str, source: str, check: str, send: Callable[[Any], str], reason: TokenErrorReason, stage: Stage = PLAIN
) -> Attack:
    """An attack by a token that must not verify."""
    return Attack(name=name, source=source, check=check, send=send, message=reason.value, stage=stage)


def unavailable(  # noqa: PLR0917 - a row's columns
    name: str, source: str, check: str, send: Callable[[Any], str], stage: Stage, fault: str
) -> Attack:
    """An attack on what the provider says: the answer is then not known, so nobody is let in or sent away."""
    return Attack(
        name=name,
        source=source,
        check=check,
        send=send,
        status=503,
        challenge=None,
        message=fault,
        stage=stage,
    )
