"""Evaluates one token with the server's own validation code, and reports every rule that rejects it.

The server stops at the first failure. To find further ones, the same code validates the claims again as if the earlier
failures were fixed.
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


_MAX_PRINTED_CHARACTERS = 300
_MAX_FAILURES = 10
# In the order of the server's checks. CLAIMS_MALFORMED can be caused by any claim that a later rule checks.
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
# After these failures the claims can still be evaluated.
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
    """A rule that rejects the token.

    Attributes:
        rule: The rule.
        expected: The expected value as text, truncated.
        got: The token's value as text, truncated.
        raw: The token's value, unchanged.
    """

    rule: TokenErrorReason
    expected: str
    got: str
    raw: object = None


@dataclass(slots=True)
class TokenEvaluation:
    """The result of an evaluation.

    Attributes:
        accepted: Whether the server would accept a request with this token.
        failures: The rules that reject the token; the server stops at the first.
        passed: The rules that are known to accept it, or would if the earlier failures were fixed.
        unavailable: Why the token could not be verified, or "".
        missing_scope: A description of the missing base scope, or None.
        header: The token's header, not verified.
        claims: The token's claims, not verified.
        readable: Whether the token has claims that could be decoded.
        principal: The authenticated principal, if the token is accepted.
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
    """Evaluates `token` with the server's code.

    Args:
        token: The token without the "Bearer " prefix.
        trusted: The issuers, as the server builds them from its settings.
        access: Names the base scope that every request requires.
        clock: The current time.
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
    """Validates the claims again and again, each time with one failure assumed fixed.

    It stops when the claims pass or a failure cannot be assumed fixed.
    """
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
    """The claims, rules and time as they would have to be for the failures so far not to occur."""

    claims: dict[str, Any]
    rules: ClaimsPolicy
    now: float

    def assume(self, error: InvalidToken) -> bool:
        """Changes a value so that `error` no longer occurs; returns whether that is possible."""
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
    """Returns `value` as text, truncated to 300 characters."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MAX_PRINTED_CHARACTERS else f"{text[:_MAX_PRINTED_CHARACTERS]} …"
