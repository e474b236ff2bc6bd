"""Explains why a server rejected the token of a successful login, as far as the token and the response show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.cli.common.launcher import BOOTSTRAP_CHECK
from mcp_idp.cli.common.token_summary import audiences, roles_granting, roles_or_groups, scopes
from mcp_idp.util.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.common.token_summary import Claims

_FORBIDDEN = 403
_LEEWAY = 30  # seconds: the default of CLOCK_LEEWAY
_OTHER_TYPES = ("ID", "Refresh", "Offline", "Logout")  # Keycloak's `typ` of tokens that are no access tokens


@dataclass(frozen=True, slots=True)
class RejectedRequest:
    """A request with a token that the server rejected with 401 or 403.

    Attributes:
        status: The HTTP status.
        challenge: The WWW-Authenticate header, or "".
        description: The error description in the response body, or "".
        correlation_id: The id under which the server's log has the reason, or "".
        clock_ahead: By how many seconds the server's clock is ahead of the local one; None if unknown.
    """

    status: int
    challenge: str = ""
    description: str = ""
    correlation_id: str = ""
    clock_ahead: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginContext:
    """What a login requested, as far as it is known.

    Attributes:
        resource: The resource identifier that `aud` must contain.
        issuer: The issuer that the server names, or "" if it is unknown.
        now: The current time, in seconds since the epoch; None to skip the checks of the token's times.
        user: The user who logged in, if known.
        scope: The scopes of `--scope`, if given.
        access: The access policy, if the access file is available.
    """

    resource: str
    issuer: str = ""
    now: float | None = None
    user: str | None = None
    scope: str | None = None
    access: AccessPolicy | None = None


def server_message(rejection: RejectedRequest) -> list[str]:
    """Returns the server's own description of a rejection, and the correlation id of its log entry."""
    lines = [f"the server's reason: {rejection.description}"] if rejection.description else []
    if rejection.correlation_id:
        lines.append(f"the server's log has the reason under {rejection.correlation_id}")
    return lines


def explain_rejection(rejection: RejectedRequest, claims: Claims | None, context: LoginContext) -> list[str]:
    """Explains why the server rejected a token, as far as its claims show that, and who can fix it.

    Args:
        rejection: The server's response.
        claims: The claims of the token, or None if it is not a JWT.
        context: What the login requested.

    Returns:
        Lines of text.
    """
    access, lines = context.access, server_message(rejection)
    if claims is None:
        return [
            *lines,
            "the token is not a JWT, so only the provider knows its scopes and audience (introspection)",
            "a server with AUTH_TOKEN_MODE=jwt rejects it: use introspection there, or make the provider issue JWTs",
        ]
    if rejection.status != _FORBIDDEN:
        causes = _wrong_issuer(claims, context) or _wrong_times(claims, rejection, context)
        if causes:
            return [*lines, *causes]
    missing_audience = context.resource not in audiences(claims)
    missing_scope = access is not None and access.base_scope not in access.effective_scopes(scopes(claims))
    if missing_audience:
        named = ", ".join(audiences(claims)) or "no resource"
        lines.append(f"the token is for {named}; this server accepts only tokens for {context.resource}")
    if missing_scope or not scopes(claims):
        kind = roles_or_groups(claims, access.roles_claim if access else "roles")[0]
        none = "no scope" if kind == "role" else f"no scope: this provider grants scopes by {kind}"
        lines.append(f"the token grants {' '.join(scopes(claims)) or none}")
    if _requested_too_little(context):
        needed = access.base_scope if access else ""
        return [*lines, f"--scope requested only {context.scope}; the server needs {needed}: omit --scope"]
    if missing_audience or missing_scope or not scopes(claims) or rejection.status == _FORBIDDEN:
        return lines + _missing(claims, context)
    return [*lines, *_wrong_settings(claims)]


def _requested_too_little(context: LoginContext) -> bool:
    access, scope = context.access, context.scope
    return scope is not None and access is not None and access.base_scope not in access.effective_scopes(scope.split())


def _wrong_issuer(claims: Claims, context: LoginContext) -> list[str]:
    named = claims.get("iss")
    if not context.issuer or named == context.issuer:
        return []
    return [
        f"the token is from the issuer {named}, and the server names {context.issuer}: it expects that, or JWT_ISSUER",
        "give the provider one public name (Keycloak: KC_HOSTNAME), and the server exactly that (OAUTH_SERVER_URL)",
    ]


def _wrong_times(claims: Claims, rejection: RejectedRequest, context: LoginContext) -> list[str]:
    """Compares the token's times with the clocks of this machine and of the server."""
    ahead = rejection.clock_ahead
    if ahead is not None and abs(ahead) > _LEEWAY:
        order = "ahead of" if ahead > 0 else "behind"
        return [
            f"the server's clock is {abs(ahead):.0f} s {order} this machine's",
            "a new token is then expired, or not yet valid: correct the clocks (NTP)",
        ]
    if context.now is None:
        return []
    expires, begins = claims.get("exp"), claims.get("iat")
    if isinstance(expires, int | float) and expires < context.now:
        return ["by this machine's clock the token has expired already: correct the clocks (NTP)"]
    if isinstance(begins, int | float) and begins > context.now + _LEEWAY:
        return ["by this machine's clock the token was issued in the future: correct the clocks (NTP)"]
    return []


def _wrong_settings(claims: Claims) -> list[str]:
    """Returns the explanation if issuer, audience, scopes and times are what the server publishes."""
    if claims.get("typ") in _OTHER_TYPES:
        return [f"the token's type is {claims['typ']}: the provider returned it as access_token, which it is not"]
    return [
        "issuer, audience, scopes and times of the token are what the server publishes, so it expects something else",
        "its log names the rule, the expected and the actual value (in this stack: docker compose logs mcp-server)",
        "JWT_AUDIENCE, JWT_ISSUER and JWT_JWKS_URL override what this project's server publishes: unset them",
        "with AUTH_TOKEN_MODE=introspection, the provider must disclose the token to OAUTH_CLIENT_ID",
    ]


def _missing(claims: Claims, context: LoginContext) -> list[str]:
    access = context.access
    who = context.user or claims.get("preferred_username") or claims.get("username") or claims.get("sub")
    account = f"'{who}'" if who else "your account"
    giver = f"an administrator of the provider ({claims.get('iss', 'the issuer')})"
    kind, names = roles_or_groups(claims, access.roles_claim if access else "roles")
    if access is None:
        return [
            f"{account} probably has no {kind} that grants a scope of this server: {giver} can assign one",
            *_lost_binding(claims, kind),
        ]
    granting_roles = roles_granting(access, access.base_scope, kind)
    lines = [
        f"users get the scope {access.base_scope} with {granting_roles} (idp-config/access.yaml)",
        f"{kind}s of {account} in the token: {', '.join(names) or 'none'}",
    ]
    if kind == "role" and set(names) & set(access.scopes[access.base_scope].roles):
        return [*lines, f"{account} has such a role, so the scope has lost it at the provider", _REPAIR]
    assign = f"{giver} can assign {granting_roles} to {account}; then log in again"
    if is_loopback(urlsplit(str(claims.get("iss", ""))).hostname or ""):  # perhaps a stack, which has no administrator
        assign += "; in the compose stack, access.yaml assigns roles to demo users, and the bootstrap applies it"
    return [*lines, *_lost_binding(claims, kind), assign]


_REPAIR = f"{BOOTSTRAP_CHECK} shows what the provider's scopes lack, and apply repairs it"


def _lost_binding(claims: Mapping[str, object], kind: str) -> list[str]:
    """Returns the other possible cause: without the scope, Keycloak's tokens do not show the user's roles either."""
    if kind != "role" or "/realms/" not in str(claims.get("iss", "")):
        return []
    return [
        "without the scope a token shows no roles: the account has none, or the scope has lost its own at the provider",
        f"first {_REPAIR}; if it finds nothing, the account lacks the role",
    ]
