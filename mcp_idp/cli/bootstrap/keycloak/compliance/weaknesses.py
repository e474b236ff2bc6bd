"""Finds weaknesses in a realm: S1 to S9 of the usual setup, R1 and R2 in roles, G1 and G2 in groups.

S1 to S9 were each reproduced on Keycloak 26.7.5 with open registration as tutorials configure it; docs/keycloak.md says
what an attacker does with each. The findings are derived from the state that was read; nothing is attempted.

An apply leaves unmanaged objects unchanged. Unmanaged clients and scopes that predate the policies, or bypassed them,
may still have what the policies reject, so the audit examines all that can get tokens for the resource.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.cli.bootstrap.changes import is_satisfied
from mcp_idp.cli.bootstrap.keycloak.compliance.policy_analysis import ClientPolicyAnalysis
from mcp_idp.cli.bootstrap.keycloak.lookups import carries_audience
from mcp_idp.cli.bootstrap.keycloak.realm_verification import disable_options
from mcp_idp.cli.bootstrap.keycloak.resources.protocol_mappers import audience_mapper
from mcp_idp.cli.bootstrap.keycloak.resources.service_clients import CLIENT_CREDENTIALS
from mcp_idp.cli.bootstrap.keycloak.stale_clients import is_dynamically_registered
from mcp_idp.cli.bootstrap.output import join_first

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
    from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership

_VALIDATED_CLAIMS = frozenset({"iss", "sub", "aud", "azp", "exp", "iat", "scope", "typ"})  # by the MCP server
# Harmless mappers: they write values that Keycloak itself determines, the user's own `sub` or session notes.
_HARMLESS_MAPPERS = frozenset(
    {"oidc-sub-mapper", "oidc-sha256-pairwise-sub-mapper", "oidc-usersessionmodel-note-mapper"}
)
_ROLE_MAPPERS = frozenset({"oidc-hardcoded-role-mapper", "oidc-role-name-mapper"})
_SCRIPT = "script-"  # prefix of the names of script mappers
_WILDCARD_REDIRECTS = frozenset({"*", "http://*", "https://*"})
_DOT = re.compile(r"(?<!\\)\.")  # separates the segments of a claim path; an escaped dot is part of a segment
_FIX = "apply does not change it: remove that, or the {}"


def find_in_existing_clients(
    clients: Iterable[Object], access: AccessPolicy, audience: str, ownership: Ownership, actual: CurrentState
) -> Iterator[Weakness]:
    """Finds weaknesses in unmanaged clients and client scopes that can get tokens for the resource.

    Args:
        clients: representations of all clients of the realm.
        access: the access file.
        audience: the resource.
        ownership: whose the realm's objects are.
        actual: the current state of the realm.

    Yields:
        One weakness per kind of problem, which names the clients or scopes that have it.
    """
    managed = ownership.recorded_clients  # not the marker attribute: an anonymous client may have set it
    unmanaged = [client for client in clients if client["clientId"] not in managed]
    suspects = [client for client in unmanaged if _can_have_audience(client, actual.bindings, audience)]
    lifespan = int(actual.realm["accessTokenLifespan"])
    validated_claims = _VALIDATED_CLAIMS.union([access.roles_claim])
    kinds = {
        ("S3", "writes claims that the server relies on"): [
            client for client in suspects if _overrides_claims(client, validated_claims.union(access.claims), audience)
        ],
        ("S4", "has tokens with a longer lifetime than the realm's"): [
            c for c in suspects if _exceeds_lifespan(c, lifespan)
        ],
        ("S6", "has a redirect URI that is relative or a pattern"): [c for c in suspects if _has_open_redirect(c)],
    }
    for (weakness, what), found in kinds.items():
        yield from _named(weakness, "client", what, [str(client["clientId"]) for client in found])
    # Managed scopes are compared by the plan. For the others `access.claims` does not count: Keycloak's built-in scopes
    # write claims such as the user's name.
    scope_names = {name for client in suspects for name in _scopes(client)} - access.roles_by_scope.keys()
    allowed = {url for rules in access.issuers.values() for url in rules.further_audiences or ()}
    scope_names -= _scopes_of_other_resources(ownership, actual, allowed)
    forged = [
        name for name in scope_names if _overrides_claims(actual.scopes.get(name, {}), validated_claims, audience=None)
    ]
    yield from _named("S3", "client scope", "writes claims that the server relies on", forged)


def _scopes_of_other_resources(ownership: Ownership, actual: CurrentState, allowed: Collection[str]) -> frozenset[str]:
    """Returns the other resources' scopes that add their audience: no token with such a scope is accepted here.

    Those of a resource in `allowed` (`further_audiences`) are left out, because such a token is accepted.
    """
    owners = {name: ownership.other_owner("scopes", name) for name in actual.scopes}
    return frozenset(
        name
        for name, owner in owners.items()
        if owner is not None
        and owner not in allowed
        and any(
            is_satisfied(audience_mapper(owner), mapper) for mapper in actual.scopes[name].get("protocolMappers") or []
        )
    )


def _named(weakness: str, kind: str, what: str, names: list[str]) -> Iterator[Weakness]:
    if names:
        count = f"a {kind}" if len(names) == 1 else f"each of {len(names)} {kind}s"
        yield Weakness(
            weakness, f"{count} that already existed {what} ({join_first(sorted(names))})", _FIX.format(kind)
        )


def _scopes(client: Object) -> set[str]:
    return {*(client.get("defaultClientScopes") or []), *(client.get("optionalClientScopes") or [])}


def _can_have_audience(client: Object, bindings: Collection[str], audience: str) -> bool:
    """Checks whether a client's tokens can have the audience, by a client scope or by a mapper of its own."""
    by_mapper = any("aud" in _claim(mapper) for mapper in _mappers(client))
    return bool(_scopes(client).intersection(bindings)) or by_mapper or carries_audience(client, audience)


def _mappers(owner: Object) -> list[Object]:
    return [
        mapper for mapper in owner.get("protocolMappers") or [] if mapper.get("protocolMapper") not in _HARMLESS_MAPPERS
    ]


def _claim(mapper: Object) -> set[str]:
    """Returns the claim that a mapper writes, as its first path segment and as the whole path."""
    parts = [part.replace("\\.", ".") for part in _DOT.split(str((mapper.get("config") or {}).get("claim.name", "")))]
    return {parts[0], ".".join(parts)}


def _overrides_claims(owner: Object, validated_claims: Collection[str], audience: str | None) -> bool:
    mappers = _mappers(owner)
    kinds = {str(mapper.get("protocolMapper")) for mapper in mappers}
    return (
        any(_claim(mapper).intersection(validated_claims) for mapper in mappers)
        or bool(kinds & _ROLE_MAPPERS)
        or any(kind.startswith(_SCRIPT) for kind in kinds)
        or (audience is not None and carries_audience(owner, audience))
    )


def _exceeds_lifespan(client: Object, lifespan: int) -> bool:
    """Checks whether a client's access tokens live longer than `lifespan` seconds.

    Keycloak 26.7.5 accepts any integer, "+9" too; a negative one means as long as the session.
    """
    try:
        seconds = int(str((client.get("attributes") or {}).get("access.token.lifespan") or "0"))
    except ValueError:
        return False
    return seconds < 0 or seconds > lifespan


def _has_open_redirect(client: Object) -> bool:
    """Checks a client for dangerous redirect URIs.

    An administrator may use wildcards, but not for every host; a dynamically registered client may not use any, nor
    relative URIs.
    """
    uris = client.get("redirectUris") or []
    if is_dynamically_registered(client):
        return any("*" in uri or not urlsplit(uri).scheme for uri in uris)
    return bool(_WILDCARD_REDIRECTS.intersection(uris))


# URLs of a registration that Keycloak would fetch, call or show (RFC 7591 section 2), by its executor's names.
_URL_FIELDS = frozenset(
    {"jwksUri", "requestUris", "sectorIdentifierUri", "backchannelLogoutUrl", "postLogoutRedirectUris"}
    | {"cibaClientNotificationEndpoint", "logoUri", "policyUri", "tosUri"}
)
_CONSENT_TITLE = "oauthGrantTitle"  # the message key of the consent page's title, which shows the client's name
_APPLY = "apply fixes it"


@dataclass(frozen=True, slots=True)
class Weakness:
    """A misconfiguration that an attacker could exploit.

    Attributes:
        id: S1 to S9; R1, R2 for roles; G1, G2 for groups.
        what: what an attacker can do.
        fix: how to fix it.
    """

    id: str
    what: str
    fix: str

    @property
    def text(self) -> str:
        """One line of output."""
        return f"{self.id} {self.what}: {self.fix}"


def find_weaknesses(actual: CurrentState, audience: str, open_endpoints: list[str]) -> Iterator[Weakness]:
    """Finds the weaknesses of a realm's configuration.

    Args:
        actual: the current state of the realm.
        audience: the resource.
        open_endpoints: enabled registration endpoints that accept Keycloak's own client formats.

    Yields:
        The weaknesses, ordered by kind.
    """
    rules = ClientPolicyAnalysis(actual)
    yield from _weaknesses_by_scopes(actual, rules, audience)
    yield from _weaknesses_by_native_endpoints(actual, open_endpoints)
    if mappers := _open_mappers(actual):
        what = f"a registered client may add mappers that forge claims, even another user's sub ({mappers})"
        yield Weakness("S3", what, _APPLY)
    yield from _weaknesses_by_urls(rules)
    if _CONSENT_TITLE not in actual.messages.get("en", {}):
        what = "a registered client may use any name on the consent page, even one of Keycloak's own"
        yield Weakness("S8", what, f"{_APPLY}, with the text {_CONSENT_TITLE} of realm.yaml")
    if unchecked := list(rules.open_flows()):
        yield Weakness("S9", f"a registered client may use {', '.join(unchecked)}", _APPLY)
    yield from _inherited_default_roles(actual)
    yield from _rights_in_roles(actual)
    yield from _weaknesses_by_groups(actual)


def _weaknesses_by_groups(actual: CurrentState) -> Iterator[Weakness]:
    """Finds what managed groups grant beyond their directly assigned roles, which the plan compares."""
    fix = "apply cannot fix it: remove the role from the group, or from the roles that the group has"
    for group, composed in actual.groups.composed.items():
        if rights := sorted(composed.rights):
            yield Weakness("G1", f"members of the group {group} administer the realm ({join_first(rights)})", fix)
        granted = set(actual.groups.by_name[group].get("realmRoles") or [])
        bound = sorted((name, binding.realm) for name, binding in actual.bindings.items())
        if more := [name for name, roles in bound if roles & composed.roles and not roles & granted]:
            what = f"members of the group {group} also get {join_first(more)}, through a composite role"
            yield Weakness("G2", what, fix)


def rejects_grant(actual: CurrentState, grant: str) -> bool:
    """Checks whether a client policy of the realm rejects the grant type for every client."""
    return grant in ClientPolicyAnalysis(actual).rejected_grants


def _weaknesses_by_scopes(actual: CurrentState, rules: ClientPolicyAnalysis, audience: str) -> Iterator[Weakness]:
    unrestricted = _unrestricted_scopes(actual, audience)
    if unrestricted and CLIENT_CREDENTIALS not in rules.rejected_grants:
        what = f"a client that registers itself gets a token without any user, by the scope {', '.join(unrestricted)}"
        inherited = any(actual.default_role_granting(role, _granting_roles(actual)) for role in _granting_roles(actual))
        yield Weakness("S1", what, "see R1" if inherited else _APPLY)


def _weaknesses_by_native_endpoints(actual: CurrentState, open_endpoints: list[str]) -> Iterator[Weakness]:
    fix = f"apply cannot fix it: start Keycloak with {disable_options(open_endpoints)}"
    if open_endpoints:
        what = f"anyone may register clients in Keycloak's own formats ({', '.join(open_endpoints)})"
        yield Weakness("S2", what, fix)
    if "default" in open_endpoints:
        yield Weakness("S4", "a registered client may choose the lifetime of its tokens", fix)
    algorithm = str(actual.realm.get("defaultSignatureAlgorithm", ""))
    if algorithm.startswith("HS"):
        yield Weakness("S5", f"tokens are signed with {algorithm}, with a secret that only Keycloak has", _APPLY)
    elif "default" in open_endpoints:
        yield Weakness("S5", "a registered client may have its tokens signed with a shared secret (HS256)", fix)


def _weaknesses_by_urls(rules: ClientPolicyAnalysis) -> Iterator[Weakness]:
    if "redirectUris" not in rules.pattern_checked_fields:
        yield Weakness(
            "S6", "redirect URIs are not checked against patterns: relative ones and wildcards are accepted", _APPLY
        )
    missing = sorted(_URL_FIELDS - rules.pattern_checked_fields) or ["frontchannelLogoutUrl"] * (
        not rules.blocks_front_channel_logout
    )
    if missing:
        yield Weakness(
            "S7", f"a registered client may make Keycloak show or fetch third-party URLs ({missing[0]} …)", _APPLY
        )


def _unrestricted_scopes(actual: CurrentState, audience: str) -> list[str]:
    """Returns the scopes with the audience that every account gets: bound to no role, or to a default role."""
    default_roles = actual.default_roles
    return [
        name
        for name, binding in actual.bindings.items()
        if carries_audience(actual.scopes[name], audience)
        and (not binding or binding.realm & default_roles or binding.ids & actual.default.by_id.keys())
    ]


def _inherited_default_roles(actual: CurrentState) -> Iterator[Weakness]:
    """Finds managed roles that every user has as part of another role.

    A managed role directly inside the default role is no finding: an apply removes it.
    """
    granting = _granting_roles(actual)
    for name in sorted(granting):
        if composite := actual.default_role_granting(name, granting):
            what = f"every user has the role {name}, through {composite}, which is in {actual.default_role_name}"
            yield Weakness("R1", what, f"apply cannot fix it: remove {composite} from there, or {name} from it")


def _granting_roles(actual: CurrentState) -> frozenset[str]:
    return frozenset().union(*(binding.realm for binding in actual.bindings.values()))


def _rights_in_roles(actual: CurrentState) -> Iterator[Weakness]:
    for name, parts in actual.parts.items():
        if parts.admin_roles:
            what = f"users with the role {name} administer the realm ({join_first(sorted(parts.admin_roles))})"
            yield Weakness("R2", what, "apply cannot fix it: remove these rights from the role")


def _open_mappers(actual: CurrentState) -> str:
    """Returns the kinds of registration that allow protocol mappers, joined by commas; "" for none."""
    found = {kind: actual.policies.get(f"allowed-protocol-mappers/{kind}") for kind in ("anonymous", "authenticated")}
    open_kinds = [
        kind
        for kind, policy in found.items()
        if policy is None or (policy.get("config") or {}).get("allowed-protocol-mapper-types")
    ]
    return ", ".join(open_kinds)
