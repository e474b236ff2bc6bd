"""Attacks through the validity period and the token type."""

from __future__ import annotations

from mcp_idp.errors import TokenErrorReason
from mcp_idp.providers import PROFILES
from mcp_idp.testing.corpus.model import Stage, token
from mcp_idp.testing.corpus.token_forge import claiming_text, left_hash
from mcp_idp.testing.corpus.tokens_issuer_and_audience import claims
from mcp_idp.testing.issuer import NOW, b64

GENERIC = Stage(
    "an unknown provider", settings={"provider": PROFILES["generic"]}, good=lambda i: i.token(typ=..., sid=...)
)


NANOIDP = Stage(
    "nanoidp",
    settings={"provider": PROFILES["nanoidp"]},
    good=lambda i: i.token(typ=..., token_use="access", client_id="c"),
)


MALFORMED = TokenErrorReason.CLAIMS_MALFORMED
TIMES, TYPES = "RFC 7519 section 2", "RFC 8725 section 3.11"


_WHEN = (
    token("no exp", "RFC 9068 section 2.2", "expiry_required", claims(exp=...), MALFORMED),
    token(
        "exp in the past",
        "RFC 7519 section 4.1.4",
        "expired",
        claims(iat=NOW - 600, exp=NOW - 300),
        TokenErrorReason.EXPIRED,
    ),
    token(
        "exp in the past by exactly the leeway",
        "RFC 7519 section 4.1.4",
        "expired",
        claims(exp=NOW - 30),
        TokenErrorReason.EXPIRED,
    ),
    token("exp as a string", TIMES, "numeric_dates", claims(exp=str(int(NOW + 300))), MALFORMED),
    token("iat as a boolean", TIMES, "boolean_dates", claims(iat=True, exp=NOW + 300), MALFORMED),
    token("exp as a number too large for a float", TIMES, "date_range", claims(exp=10**400), MALFORMED),
    token("exp before the epoch", TIMES, "date_range", claims(exp=-1), MALFORMED),
    token(
        "a number in a claim too large for a float",
        "RFC 8259 section 6",
        "finite_numbers",
        lambda i: claiming_text(i, '"x":1e999'),
        MALFORMED,
    ),
    token(
        "exp in ten years",
        "own analysis: an attacker who may set a lifetime (S4)",
        "lifetime",
        claims(exp=NOW + 315_000_000),
        TokenErrorReason.LIFETIME,
    ),
    token(
        "exp in ten years without iat",
        "own analysis: an attacker who may set a lifetime (S4)",
        "lifetime",
        claims(iat=..., exp=NOW + 315_000_000),
        TokenErrorReason.LIFETIME,
    ),
    token(
        "nbf in the future",
        "RFC 7519 section 4.1.5",
        "not_before",
        claims(nbf=NOW + 60),
        TokenErrorReason.NOT_YET_VALID,
    ),
    token(
        "iat in the future",
        "RFC 7519 section 4.1.6",
        "issued_at",
        claims(iat=NOW + 60),
        TokenErrorReason.IAT_IN_FUTURE,
    ),
)


_KIND = (
    token(
        "an ID token",
        TYPES + "; RFC 9068 section 5",
        "token_type",
        claims(typ="ID", nonce="n"),
        TokenErrorReason.TOKEN_TYPE,
    ),
    token("a refresh token", TYPES, "token_type", claims(typ="Refresh"), TokenErrorReason.TOKEN_TYPE),
    token("an offline token", TYPES, "token_type", claims(typ="Offline"), TokenErrorReason.TOKEN_TYPE),
    token(
        "an initial access token for registration",
        "RFC 7591 section 1.2",
        "token_type",
        claims(typ="InitialAccessToken"),
        TokenErrorReason.TOKEN_TYPE,
    ),
    token(
        "a registration access token",
        "RFC 7592 section 1.2",
        "token_type",
        claims(typ="RegistrationAccessToken"),
        TokenErrorReason.TOKEN_TYPE,
    ),
    token(
        "an action token of the provider's e-mails",
        TYPES,
        "token_type",
        claims(typ="execute-actions"),
        TokenErrorReason.TOKEN_TYPE,
    ),
    token(
        "a token type that is a list with the right one",
        TYPES,
        "token_type",
        claims(typ=["Bearer"]),
        TokenErrorReason.TOKEN_TYPE,
    ),
    token(
        "a logout token by its events",
        "OIDC Back-Channel Logout 1.0 section 2.4",
        "events",
        claims(events={"http://schemas.openid.net/event/backchannel-logout": {}}),
        TokenErrorReason.TOKEN_TYPE,
    ),
    token(
        "an unknown provider's ID token, recognizable by its nonce",
        "OIDC Core 1.0 section 2",
        "token_type",
        claims(typ=..., sid=..., nonce="n"),
        TokenErrorReason.TOKEN_TYPE,
        GENERIC,
    ),
    token(
        "an unknown provider's ID token, recognizable by at_hash",
        "OIDC Core 1.0 section 3.1.3.6",
        "token_type",
        claims(typ=..., sid=..., at_hash=left_hash("token")),
        TokenErrorReason.TOKEN_TYPE,
        GENERIC,
    ),
    token(
        "the embedded provider's refresh token",
        TYPES,
        "token_type",
        claims(typ=..., token_use="refresh"),
        TokenErrorReason.TOKEN_TYPE,
        NANOIDP,
    ),
    token(
        "a token bound to a DPoP key",
        "RFC 9449 section 7.2",
        "sender_bound",
        claims(cnf={"jkt": b64(bytes(32))}),
        TokenErrorReason.SENDER_BOUND,
    ),
    token(
        "a token bound to a client's certificate",
        "RFC 8705 section 3",
        "sender_bound",
        claims(cnf={"x5t#S256": b64(bytes(32))}),
        TokenErrorReason.SENDER_BOUND,
    ),
    token(
        "a token of a client without a user",
        "RFC 9068 section 5",
        "user",
        claims(sid=...),
        TokenErrorReason.NO_END_USER,
    ),
)


ATTACKS = (*_WHEN, *_KIND)
