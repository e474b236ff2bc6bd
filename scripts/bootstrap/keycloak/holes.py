"""The nine holes of the usual recipe, as findings about a realm that somebody configured; and two by its groups.

Each was reproduced on Keycloak 26.7.5 with open registration as tutorials set it up; docs/keycloak.md tells what an
attacker does with each. They are judged from what was read: nothing is tried.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.bootstrap.keycloak.actual import carries_audience
from scripts.bootstrap.keycloak.machines import MACHINE_GRANT
from scripts.bootstrap.keycloak.policies import GUARD, SHUT
from scripts.bootstrap.keycloak.proof import switches_off
from scripts.bootstrap.plan import same

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.bootstrap.keycloak.actual import Actual, Object

_PASSWORD = "password"  # noqa: S105 - the grant's name (RFC 6749 section 4.3)
_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
# What Keycloak would fetch, call or show (RFC 7591 section 2), as its executor calls them.
_ADDRESSES = frozenset(
    {"jwksUri", "requestUris", "sectorIdentifierUri", "backchannelLogoutUrl", "postLogoutRedirectUris"}
    | {"cibaClientNotificationEndpoint", "logoUri", "policyUri", "tosUri"}
)
_CIBA = "oidc.ciba.grant.enabled"  # the attribute of a client that may
_CONSENT_TITLE = "oauthGrantTitle"  # what the consent page says of the client's name
_APPLY = "apply mends it"
_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class Hole:
    """One way in.

    Attributes:
        id: S1 to S9, G1, G2.
        what: what somebody can do.
        mend: what closes it.
    """

    id: str
    what: str
    mend: str

    @property
    def text(self) -> str:
        """One line for people."""
        return f"{self.id} {self.what}: {self.mend}"


def holes(actual: Actual, audience: str, open_kinds: list[str]) -> Iterator[Hole]:
    """The holes of a realm.

    Args:
        actual: the realm.
        audience: the resource.
        open_kinds: registration endpoints of Keycloak's own kinds that are there.
    """
    rules = _Rules(actual)
    yield from _holes_by_scopes(actual, rules, audience)
    yield from _holes_by_own_kinds(actual, open_kinds)
    if mappers := _open_mappers(actual):
        what = f"a registered client may bring mappers that forge claims, another person's sub too ({mappers})"
        yield Hole("S3", what, _APPLY)
    yield from _holes_by_address(rules)
    if _CONSENT_TITLE not in actual.messages.get("en", {}):
        what = "a registered client calls itself on the consent page as it likes, by a name of Keycloak's own too"
        yield Hole("S8", what, f"{_APPLY}, with the text {_CONSENT_TITLE} of realm.yaml")
    if unchecked := list(rules.open_flows()):
        yield Hole("S9", f"a registered client may use {', '.join(unchecked)}", _APPLY)
    yield from _holes_by_groups(actual)


def _holes_by_groups(actual: Actual) -> Iterator[Hole]:
    """What our groups bring besides the roles that they were given: those are the plan's."""
    mend = "apply cannot: take off the group what brings it, or take it out of the roles that the group has"
    for group, composed in actual.groups.composed.items():
        if rights := sorted(composed.rights):
            yield Hole("G1", f"who is put into the group {group} administers the realm ({_first(rights)})", mend)
        given = set(actual.groups.by_name[group].get("realmRoles") or [])
        bound = sorted(actual.scope_roles.items())
        if more := [name for name, roles in bound if roles & composed.roles and not roles & given]:
            what = f"who is put into the group {group} also gets {_first(more)}, by a role inside another one"
            yield Hole("G2", what, mend)


def _first(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (" …" if len(names) > _MOST_NAMES else "")


def refuses(actual: Actual, grant: str) -> bool:
    """Whether a rule of the realm refuses the grant to every client."""
    return grant in _Rules(actual).refused_grants


def _holes_by_scopes(actual: Actual, rules: _Rules, audience: str) -> Iterator[Hole]:
    ungated = _ungated(actual, audience)
    if ungated and MACHINE_GRANT not in rules.refused_grants:
        what = f"a client that registers itself gets a token without any person, by scope {', '.join(ungated)}"
        yield Hole("S1", what, _APPLY)


def _holes_by_own_kinds(actual: Actual, open_kinds: list[str]) -> Iterator[Hole]:
    switch = f"apply cannot: start Keycloak with {switches_off(open_kinds)}"
    if open_kinds:
        what = f"clients of Keycloak's own kind are taken from anybody ({', '.join(open_kinds)})"
        yield Hole("S2", what, switch)
    if "default" in open_kinds:
        yield Hole("S4", "a registered client chooses how long its tokens live", switch)
    algorithm = str(actual.realm.get("defaultSignatureAlgorithm", ""))
    if algorithm.startswith("HS"):
        yield Hole("S5", f"tokens are signed with {algorithm}, a secret only Keycloak has", _APPLY)
    elif "default" in open_kinds:
        yield Hole("S5", "a registered client has its tokens signed with a shared secret (HS256)", switch)


def _holes_by_address(rules: _Rules) -> Iterator[Hole]:
    if "redirectUris" not in rules.patterned:
        yield Hole("S6", "redirect URIs are not judged by patterns: relative ones and wildcards get in", _APPLY)
    missing = sorted(_ADDRESSES - rules.patterned) or ["frontchannelLogoutUrl"] * (not rules.no_frames)
    if missing:
        yield Hole("S7", f"a registered client makes Keycloak show or fetch foreign addresses ({missing[0]} …)", _APPLY)


def _ungated(actual: Actual, audience: str) -> list[str]:
    """Scopes for the resource that everybody has: bound to no role, or to one that everybody has."""
    return [
        name
        for name, roles in actual.scope_roles.items()
        if carries_audience(actual.scopes[name], audience) and (not roles or roles & actual.roles_of_everybody)
    ]


def _open_mappers(actual: Actual) -> str:
    """Which kinds of registration take mappers, or "" for none."""
    found = {kind: actual.policies.get(f"allowed-protocol-mappers/{kind}") for kind in ("anonymous", "authenticated")}
    open_kinds = [
        kind
        for kind, policy in found.items()
        if policy is None or (policy.get("config") or {}).get("allowed-protocol-mapper-types")
    ]
    return ", ".join(open_kinds)


class _Rules:
    """What the enabled client policies of a realm forbid."""

    def __init__(self, actual: Actual) -> None:
        self._profiles = {profile["name"]: profile for profile in actual.client_profiles}
        guard = (actual.policies.get(GUARD) or {}).get("config")
        # Where nobody registers without a token, what counts is what a client registered earlier may change.
        self._stranger = "ByRegistrationAccessToken" if guard and same(SHUT, guard) else "ByAnonymous"
        self._policies = [policy for policy in actual.client_policies if policy.get("enabled")]

    @property
    def refused_grants(self) -> frozenset[str]:
        """Grant types that no client may use."""
        grants: set[str] = set()
        for policy in self._policies:
            condition = _only(policy, "grant-type")
            if condition is not None and "reject-request" in self._executors(policy):
                grants |= set(condition.get("grant_types") or [])
        return frozenset(grants)

    @property
    def patterned(self) -> frozenset[str]:
        """Members of a registration (as Keycloak calls them) whose addresses are judged by patterns."""
        fields: set[str] = set()
        for policy in self._policies:
            if self._binds_registration(policy):
                for configuration in self._executors(policy).get("secure-client-uris-pattern", []):
                    named = configuration.get("client-uri-fields")
                    fields |= set(named if isinstance(named, list) else [])
        return frozenset(fields)

    @property
    def no_frames(self) -> bool:
        """Whether a registration with a page that Keycloak would frame when people log out is refused."""
        return any(
            configuration.get("allow-front-channel-logout") is False
            for policy in self._policies
            if self._binds_registration(policy)
            for configuration in self._executors(policy).get("secure-logout", [])
        )

    def open_flows(self) -> Iterator[str]:
        """Flows in which a token needs no login page of Keycloak's own, that nothing refuses."""
        for_all = {name for policy in self._policies if _binds_all(policy) for name in self._executors(policy)}
        if _PASSWORD not in self.refused_grants and "reject-ropc-grant" not in for_all:
            yield "people's passwords"
        if "reject-implicit-grant" not in for_all:
            yield "the implicit flow"
        if _DEVICE not in self.refused_grants:
            yield "device codes"
        if not any(self._refuses_ciba(policy) for policy in self._policies):
            yield "logins that it starts on other devices (CIBA)"

    def _refuses_ciba(self, policy: Object) -> bool:
        attributes = (_only(policy, "client-attributes") or {}).get("attributes")
        try:
            wanted = json.loads(str(attributes))
        except ValueError:
            return False
        # Every attribute that is listed must be there, so it must be listed alone.
        return wanted == [{"key": _CIBA, "value": "true"}] and "reject-request" in self._executors(policy)

    def _binds_registration(self, policy: Object) -> bool:
        source = _only(policy, "client-updater-context")
        sources = set(source.get("update-client-source") or []) if source is not None else set()
        return _binds_all(policy) or self._stranger in sources

    def _executors(self, policy: Object) -> dict[str, list[Mapping[str, object]]]:
        found: dict[str, list[Mapping[str, object]]] = {}
        for name in policy.get("profiles") or []:
            for executor in self._profiles.get(name, {}).get("executors") or []:
                found.setdefault(executor["executor"], []).append(executor.get("configuration") or {})
        return found


def _binds_all(policy: Object) -> bool:
    return _only(policy, "any-client") is not None


def _only(policy: Object, kind: str) -> Mapping[str, list[str]] | None:
    """The configuration of the policy's condition if it is one of this kind and the only one: a second may abstain."""
    conditions = policy.get("conditions") or []
    if len(conditions) != 1 or conditions[0].get("condition") != kind:
        return None
    configuration: Mapping[str, list[str]] = conditions[0].get("configuration") or {}
    return configuration
