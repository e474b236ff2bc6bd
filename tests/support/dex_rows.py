"""The corpus at Dex: which rows it has no place for, which are answered otherwise, and rows of its own tokens.

All others are answered there as they are by the corpus's own provider: tests/integration/test_dex_attacks.py.
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
# Settings of the server, or nothing: Dex can be what is behind it.
_STAGES = {PLAIN.name, DEX.name, WIRE.name, "tools by the file", "tools by an empty file", LATER.name}

_ONE_KEY = "Dex signs by RS256 and publishes RSA keys only; the front passes its key set on as it is"
_DOCUMENT = "the front's documents are files of ours, and `check` compares them with what Dex says of itself"
_NOT_INTROSPECTED = "the server never asks Dex about a token: its answers call ID tokens access tokens"
_COUNTED = "what is counted is counted alike, whoever the provider is"
_OTHER = "another provider's way of writing tokens"
NO_PLACE = {
    "every kind of key": _ONE_KEY,
    "a key for encryption": _ONE_KEY,
    "a key for wrapping": _ONE_KEY,
    "a symmetric key": _ONE_KEY,
    "a private key": _ONE_KEY,
    "two keys under one kid": _ONE_KEY,
    "a short key": _ONE_KEY,
    "a key of another curve": _ONE_KEY,
    "a key of two kinds": _ONE_KEY,
    "a kid that is no text": _ONE_KEY,
    "several keys": _ONE_KEY,
    "broken keys": _ONE_KEY,
    "on a socket where little may wait": "the bound is reached before a provider is asked anything",
    "lying metadata": _DOCUMENT,
    "metadata that points inside": _DOCUMENT,
    "metadata that has keys in the clear": _DOCUMENT,
    "introspection that lies": _NOT_INTROSPECTED,
    "opaque tokens": _NOT_INTROSPECTED,
    "tokens without aud": "Dex always writes aud",
    "two issuers": "the server trusts a second issuer beside Dex; the rows are about that one",
    "a provider nobody knows": _OTHER,
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

_LET_IN: dict[str, Any] = {"status": 200, "challenge": None, "message": ""}
_NO_LOGIN_HELPS: dict[str, Any] = {"challenge": None, "message": "insufficient_role"}
_UNTYPED = "Dex writes no such claim, so the server does not read it; what Dex has of other kinds stands below"
_BY_GROUPS = "Dex knows no scopes: the person's groups bring them, and what stands in a token changes nothing"
_GROUPS_ONLY = "the person's groups are in another claim; a person without a group stands below"
_NO_STEP_UP = "no login brings a group, so there is no challenge: with one, clients log in again at every call"
OTHERWISE: dict[str, tuple[dict[str, Any], str]] = {
    "no type in the header": (_LET_IN, "Dex writes no type into any header"),
    "an ID token": (_LET_IN, _UNTYPED),
    "a refresh token": (_LET_IN, _UNTYPED),
    "an offline token": (_LET_IN, _UNTYPED),
    "an initial access token for registration": (_LET_IN, _UNTYPED),
    "a registration access token": (_LET_IN, _UNTYPED),
    "an action token of the provider's e-mails": (_LET_IN, _UNTYPED),
    "a kind of token that is a list with ours in it": (_LET_IN, _UNTYPED),
    "a token of a client and of nobody": (
        _LET_IN,
        "Dex gives no token without a person, so nothing in its tokens marks one with",
    ),
    "scope as an object with ours as names": (_LET_IN, _BY_GROUPS),
    "a token of this resource without its scope": (_LET_IN, _BY_GROUPS),
    "no scope at all": (_LET_IN, _BY_GROUPS),
    "a scope that has ours as its beginning": (_LET_IN, _BY_GROUPS),
    "a scope in capitals": (_LET_IN, _BY_GROUPS),
    "our scope behind white space that is none of the separator": (_LET_IN, _BY_GROUPS),
    "a wildcard for a scope": (_LET_IN, _BY_GROUPS),
    "roles as one text": (_LET_IN, _GROUPS_ONLY),
    "a person without a role here": (_LET_IN, _GROUPS_ONLY),
    "a tool beyond the token, another tool's name in the header": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool beyond the token in a session": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool beyond the token in a session that a broader token has opened": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool beyond the token, without any header of the protocol": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool's name in escapes": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool beyond the token as a notification": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool beyond the token with arguments that it does not take": (_NO_LOGIN_HELPS, _NO_STEP_UP),
    "a tool that the access file puts out of reach": (_NO_LOGIN_HELPS, _NO_STEP_UP),
}
"""By a row's name: what is answered at Dex in place of what the row says, and why."""

_SOURCE = "dexidp/dex: server/oauth2.go"


def _own(name: str, check: str, send: Callable[[Any], str], reason: TokenErrorReason, stage: Stage = DEX) -> Attack:
    return token(name, _SOURCE, check, send, reason, stage)


OWN = (
    _own("Dex's ID token of a login", "token_type", lambda i: i.login["id_token"], TokenErrorReason.TOKEN_TYPE),
    Attack(
        name="Dex's ID token of a refresh, which looks like an access token",
        source=_SOURCE,
        check="token_type",
        send=lambda i: i.refreshed["id_token"],
        stage=DEX,
        **_LET_IN,
    ),
    _own("Dex's refresh token", "compact_shape", lambda i: i.login["refresh_token"], TokenErrorReason.NOT_A_JWT),
    _own("Dex's authorization code", "compact_shape", lambda i: i.code, TokenErrorReason.NOT_A_JWT),
    _own(
        "Dex's token of a client that asked for no audience, past the front",
        "audience",
        lambda i: i.for_itself["access_token"],
        TokenErrorReason.AUDIENCE,
    ),
    _own(
        "Dex's ID token of a client that asked for our audience, past the front",
        "token_type",
        lambda i: i.audience_ours["id_token"],
        TokenErrorReason.TOKEN_TYPE,
    ),
    _own(
        "Dex's access token, after its end",
        "expired",
        lambda i: i.login["access_token"],
        TokenErrorReason.EXPIRED,
        LATER,
    ),
    Attack(
        name="Dex's access token of a person without a group",
        source="RS-19",
        check="role_needed",
        send=lambda i: i.without_user["access_token"],
        status=403,
        challenge=None,
        message="insufficient_role",
        stage=DEX,
    ),
)
"""What Dex really gave out."""


def rows_at_dex(attacks: Iterable[Attack]) -> list[Attack]:
    """Those that Dex has a place for, each with the answer that is expected there."""
    there = (attack for attack in attacks if attack.stage.name in _STAGES)
    return [replace(attack, **OTHERWISE[attack.name][0]) if attack.name in OTHERWISE else attack for attack in there]
