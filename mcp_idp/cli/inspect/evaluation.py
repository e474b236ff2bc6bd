"""What each rule of the server says of one token. The server's own code judges; nothing here decides.

The server stops at its first refusal. To see what else would be refused, what was refused is replaced by what was
expected, and the same code judges again.

What each rule asks of a token, in words.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mcp_idp.auth.scopes import require_scopes
from mcp_idp.cli.common.token_summary import decode_segment, decode_unverified_claims
from mcp_idp.errors import AuthError, InvalidToken, ProviderUnavailable, TokenErrorReason
from mcp_idp.tokens.claims import validate_claims

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.principal import Principal
    from mcp_idp.tokens.claims import ClaimsPolicy
    from mcp_idp.tokens.issuers import TokenVerifierRegistry
    from mcp_idp.util.clock import Clock

RULE_DESCRIPTIONS: Mapping[TokenErrorReason, str] = {
    TokenErrorReason.TOO_LONG: "is no longer than MAX_TOKEN_BYTES",
    TokenErrorReason.ENCRYPTED: "is not encrypted",
    TokenErrorReason.NOT_A_JWT: "is a signed JWT",
    TokenErrorReason.HEADER_MALFORMED: "has an unambiguous header",
    TokenErrorReason.ALGORITHM: "is signed with a public-key algorithm",
    TokenErrorReason.CRITICAL_EXTENSION: "requires no extension (crit)",
    TokenErrorReason.HEADER_TYPE: "has the type of an access token in its header (typ)",
    TokenErrorReason.KEY_ALGORITHM_MISMATCH: "names a key together with that key's algorithm (alg)",
    TokenErrorReason.KEY_UNKNOWN: "names a key of the issuer (kid)",
    TokenErrorReason.SIGNATURE: "is signed by that key",
    TokenErrorReason.CLAIMS_MALFORMED: "has claims of the right types",
    TokenErrorReason.ISSUER: "is from the expected issuer (iss)",
    TokenErrorReason.AUDIENCE: "is for this server (aud)",
    TokenErrorReason.EXPIRED: "has not expired (exp)",
    TokenErrorReason.NOT_YET_VALID: "is valid already (nbf)",
    TokenErrorReason.IAT_IN_FUTURE: "was issued in the past (iat)",
    TokenErrorReason.LIFETIME: "has a lifetime of at most MAX_TOKEN_LIFETIME (iat, exp)",
    TokenErrorReason.SENDER_BOUND: "is not bound to its sender (cnf)",
    TokenErrorReason.TOKEN_TYPE: "is not an ID, refresh or logout token",
    TokenErrorReason.NO_END_USER: "belongs to a logged-in user or to a machine client of access.yaml",
    TokenErrorReason.OPAQUE: "contains only the characters of a bearer token",
    TokenErrorReason.INACTIVE: "is active according to the provider",
}


_MAX_SHOWN_CHARACTERS = 300
_MAX_FAILURES = 10
# In the order in which the server looks. CLAIMS_MALFORMED can come from any of the claims that follow it.
JWT_RULES = (
    TokenErrorReason.TOO_LONG,
    TokenErrorReason.ENCRYPTED,
    TokenErrorReason.NOT_A_JWT,
    TokenErrorReason.HEADER_MALFORMED,
    TokenErrorReason.ALGORITHM,
    TokenErrorReason.CRITICAL_EXTENSION,
    TokenErrorReason.HEADER_TYPE,
    TokenErrorReason.KEY_ALGORITHM_MISMATCH,
    TokenErrorReason.KEY_UNKNOWN,
    TokenErrorReason.SIGNATURE,
    TokenErrorReason.CLAIMS_MALFORMED,
    TokenErrorReason.ISSUER,
    TokenErrorReason.AUDIENCE,
    TokenErrorReason.EXPIRED,
    TokenErrorReason.NOT_YET_VALID,
    TokenErrorReason.IAT_IN_FUTURE,
    TokenErrorReason.LIFETIME,
    TokenErrorReason.SENDER_BOUND,
    TokenErrorReason.TOKEN_TYPE,
    TokenErrorReason.NO_END_USER,
)
_CLAIM_RULES = frozenset(JWT_RULES[JWT_RULES.index(TokenErrorReason.CLAIMS_MALFORMED) :])
# Those after which the rest of the token means something.
_STILL_READABLE = frozenset(
    {
        TokenErrorReason.KEY_ALGORITHM_MISMATCH,
        TokenErrorReason.KEY_UNKNOWN,
        TokenErrorReason.SIGNATURE,
        TokenErrorReason.HEADER_TYPE,
    }
)


@dataclass(frozen=True, slots=True)
class RuleFailure:
    """A refusal by one rule. `expected` and `got` are bounded; `raw` is what was there."""

    rule: TokenErrorReason
    expected: str
    got: str
    raw: object = None


@dataclass(slots=True)
class TokenEvaluation:
    """What came of it.

    Attributes:
        accepted: whether the server would serve a request with this token.
        failures: what the rules refuse; the first is the one that the server stops at.
        passed: the rules that are known to take it, or would if those before them did.
        unavailable: why it could not be judged, or "".
        missing_scope: what is said of the scope that every request needs, if it is missing.
        header, claims: as they stand in the token, not verified.
        readable: whether there are claims to speak of.
        principal: whom the server would see.
    """

    accepted: bool = False
    failures: list[RuleFailure] = field(default_factory=list)
    passed: set[TokenErrorReason] = field(default_factory=set)
    unavailable: str = ""
    missing_scope: str | None = None
    header: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    readable: bool = False
    principal: Principal | None = None


async def evaluate_token(
    token: str, trusted: TokenVerifierRegistry, access: AccessPolicy, clock: Clock
) -> TokenEvaluation:
    """Let the server's code judge `token`.

    Args:
        token: as it would stand behind "Bearer ".
        trusted: the issuers, as the server makes them from its settings.
        access: for the scope that every request needs.
        clock: the time.
    """
    evaluation = TokenEvaluation(header=decode_segment(token, 0) or {}, claims=decode_unverified_claims(token) or {})
    evaluation.readable = bool(evaluation.claims)
    provider = trusted.verifier_for(token)
    principal: Principal | None = None
    try:
        principal = await provider.verify(token)
    except ProviderUnavailable as error:
        evaluation.unavailable = format_value(error.detail)
        principal = _continue_after_failure(evaluation, provider.rules, clock.now()) if evaluation.readable else None
    except InvalidToken as error:
        evaluation.failures.append(_rule_failure(error))
        evaluation.passed = _before(error.reason)
        if evaluation.readable and error.reason in _CLAIM_RULES | _STILL_READABLE:
            principal = _continue_after_failure(evaluation, provider.rules, clock.now())
    else:
        evaluation.accepted, evaluation.passed = True, set(JWT_RULES)
    if principal is not None:
        _check_scope(evaluation, principal, access)
    evaluation.passed -= {failure.rule for failure in evaluation.failures}
    evaluation.principal = principal if evaluation.accepted else None
    return evaluation


def _before(reason: TokenErrorReason) -> set[TokenErrorReason]:
    return set(JWT_RULES[: JWT_RULES.index(reason)]) if reason in JWT_RULES else set()


def _continue_after_failure(evaluation: TokenEvaluation, rules: ClaimsPolicy, now: float) -> Principal | None:
    """Judge the claims until nothing more refuses them, or until nothing that was expected can be put in."""
    known = {failure.rule for failure in evaluation.failures}
    view = _Hypothetical(dict(evaluation.claims), rules, now)
    for _ in range(_MAX_FAILURES):
        try:
            principal = validate_claims(view.claims, view.rules, view.now)
        except InvalidToken as error:
            evaluation.passed |= _before(error.reason) & _CLAIM_RULES
            if error.reason not in known:
                evaluation.failures.append(_rule_failure(error))
                known.add(error.reason)
            if not view.assume(error):
                return None
        else:
            evaluation.passed |= _CLAIM_RULES - {failure.rule for failure in evaluation.failures}
            return principal
    return None


@dataclass(slots=True)
class _Hypothetical:
    """Claims, rules and time as they would have to be for what was refused until now to be taken."""

    claims: dict[str, Any]
    rules: ClaimsPolicy
    now: float

    def assume(self, error: InvalidToken) -> bool:
        """Put in what was expected; whether that is possible."""
        profile = self.rules.profile
        match error.reason:
            case TokenErrorReason.ISSUER:
                self.claims["iss"] = self.rules.issuer
            case TokenErrorReason.AUDIENCE:
                self.claims["aud"] = self.rules.audience
            case TokenErrorReason.EXPIRED | TokenErrorReason.NOT_YET_VALID | TokenErrorReason.IAT_IN_FUTURE:
                self.now = float(str(error.got))
            case TokenErrorReason.LIFETIME:
                self.rules = replace(self.rules, max_lifetime=float(str(error.got)))
            case TokenErrorReason.TOKEN_TYPE if profile.token_type_claims and "events" not in self.claims:
                self.rules = replace(self.rules, profile=replace(profile, token_type_claims=()))
            case TokenErrorReason.NO_END_USER:
                self.rules = replace(self.rules, profile=replace(profile, user_claim=None))
            case _:
                return False
        return True


def _check_scope(evaluation: TokenEvaluation, principal: Principal, access: AccessPolicy) -> None:
    try:
        require_scopes(principal, (access.base_scope,), access)
    except AuthError as error:
        evaluation.accepted = False
        granted = " ".join(sorted(principal.scopes)) or "none"
        evaluation.missing_scope = f"{error.description} The token has: {format_value(granted)}."


def _rule_failure(error: InvalidToken) -> RuleFailure:
    return RuleFailure(error.reason, format_value(error.expected), format_value(error.got), error.got)


def format_value(value: object) -> str:
    """`value` as text, bounded."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:_MAX_SHOWN_CHARACTERS]} …"
