"""Attacks through false introspection responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.errors import TokenErrorReason
from mcp_idp.providers import PROFILES
from mcp_idp.testing.corpus.model import Attack, Stage, token, unavailable
from mcp_idp.testing.introspecting_issuer import MODE, Introspecting, Reply
from mcp_idp.testing.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import Callable
from mcp_idp.testing.corpus.issuers import OTHER

OPAQUE = {"provider": PROFILES["google"]}


def _introspection_stage(name: str, reply: Callable[[Introspecting], Any], **settings: Any) -> Stage:
    def make() -> Issuer:
        issuer = Introspecting()
        issuer.message = lambda sent: reply(issuer) if sent != issuer.token(sub="good") else issuer.active(sub="good")
        return issuer

    return Stage(name, make, settings={**MODE, **settings}, good=lambda i: i.token(sub="good"))


def _false_response(
    name: str, source: str, check: str, reply: Callable[[Introspecting], Any], reason: TokenErrorReason | str
) -> Attack:
    """Returns an attack by an introspection response that must not make its (correctly signed) token valid."""
    stage = _introspection_stage("a false introspection response", reply)
    if not isinstance(reason, TokenErrorReason):
        return unavailable(name, source, check, Issuer.token, stage, reason)
    return token(name, source, check, Issuer.token, reason, stage)


NO_ACTIVE_MEMBER = "no boolean member active"
ATTACKS = (
    _false_response(
        "active as a string",
        "RFC 7662 section 2.2",
        "active_is_true",
        lambda i: i.active(active="true"),
        NO_ACTIVE_MEMBER,
    ),
    _false_response(
        "active as a number", "RFC 7662 section 2.2", "active_is_true", lambda i: i.active(active=1), NO_ACTIVE_MEMBER
    ),
    _false_response(
        "active left out", "RFC 7662 section 2.2", "active_is_true", lambda i: i.active(active=...), NO_ACTIVE_MEMBER
    ),
    _false_response(
        "active twice",
        "RFC 8259 section 4",
        "duplicate_members",
        lambda i: b'{"active":false,' + str(i.active()).replace("'", '"').replace("True", "true")[1:].encode(),
        "a member occurs twice",
    ),
    _false_response(
        "inactive, with all members of an active response",
        "RFC 7662 section 2.2",
        "inactive",
        lambda i: i.active(active=False),
        TokenErrorReason.INACTIVE,
    ),
    _false_response(
        "a response about another user",
        "RFC 7662 section 4",
        "response_subject",
        lambda i: i.active(sub="root"),
        "about another subject",
    ),
    _false_response(
        "a response for another resource",
        "RFC 7662 section 4",
        "audience",
        lambda i: i.active(aud="account"),
        TokenErrorReason.AUDIENCE,
    ),
    _false_response(
        "a response without a resource", "RS-12", "audience", lambda i: i.active(aud=...), TokenErrorReason.AUDIENCE
    ),
    _false_response(
        "a response that has expired",
        "RFC 7662 section 4",
        "expired",
        lambda i: i.active(exp=i.claims()["iat"] - 60),
        TokenErrorReason.EXPIRED,
    ),
    _false_response(
        "a response of another issuer",
        "RFC 7662 section 2.2",
        "issuer",
        lambda i: i.active(iss=OTHER),
        TokenErrorReason.ISSUER,
    ),
    _false_response(
        "a response for a DPoP token",
        "RFC 9449 section 6.2",
        "dpop_answer",
        lambda i: i.active(token_type="DPoP"),
        TokenErrorReason.SENDER_BOUND,
    ),
    _false_response(
        "a response for an unknown token type",
        "RFC 6749 section 7.1",
        "response_token_type",
        lambda i: i.active(token_type="mac"),
        TokenErrorReason.TOKEN_TYPE,
    ),
    _false_response(
        "a response for a refresh token",
        "RFC 7662 section 4",
        "token_type",
        lambda i: i.active(typ="Refresh"),
        TokenErrorReason.TOKEN_TYPE,
    ),
    _false_response(
        "a redirect to a server of the attacker",
        "RFC 7662 section 4",
        "response_status",
        lambda _: Reply(b"{}", 302, {"location": "http://attacker.example/"}),
        "status 302",
    ),
    _false_response(
        "an active response with an error status",
        "RFC 7662 section 2.3",
        "response_status",
        lambda i: Reply(str(i.active()).replace("'", '"').replace("True", "true").encode(), 401),
        "status 401",
    ),
    _false_response(
        "a response that does not end",
        "RFC 7662 section 4",
        "response_size",
        lambda i: i.active(filler="x" * 70_000),
        "longer than",
    ),
    _false_response(
        "a response that is a list",
        "RFC 7662 section 2.2",
        "response_object",
        lambda i: [i.active()],
        "not a JSON object",
    ),
    token(
        "an opaque token with a letter that no token has",
        "RFC 6750 section 2.1",
        "opaque_form",
        lambda _: "2Yotn\u00e9",
        TokenErrorReason.OPAQUE,
        _introspection_stage("opaque tokens", lambda i: i.active(), **OPAQUE),
    ),
)
