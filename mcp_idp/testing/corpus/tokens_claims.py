"""Attacks through the encoding of claims, and through what they grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.errors import TokenErrorReason
from mcp_idp.testing.corpus.model import Attack, token
from mcp_idp.testing.corpus.token_forge import claiming_text, forged
from mcp_idp.testing.issuer import RESOURCE, Issuer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
import json

from mcp_idp.testing.corpus.tokens_issuer_and_audience import claims


def _text(extra: str) -> Callable[[Issuer], str]:
    return lambda issuer: claiming_text(issuer, extra)


def _whole(payload: bytes) -> Callable[[Issuer], str]:
    return lambda issuer: forged(issuer, payload)


def claims_of(issuer: Issuer) -> bytes:
    """The claims of a good token as JSON."""
    return json.dumps(issuer.claims()).encode()


MALFORMED = TokenErrorReason.CLAIMS_MALFORMED


_TEXT = (
    token(
        "a claim twice, the second one better",
        "RFC 7519 section 4; RFC 8259 section 4",
        "duplicate_members",
        _text(f'"aud":"{RESOURCE}"'),
        MALFORMED,
    ),
    token(
        "a claim twice inside another claim",
        "RFC 8259 section 4",
        "duplicate_members",
        _text('"x":{"a":1,"a":2}'),
        MALFORMED,
    ),
    token("NaN in a claim", "RFC 8259 section 6", "no_constants", _text('"x":NaN'), MALFORMED),
    token("minus infinity in a claim", "RFC 8259 section 6", "no_constants", _text('"x":[-Infinity]'), MALFORMED),
    token(
        "an integer of more digits than Python reads",
        "CVE-2020-10735",
        "json_errors",
        _text('"x":' + "9" * 5000),
        MALFORMED,
    ),
    token(
        "claims nested deeper than the parser goes",
        "RFC 8259 section 9",
        "json_errors",
        _text('"x":' + "[" * 5500),
        MALFORMED,
    ),
    token("claims that are a list", "RFC 7519 section 7.2", "json_object", _whole(b"[]"), MALFORMED),
    token(
        "claims after a byte order mark",
        "RFC 8259 section 8.1",
        "json_errors",
        lambda i: forged(i, b"\xef\xbb\xbf" + claims_of(i)),
        MALFORMED,
    ),
    token(
        "claims with data after the object",
        "RFC 8259 section 2",
        "json_errors",
        lambda i: forged(i, claims_of(i) + b"{}"),
        MALFORMED,
    ),
    token(
        "claims in UTF-16",
        "RFC 7519 section 7.2",
        "utf8_only",
        lambda i: forged(i, claims_of(i).decode().encode("utf-16-le")),
        MALFORMED,
    ),
    token(
        "claims with bytes that are not UTF-8",
        "RFC 3629 section 3",
        "utf8_only",
        lambda i: forged(i, claims_of(i).replace(b"iss", b"\xc0\xaf")),
        MALFORMED,
    ),
    token(
        "sub as a list with a victim in it",
        "own analysis: an attacker who may set a mapper (S3); RFC 7519 section 4.1.2",
        "text_claims",
        claims(sub=["4f0c"]),
        MALFORMED,
    ),
    token(
        "azp as a list with a trusted client in it",
        "own analysis: an attacker who may set a mapper (S3)",
        "text_claims",
        claims(azp=["client-1"]),
        MALFORMED,
    ),
    token("sub that is too long", "RFC 7519 section 4.1.2", "text_claims", claims(sub="s" * 3000), MALFORMED),
    token("sub that is empty", "RFC 7519 section 4.1.2", "text_claims", claims(sub=""), MALFORMED),
    token(
        "scope as an object with our scopes as keys",
        "RFC 9068 section 2.2.3",
        "text_lists",
        claims(scope={"mcp:tools": True}),
        MALFORMED,
    ),
    token("roles as one string", "own analysis", "text_lists", claims(mcp_roles="mcp-admin"), MALFORMED),
)


def _scope(name: str, source: str, check: str, code: str, challenge: str | None, **changes: Any) -> Attack:
    return Attack(
        name=name, source=source, check=check, send=claims(**changes), status=403, challenge=challenge, message=code
    )


LOW, NEEDED = "insufficient_scope", "scope_needed"


_SCOPES = (
    _scope(
        "a token of this resource without its scope", "RFC 6750 section 3.1; RS-19", NEEDED, LOW, LOW, scope="openid"
    ),
    _scope("no scope at all", "RFC 6750 section 3.1", NEEDED, LOW, LOW, scope=...),
    _scope("a scope that begins with ours", "RFC 6749 section 3.3", NEEDED, LOW, LOW, scope="mcp:tools2"),
    _scope("a scope in capitals", "RFC 6749 section 3.3", NEEDED, LOW, LOW, scope="MCP:TOOLS"),
    _scope(
        "our scope after white space other than a space",
        "RFC 6749 section 3.3",
        NEEDED,
        LOW,
        LOW,
        scope="openid\tmcp:tools\u00a0",
    ),
    _scope("a wildcard for a scope", "RFC 6749 section 3.3", NEEDED, LOW, LOW, scope="mcp:* *"),
    _scope(
        "a user without a role here",
        "RS-19",
        "role_needed",
        "insufficient_role",
        None,
        scope="openid",
        mcp_roles=["x"],
    ),
)


_ACTORS: Mapping[str, Any] = {
    "an actor that is a text": "agent-1",
    "an actor that is a list": [{"sub": "agent-1"}],
    "an actor that is true": True,
    "an actor that is 0": 0,
    "an actor of nothing": {},
    "an actor without an identifier": {"email": "agent@example.com"},
    "an actor with an issuer only": {"iss": "https://login.example.com"},
    "an actor whose sub is a list": {"sub": ["agent-1"]},
    "an actor whose sub is empty": {"sub": ""},
    "an actor whose sub is null": {"sub": None},
    "an actor whose sub is endless": {"sub": "a" * 5000},
    "an actor with an issuer that is a number": {"sub": "agent-1", "iss": 1},
    "an actor within an actor only": {"act": {"sub": "agent-1"}},
}
_DELEGATION = tuple(
    token(name, "RFC 8693 section 4.1", "actor", claims(act=act), MALFORMED) for name, act in _ACTORS.items()
)


ATTACKS = (*_TEXT, *_SCOPES, *_DELEGATION)
