"""What each rule of the server says of one token. The server's own code judges; nothing here decides.

The server stops at its first refusal. To see what else would be refused, what was refused is replaced by what was
expected, and the same code judges again.

What each rule asks of a token, in words.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mcp_idp.auth.scopes import require
from mcp_idp.cli.common.token_summary import read_claims, read_part
from mcp_idp.errors import AuthError, InvalidToken, ProviderUnavailable, Reason
from mcp_idp.tokens.claims import judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.access.policy import Access
    from mcp_idp.principal import Principal
    from mcp_idp.tokens.claims import ClaimRules
    from mcp_idp.tokens.issuers import TrustedIssuers
    from mcp_idp.util.clock import Clock

TITLES: Mapping[Reason, str] = {
    Reason.TOO_LONG: "is no longer than MAX_TOKEN_BYTES",
    Reason.ENCRYPTED: "is not encrypted",
    Reason.NOT_A_JWT: "is a signed JWT",
    Reason.HEADER_MALFORMED: "has a header with one meaning",
    Reason.ALGORITHM: "is signed with a public-key algorithm",
    Reason.CRITICAL_EXTENSION: "asks for no extension",
    Reason.HEADER_TYPE: "says in its header that it is an access token (typ)",
    Reason.KEY_MISMATCH: "names a key together with that key's algorithm (alg)",
    Reason.KEY_UNKNOWN: "names a key of the issuer (kid)",
    Reason.SIGNATURE: "is signed by that key",
    Reason.CLAIMS_MALFORMED: "has claims of the right kinds",
    Reason.ISSUER: "is of our issuer (iss)",
    Reason.AUDIENCE: "is for this server (aud)",
    Reason.EXPIRED: "has not run out (exp)",
    Reason.NOT_YET_VALID: "is valid already (nbf)",
    Reason.ISSUED_IN_FUTURE: "was issued in the past (iat)",
    Reason.LIFETIME: "lives no longer than MAX_TOKEN_LIFETIME (iat, exp)",
    Reason.SENDER_BOUND: "is not bound to its sender (cnf)",
    Reason.TOKEN_TYPE: "is no ID, refresh or logout token",
    Reason.NO_USER: "belongs to a logged-in person, or to a machine client of access.yaml",
    Reason.OPAQUE: "consists of characters that a bearer token may have",
    Reason.INACTIVE: "is active, says the provider",
}


_MAX_SHOWN = 300
_MOST_REFUSALS = 10
# In the order in which the server looks. CLAIMS_MALFORMED can come from any of the claims that follow it.
JWT_RULES = (
    Reason.TOO_LONG,
    Reason.ENCRYPTED,
    Reason.NOT_A_JWT,
    Reason.HEADER_MALFORMED,
    Reason.ALGORITHM,
    Reason.CRITICAL_EXTENSION,
    Reason.HEADER_TYPE,
    Reason.KEY_MISMATCH,
    Reason.KEY_UNKNOWN,
    Reason.SIGNATURE,
    Reason.CLAIMS_MALFORMED,
    Reason.ISSUER,
    Reason.AUDIENCE,
    Reason.EXPIRED,
    Reason.NOT_YET_VALID,
    Reason.ISSUED_IN_FUTURE,
    Reason.LIFETIME,
    Reason.SENDER_BOUND,
    Reason.TOKEN_TYPE,
    Reason.NO_USER,
)
_CLAIM_RULES = frozenset(JWT_RULES[JWT_RULES.index(Reason.CLAIMS_MALFORMED) :])
# Those after which the rest of the token means something.
_STILL_READABLE = frozenset({Reason.KEY_MISMATCH, Reason.KEY_UNKNOWN, Reason.SIGNATURE, Reason.HEADER_TYPE})


@dataclass(frozen=True, slots=True)
class Verdict:
    """A refusal by one rule. `expected` and `got` are bounded; `raw` is what was there."""

    rule: Reason
    expected: str
    got: str
    raw: object = None


@dataclass(slots=True)
class Judgement:
    """What came of it.

    Attributes:
        taken: whether the server would serve a request with this token.
        refusals: what the rules refuse; the first is the one that the server stops at.
        passed: the rules that are known to take it, or would if those before them did.
        unavailable: why it could not be judged, or "".
        missing_scope: what is said of the scope that every request needs, if it is missing.
        header, claims: as they stand in the token, not verified.
        readable: whether there are claims to speak of.
        principal: whom the server would see.
    """

    taken: bool = False
    refusals: list[Verdict] = field(default_factory=list)
    passed: set[Reason] = field(default_factory=set)
    unavailable: str = ""
    missing_scope: str | None = None
    header: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    readable: bool = False
    principal: Principal | None = None


async def judge_token(token: str, trusted: TrustedIssuers, access: Access, clock: Clock) -> Judgement:
    """Let the server's code judge `token`.

    Args:
        token: as it would stand behind "Bearer ".
        trusted: the issuers, as the server makes them from its settings.
        access: for the scope that every request needs.
        clock: the time.
    """
    judgement = Judgement(header=read_part(token, 0) or {}, claims=read_claims(token) or {})
    judgement.readable = bool(judgement.claims)
    provider = trusted.provider_of(token)
    principal: Principal | None = None
    try:
        principal = await provider.verify(token)
    except ProviderUnavailable as error:
        judgement.unavailable = shown(error.detail)
        principal = _go_on(judgement, provider.rules, clock.now()) if judgement.readable else None
    except InvalidToken as error:
        judgement.refusals.append(_verdict(error))
        judgement.passed = _before(error.reason)
        if judgement.readable and error.reason in _CLAIM_RULES | _STILL_READABLE:
            principal = _go_on(judgement, provider.rules, clock.now())
    else:
        judgement.taken, judgement.passed = True, set(JWT_RULES)
    if principal is not None:
        _check_scope(judgement, principal, access)
    judgement.passed -= {verdict.rule for verdict in judgement.refusals}
    judgement.principal = principal if judgement.taken else None
    return judgement


def _before(reason: Reason) -> set[Reason]:
    return set(JWT_RULES[: JWT_RULES.index(reason)]) if reason in JWT_RULES else set()


def _go_on(judgement: Judgement, rules: ClaimRules, now: float) -> Principal | None:
    """Judge the claims until nothing more refuses them, or until nothing that was expected can be put in."""
    known = {verdict.rule for verdict in judgement.refusals}
    view = _View(dict(judgement.claims), rules, now)
    for _ in range(_MOST_REFUSALS):
        try:
            principal = judge(view.claims, view.rules, view.now)
        except InvalidToken as error:
            judgement.passed |= _before(error.reason) & _CLAIM_RULES
            if error.reason not in known:
                judgement.refusals.append(_verdict(error))
                known.add(error.reason)
            if not view.go_past(error):
                return None
        else:
            judgement.passed |= _CLAIM_RULES - {verdict.rule for verdict in judgement.refusals}
            return principal
    return None


@dataclass(slots=True)
class _View:
    """Claims, rules and time as they would have to be for what was refused until now to be taken."""

    claims: dict[str, Any]
    rules: ClaimRules
    now: float

    def go_past(self, error: InvalidToken) -> bool:
        """Put in what was expected; whether that is possible."""
        profile = self.rules.profile
        match error.reason:
            case Reason.ISSUER:
                self.claims["iss"] = self.rules.issuer
            case Reason.AUDIENCE:
                self.claims["aud"] = self.rules.audience
            case Reason.EXPIRED | Reason.NOT_YET_VALID | Reason.ISSUED_IN_FUTURE:
                self.now = float(str(error.got))
            case Reason.LIFETIME:
                self.rules = replace(self.rules, max_lifetime=float(str(error.got)))
            case Reason.TOKEN_TYPE if profile.claim_types and "events" not in self.claims:
                self.rules = replace(self.rules, profile=replace(profile, claim_types=()))
            case Reason.NO_USER:
                self.rules = replace(self.rules, profile=replace(profile, user_claim=None))
            case _:
                return False
        return True


def _check_scope(judgement: Judgement, principal: Principal, access: Access) -> None:
    try:
        require(principal, (access.base_scope,), access)
    except AuthError as error:
        judgement.taken = False
        granted = " ".join(sorted(principal.scopes)) or "none"
        judgement.missing_scope = f"{error.description} The token has: {shown(granted)}."


def _verdict(error: InvalidToken) -> Verdict:
    return Verdict(error.reason, shown(error.expected), shown(error.got), error.got)


def shown(value: object) -> str:
    """`value` as text, bounded."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]} …"
