"""The corpus at Dex: rows that are not sent there, rows with another response there, and rows with Dex's own tokens.

The response to all others is the same as with the corpus's own provider: tests/integration/test_dex_attacks.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcp_idp.errors import TokenErrorReason
from mcp_idp.testing.corpus.model import PLAIN, Attack, Stage, token
from mcp_idp.testing.corpus.tokens_roles import DEX
from mcp_idp.testing.corpus.wire_calls import WIRE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LATER = Stage("Dex, eleven minutes after the login")
LATER_SECONDS = 660.0
# Stages that differ in the server's settings only, so that Dex can be the provider.
_STAGES = {PLAIN.name, DEX.name, WIRE.name, "tools by the file", "tools by an empty file", LATER.name}

_ONE_KEY = "Dex signs by RS256 and publishes RSA keys only; the registration proxy forwards its key set unchanged"
_DOCUMENT = "the registration proxy's documents are rendered files, and `check` compares them with Dex's metadata"
_NOT_INTROSPECTED = "the server does not introspect at Dex, which reports ID tokens as access tokens"
_OTHER = "the token format of another provider"
_COUNTED = "the limits do not depend on the provider"
NOT_SENT = {
    "every kind of key": _ONE_KEY,
    "a key for encryption": _ONE_KEY,
    "a key for wrapping": _ONE_KEY,
    "a symmetric key": _ONE_KEY,
    "a private key": _ONE_KEY,
    "two keys under one kid": _ONE_KEY,
    "a short key": _ONE_KEY,
    "a key of another curve": _ONE_KEY,
    "a key of two types": _ONE_KEY,
    "a kid that is not a string": _ONE_KEY,
    "several keys": _ONE_KEY,
    "broken keys": _ONE_KEY,
    "on a socket with a low limit on waiting bytes": "the limit is reached before any request to a provider",
    "false metadata": _DOCUMENT,
    "metadata with a private address": _DOCUMENT,
    "metadata with keys over http": _DOCUMENT,
    "a false introspection response": _NOT_INTROSPECTED,
    "opaque tokens": _NOT_INTROSPECTED,
    "introspection of every token": _NOT_INTROSPECTED,
    "tokens without aud": "Dex always writes aud",
    "two issuers": "the server trusts a second issuer in addition to Dex; the rows are about that one",
    "an unknown provider": _OTHER,
    "one request a second of an address": _COUNTED,
    "one request a second of a user": _COUNTED,
    "one new token a second of a user": _COUNTED,
    "a tool once a minute": _COUNTED,
    "nanoidp": _OTHER,
    "Microsoft Entra ID": _OTHER,
    "Zitadel": _OTHER,
    "authentik": _OTHER,
}
"""Why a stage's rows are not sent at Dex, by the stage's name."""

_ACCEPTED: dict[str, Any] = {"status": 200, "challenge": None, "message": ""}
_NO_AUDIENCE: dict[str, Any] = {"status": 403, "challenge": None, "message": TokenErrorReason.AUDIENCE.value}
_NO_LOGIN_HELPS: dict[str, Any] = {"challenge": None, "message": "insufficient_role"}
_UNTYPED = "Dex writes no such claim, so the server does not read it; for Dex's other tokens see below"
_BY_GROUPS = "Dex has no custom scopes: the user's groups grant them, and the token's scope claim is ignored"
_GROUPS_ONLY = "the user's groups are in another claim; for a user without a group see below"
_NO_STEP_UP = "no login grants a group, so there is no challenge: with one, clients would log in again at every call"
DIFFERENT_AT_DEX: dict[str, tuple[dict[str, Any], str]] = {
    "no type in the header": (_ACCEPTED, "Dex writes no `typ` header"),
    "an ID token": (_ACCEPTED, _UNTYPED),
    "a refresh token": (_ACCEPTED, _UNTYPED),
    "an offline token": (_ACCEPTED, _UNTYPED),
    "an initial access token for registration": (_ACCEPTED, _UNTYPED),
    "a registration access token": (_ACCEPTED, _UNTYPED),
    "an action token of the provider's e-mails": (_ACCEPTED, _UNTYPED),
    "a token type that is a list with the right one": (_ACCEPTED, _UNTYPED),
    "a token of a client without a user": (
        _ACCEPTED,
        "Dex issues no token without a user, so its tokens do not mark one",
    ),
    "no aud, a refresh token": (_NO_AUDIENCE, _UNTYPED),
    "no aud, of a client without a user": (_NO_AUDIENCE, "Dex issues no token without a user"),
    "scope as an object with our scopes as keys": (_ACCEPTED, _BY_GROUPS),
    "a token of this resource without its scope": (_ACCEPTED, _BY_GROUPS),
    "no scope at all": (_ACCEPTED, _BY_GROUPS),
    "a scope that begins with ours": (_ACCEPTED, _BY_GROUPS),
    "a scope in capitals": (_ACCEPTED, _BY_GROUPS),
    "our scope after white space other than a space": (_ACCEPTED, _BY_GROUPS),
    "a wildcard for a scope": (_ACCEPTED, _BY_GROUPS),
    "roles as one string": (_ACCEPTED, _GROUPS_ONLY),
    "a user without a role here": (_ACCEPTED, _GROUPS_ONLY),
    "a tool beyond the token, another tool's name in the header": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool beyond the token in a session": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool beyond the token in a session that a broader token has opened": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool beyond the token, without any header of the protocol": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool's name in escapes": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool beyond the token as a notification": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool beyond the token with invalid arguments": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool that the access file puts out of reach": (_NO_LOGIN_HELPS, _NO_STEP_UP),
}
"""By the name of a row: what differs in the response with Dex, and why."""

_SOURCE = "dexidp/dex: server/oauth2.go"


def _own(name: str, check: str, send: Callable[[Any], str], reason: TokenErrorReason, stage: Stage = DEX) -> Attack:
    return token(name, _SOURCE, check, send, reason, stage)


DEX_TOKENS = (
    _own("Dex's ID token of a login", "token_type", lambda i: i.login["id_token"], TokenErrorReason.TOKEN_TYPE),
    Attack(
        name="Dex's ID token of a refresh, which looks like an access token",
        source=_SOURCE,
        check="token_type",
        send=lambda i: i.refreshed["id_token"],
        stage=DEX,
        **_ACCEPTED,
    ),
    _own("Dex's refresh token", "compact_shape", lambda i: i.login["refresh_token"], TokenErrorReason.NOT_A_JWT),
    _own("Dex's authorization code", "compact_shape", lambda i: i.code, TokenErrorReason.NOT_A_JWT),
    _own(
        "Dex's token of a client that requested no audience, without the registration proxy",
        "audience",
        lambda i: i.for_itself["access_token"],
        TokenErrorReason.AUDIENCE,
    ),
    _own(
        "Dex's ID token of a client that requested our audience, without the registration proxy",
        "token_type",
        lambda i: i.for_our_audience["id_token"],
        TokenErrorReason.TOKEN_TYPE,
    ),
    _own(
        "Dex's access token after its expiry",
        "expired",
        lambda i: i.login["access_token"],
        TokenErrorReason.EXPIRED,
        LATER,
    ),
    Attack(
        name="Dex's access token of a user without a group",
        source="RS-19",
        check="role_needed",
        send=lambda i: i.without_user["access_token"],
        status=403,
        challenge=None,
        message="insufficient_role",
        stage=DEX,
    ),
)
"""Tokens that Dex issued."""


def rows_at_dex(attacks: Iterable[Attack]) -> list[Attack]:
    """Returns the rows that are sent at Dex, each with the response that is expected there."""
    there = (attack for attack in attacks if attack.stage.name in _STAGES)
    return [
        replace(attack, **DIFFERENT_AT_DEX[attack.name][0]) if attack.name in DIFFERENT_AT_DEX else attack
        for attack in there
    ]
