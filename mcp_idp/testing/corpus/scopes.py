"""Attacks on the scopes of tools: calls that hide that they require more scopes than their token has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mcp_idp.testing.corpus.model import META, Attack, Request, Stage, call, in_session, rpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.testing.issuer import Issuer

_WRITER_ROLES: dict[str, Any] = {"mcp_roles": ["mcp-writer", "mcp-admin"]}
_ONE, _EVERY = "MCP 2026-07-28, Scope Challenge Handling; RS-21", "MCP 2026-07-28, authorization; RS-18"
_AGREE = "MCP 2026-07-28, transports, headers; TR-01"


def _insufficient(name: str, source: str, send: Callable[[Issuer], Request], stage: Stage | None = None) -> Attack:
    return Attack(
        name=name,
        source=source,
        check="tool_scope",
        send=send,
        status=403,
        challenge="insufficient_scope",
        message="insufficient_scope",
        **({} if stage is None else {"stage": stage}),
    )


def _note(**params: Any) -> bytes:
    return rpc("tools/call", {"name": "note_add", "arguments": {"text": "x"}, "_meta": META, **params})


def _add_note(issuer: Issuer, *more: tuple[bytes, bytes], body: bytes = b"") -> Request:
    """Returns a call of `note_add` with `whoami` in its headers, and with a token that may only read."""
    return call(issuer.token(**_WRITER_ROLES), *more, body=body or _note())


def _legacy(issuer: Issuer) -> Request:
    return in_session(issuer.token(**_WRITER_ROLES), issuer.token(**_WRITER_ROLES)).but(body=_note())


def _session_of_broader_token(issuer: Issuer) -> Request:
    opener = issuer.token(scope="mcp:admin", **_WRITER_ROLES)
    return in_session(opener, issuer.token(**_WRITER_ROLES)).but(body=_note())


def _unversioned(issuer: Issuer) -> Request:
    request = _add_note(issuer)
    return request.but(headers=tuple(pair for pair in request.headers if not pair[0].startswith(b"mcp-")))


_TOOLS_IN_FILE = Stage(
    "tools by the file", access={"tools": {"whoami": ["mcp:admin"]}}, good=lambda i: i.token(scope="mcp:admin")
)
_LISTED = "own measurement: FastMCP's search transform runs any tool as call_tool"
_EXACT_NAME = "own analysis: an application may treat it as the same tool"


def _unlisted(  # noqa: PLR0917 - what differs
    name: str,
    source: str,
    body: bytes,
    stage: Stage = _TOOLS_IN_FILE,
    send: Any = None,
    message: str = "tool_not_listed",
) -> Attack:
    """Returns a call of a tool that is not listed; an application behind protect() might run one by that name."""
    return Attack(
        name=name,
        source=source,
        check="tool_listed",
        send=send or (lambda issuer: call(issuer.token(), body=body)),
        status=403,
        challenge=None,
        message=message,
        stage=stage,
    )


def _called(name: object, **params: Any) -> bytes:
    return rpc("tools/call", {"name": name, "arguments": {}, "_meta": META, **params})


def _other(what: str, method: str, **params: Any) -> Attack:
    """Returns a request for something other than a tool, while the access file lists tools."""
    body = rpc(method, {**params, "_meta": META})
    return _unlisted(f"{what} that is not listed", _UNKNOWN, body, message="not_listed")


_UNKNOWN = "own analysis: the middleware rejects what it cannot check"
_META_TOOL = _called("call_tool", arguments={"name": "whoami", "arguments": {}})

ATTACKS = (
    _insufficient("a tool beyond the token, another tool's name in the header", _AGREE, _add_note),
    _insufficient("a tool beyond the token in a session", _EVERY, _legacy),
    _insufficient(
        "a tool beyond the token in a session that a broader token has opened", _EVERY, _session_of_broader_token
    ),
    _insufficient("a tool beyond the token, without any header of the protocol", _EVERY, _unversioned),
    _insufficient(
        "a tool's name in escapes",
        "RFC 8259 section 8.3",
        lambda issuer: _add_note(issuer, body=_note().replace(b"note_add", b"note\\u005fadd")),
    ),
    _insufficient(
        "a tool beyond the token as a notification",
        "JSON-RPC 2.0 section 4.1",
        lambda issuer: _add_note(issuer, body=_note().replace(b'"id": 1, ', b"")),
    ),
    _insufficient(
        "a tool beyond the token with invalid arguments",
        _ONE,
        lambda issuer: _add_note(issuer, body=_note(arguments=[1])),
    ),
    _insufficient(
        "a tool that the access file puts out of reach",
        _ONE,
        lambda issuer: call(issuer.token(**_WRITER_ROLES)),
        _TOOLS_IN_FILE,
    ),
    _unlisted("a tool under the name of one that runs others", _LISTED, _META_TOOL),
    _unlisted(
        "a tool under the name of one that runs others, in a session",
        _LISTED,
        b"",
        send=lambda issuer: in_session(issuer.token(), issuer.token()).but(body=_META_TOOL),
    ),
    _unlisted(
        "a tool under the name of one that runs others, as a notification",
        "JSON-RPC 2.0 section 4.1",
        _META_TOOL.replace(b'"id": 1, ', b""),
    ),
    _unlisted(
        "a tool that is not listed where the list is empty",
        "own analysis: an empty list is a list",
        _META_TOOL,
        Stage("tools by an empty file", access={"tools": {}}),
    ),
    _unlisted("a tool's name in other capitals", "MCP 2026-07-28, tools: names are case-sensitive", _called("WhoAmI")),
    _unlisted("a tool's name with a trailing space", _EXACT_NAME, _called("whoami ")),
    _unlisted("a tool's name with the name of its server before it", _EXACT_NAME, _called("server_whoami")),
    _unlisted("a tool's name with a version suffix", _EXACT_NAME, _called("whoami@1.0")),
    _unlisted("a tool's name as a path", _EXACT_NAME, _called("tools/../whoami")),
    _unlisted("a tool's name with a homoglyph", "CVE-2021-42574", _called("wh\u043eami")),
    _unlisted("a tool's name with a full-width letter, equal once normalized", "UAX #15", _called("\uff57hoami")),
    _unlisted("a tool's name with a trailing null byte", "CWE-158", _called("whoami\x00")),
    _unlisted("a tool's name in a list", "JSON-RPC 2.0 section 4.2", _called(["whoami"])),
    _unlisted("a tool called without a name", "JSON-RPC 2.0 section 4.2", rpc("tools/call", {"tool": "whoami"})),
    _unlisted(
        "a tool called with parameters by position",
        "JSON-RPC 2.0 section 4.2",
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ["whoami", {}]}).encode(),
    ),
    _other("a resource", "resources/read", uri="file:///etc/passwd"),
    _other("a resource of another scheme's spelling", "resources/read", uri="NOTES://all"),
    _other("a subscription to a resource", "resources/subscribe", uri="file:///etc/passwd"),
    _other("a prompt", "prompts/get", name="whoami"),
    _other("the completion of a prompt", "completion/complete", ref={"type": "ref/prompt", "name": "whoami"}),
    _other("the result of a task", "tasks/result", taskId="1"),
    _other("an extension's method", "example.com/run", name="whoami"),
    _other("a method in other capitals", "Tools/Call", name="whoami", arguments={}),
    _other("a method with a trailing space", "tools/call ", name="whoami", arguments={}),
    Attack(
        name="a tool that no role of the user grants",
        source="own measurement: with a challenge, clients log in again at every call",
        check="role_needed",
        send=lambda issuer: call(issuer.token(), body=_note()),
        status=403,
        challenge=None,
        message="insufficient_role",
    ),
)
