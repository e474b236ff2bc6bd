"""What an introspection answer must say: RFC 7662 sections 2.2 and 4.

The members have the names and meanings of a JWT's claims (section 2.2), so the judgement is that of `claims.judge`.
Here stands only what is different: `active`, `token_type`, and what may be left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcp_server.errors import InvalidToken, ProviderUnavailable, Reason
from mcp_server.verify.claims import ClaimRules, judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_server.principal import Principal

MAX_ANSWER_AGE = 30.0  # seconds: how long a token that was withdrawn may still be believed


def rules_for_answers(rules: ClaimRules) -> ClaimRules:
    """The rules of JWTs, as they apply to answers.

    The client may stand in `client_id`, the name RFC 7662 gives it, and the scopes in `scope`. A claim that tells the
    kind of token may be left out, as that RFC does not know it; where it is there, it counts as in a JWT.
    """
    profile = rules.profile
    return replace(
        rules,
        profile=replace(
            profile,
            client_claims=(*profile.client_claims, "client_id"),
            scope_claims=tuple(dict.fromkeys((*profile.scope_claims, "scope"))) if profile.scope_claims else (),
            claim_types=tuple((name, accepted | {None}) for name, accepted in profile.claim_types),
            access_marks=(),
        ),
    )


def judge_answer(answer: Mapping[str, Any], rules: ClaimRules, now: float) -> Principal:
    """The principal that the provider's answer stands for, at `now` (seconds since the epoch).

    `aud` must be there and hold ours: without it nothing says that the token is meant for this resource. `iss` and
    `exp` may be left out: the issuer is whom we asked, and a token without an end is believed as long as the answer is,
    so that it is asked about again. Where `iat` is there without `exp`, the age of the token is held to the cap on
    lifetimes. A member that is null says nothing.

    Args:
        answer: the JSON object as it came.
        rules: as `rules_for_answers` makes them.
        now: when the question was asked.

    Raises:
        InvalidToken: the token is not active, or is not for us, with the reason.
        ProviderUnavailable: the answer does not say whether the token is active.
    """
    active = answer.get("active")
    if active is False:
        raise InvalidToken(Reason.INACTIVE, expected="active at the provider, for a client in its audience", got=active)
    if active is not True:
        raise ProviderUnavailable("the introspection answer has no boolean member active")
    said = {name: value for name, value in answer.items() if value is not None}
    _check_token_type(said.get("token_type"))
    return judge({"iss": rules.issuer, "exp": now + MAX_ANSWER_AGE, **said}, rules, now)


def _check_token_type(named: object) -> None:
    """RFC 6749 section 7.1, compared without case (section 5.1). A DPoP token is good with its proof only."""
    kind = named.lower() if isinstance(named, str) else named
    if kind == "dpop":
        raise InvalidToken(Reason.SENDER_BOUND, expected="a bearer token", got=named)
    if kind is not None and kind != "bearer":
        raise InvalidToken(Reason.TOKEN_TYPE, expected="token_type Bearer", got=named)
