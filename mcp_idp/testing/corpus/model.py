"""The rows of the corpus, and the requests that they consist of."""

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
HOST_NOT_ALLOWED = "host_not_allowed"


@dataclass(frozen=True, slots=True)
class Stage:
    """The server under attack: its provider and its settings.

    Attributes:
        name: its name in the table.
        issuer: creates the provider.
        settings: fields of `Settings`.
        access: members that replace those of the access file.
        good: creates a token that is accepted here, so that no row is rejected for an unrelated reason; None if no
            token is accepted.
    """

    name: str = "plain"
    issuer: Callable[[], Issuer] = Issuer
    settings: Mapping[str, Any] = field(default_factory=dict)
    access: Mapping[str, Any] = field(default_factory=dict)
    good: Callable[[Any], str] | None = Issuer.token


PLAIN = Stage()


def rpc(method: str, params: Mapping[str, Any]) -> bytes:
    """Returns a JSON-RPC request with the id 1."""
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

    Attributes:
        before: a request that is sent first; the request uses the session that it opens.
        crowd: requests that are sent before both; their responses do not matter.
        client: the address of the client.
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
        """Returns a copy with these attributes changed."""
        return replace(self, **changes)


def bearer(token: str) -> tuple[bytes, bytes]:
    """Returns the `Authorization` header of `token`."""
    # UTF-8, as a client would send characters outside ASCII.
    return b"authorization", b"Bearer " + token.encode()


def call(token: str | None, *more: tuple[bytes, bytes], hosts: tuple[bytes, ...] = (HOST,), **changes: Any) -> Request:
    """Returns a call of `whoami` as a client sends it, with `more` headers and with `changes` to the request."""
    authorization = () if token is None else (bearer(token),)
    headers = (*((b"host", host) for host in hosts), *_CALL, *authorization, *more)
    return Request(headers).but(**changes)


def in_session(opener: str, token: str, method: str = "POST") -> Request:
    """Returns a request with `token` in the session that the token `opener` opened."""
    opening = Request(((b"host", HOST), *_CALL[:2], bearer(opener)), INITIALIZE)
    headers = ((b"host", HOST), *_LEGACY_CALL, bearer(token))
    return Request(headers, LIST if method == "POST" else b"", method, before=opening)


Sent = str | Request | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One row of the corpus.

    Attributes:
        name: what is tried.
        source: the clause or the published advisory that it comes from.
        check: the label of the check that rejects it.
        send: creates a token, a request or the bytes of a connection, from the provider of the stage.
        status: the HTTP status of the response; 0 if the connection ends without one.
        challenge: the error code of the challenge; "" for a challenge without one, None without a challenge.
        message: the reason in the log (a reason, a code, the event or a part of the error); for the bytes of a
            connection, the code in the response body.
        stage: the server that it is sent to.
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
        """The check and the name; `check/` selects the rows of a check."""
        return f"{self.check}/ {self.name}"


def token(  # noqa: PLR0917 - a row's columns
    name: str, source: str, check: str, send: Callable[[Any], str], reason: TokenErrorReason, stage: Stage = PLAIN
) -> Attack:
    """Returns an attack with a token that must not verify."""
    return Attack(name=name, source=source, check=check, send=send, message=reason.value, stage=stage)


def unavailable(  # noqa: PLR0917 - a row's columns
    name: str, source: str, check: str, send: Callable[[Any], str], stage: Stage, fault: str
) -> Attack:
    """Returns an attack through the provider's responses: the token cannot be evaluated, so the server responds 503."""
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
