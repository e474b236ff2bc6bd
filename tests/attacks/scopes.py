"""Attacks on the scopes of tools: calls that need more than their token has, made to look as if they did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.attacks.attack import META, Attack, Request, Stage, call, in_session, rpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.issuer import Issuer

_MAY_WRITE: dict[str, Any] = {"mcp_roles": ["mcp-writer", "mcp-admin"]}
_ONE, _EVERY = "MCP 2026-07-28, Scope Challenge Handling; RS-21", "MCP 2026-07-28, authorization; RS-18"
_AGREE = "MCP 2026-07-28, transports, headers; TR-01"


def _beyond(name: str, source: str, send: Callable[[Issuer], Request], stage: Stage | None = None) -> Attack:
    return Attack(
        name=name,
        source=source,
        check="tool_scope",
        send=send,
        status=403,
        challenge="insufficient_scope",
        says="insufficient_scope",
        **({} if stage is None else {"stage": stage}),
    )


def _note(**params: Any) -> bytes:
    return rpc("tools/call", {"name": "note_add", "arguments": {"text": "x"}, "_meta": META, **params})


def _adding(issuer: Issuer, *more: tuple[bytes, bytes], body: bytes = b"") -> Request:
    """A call of `note_add` that says `whoami` in its headers, with a token that may read."""
    return call(issuer.token(**_MAY_WRITE), *more, body=body or _note())


def _legacy(issuer: Issuer) -> Request:
    return in_session(issuer.token(**_MAY_WRITE), issuer.token(**_MAY_WRITE)).but(body=_note())


def _broadly_opened(issuer: Issuer) -> Request:
    opener = issuer.token(scope="mcp:admin", **_MAY_WRITE)
    return in_session(opener, issuer.token(**_MAY_WRITE)).but(body=_note())


def _unversioned(issuer: Issuer) -> Request:
    request = _adding(issuer)
    return request.but(headers=tuple(pair for pair in request.headers if not pair[0].startswith(b"mcp-")))


ATTACKS = (
    _beyond("a tool beyond the token, another tool's name in the header", _AGREE, _adding),
    _beyond("a tool beyond the token in a session", _EVERY, _legacy),
    _beyond("a tool beyond the token in a session that a broader token has opened", _EVERY, _broadly_opened),
    _beyond("a tool beyond the token, without any header of the protocol", _EVERY, _unversioned),
    _beyond(
        "a tool's name in escapes",
        "RFC 8259 section 8.3",
        lambda issuer: _adding(issuer, body=_note().replace(b"note_add", b"note\\u005fadd")),
    ),
    _beyond(
        "a tool beyond the token as a notification",
        "JSON-RPC 2.0 section 4.1",
        lambda issuer: _adding(issuer, body=_note().replace(b'"id": 1, ', b"")),
    ),
    _beyond(
        "a tool beyond the token with arguments that it does not take",
        _ONE,
        lambda issuer: _adding(issuer, body=_note(arguments=[1])),
    ),
    _beyond(
        "a tool that the access file puts out of reach",
        _ONE,
        lambda issuer: call(issuer.token(**_MAY_WRITE)),
        Stage(
            "tools by the file", access={"tools": {"whoami": ["mcp:admin"]}}, good=lambda i: i.token(scope="mcp:admin")
        ),
    ),
    Attack(
        name="a tool that no role of the person brings",
        source="ours, measured: with a challenge, clients log in again at every call",
        check="role_needed",
        send=lambda issuer: call(issuer.token(), body=_note()),
        status=403,
        challenge=None,
        says="insufficient_role",
    ),
)
