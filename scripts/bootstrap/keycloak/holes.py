"""The nine holes of the usual recipe, as findings about a realm that somebody configured; and by roles and groups.

Each was reproduced on Keycloak 26.7.5 with open registration as tutorials set it up; docs/keycloak.md tells what an
attacker does with each. They are judged from what was read: nothing is tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.bootstrap.keycloak.machines import MACHINE_GRANT
from scripts.bootstrap.keycloak.mappers import carries_audience
from scripts.bootstrap.keycloak.proof import switches_off
from scripts.bootstrap.keycloak.rules import Rules
from scripts.bootstrap.report import some_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.bootstrap.keycloak.actual import Actual

# What Keycloak would fetch, call or show (RFC 7591 section 2), as its executor calls them.
_ADDRESSES = frozenset(
    {"jwksUri", "requestUris", "sectorIdentifierUri", "backchannelLogoutUrl", "postLogoutRedirectUris"}
    | {"cibaClientNotificationEndpoint", "logoUri", "policyUri", "tosUri"}
)
_CONSENT_TITLE = "oauthGrantTitle"  # what the consent page says of the client's name
_APPLY = "apply mends it"


@dataclass(frozen=True, slots=True)
class Hole:
    """One way in.

    Attributes:
        id: S1 to S9; R1 for roles; G1, G2 for groups.
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
    rules = Rules(actual)
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
    yield from _everybodys_by_others(actual)
    yield from _rights_in_roles(actual)
    yield from _holes_by_groups(actual)


def _holes_by_groups(actual: Actual) -> Iterator[Hole]:
    """What our groups bring besides the roles that they were given: those are the plan's."""
    mend = "apply cannot: take off the group what brings it, or take it out of the roles that the group has"
    for group, composed in actual.groups.composed.items():
        if rights := sorted(composed.rights):
            yield Hole("G1", f"who is put into the group {group} administers the realm ({some_of(rights)})", mend)
        given = set(actual.groups.by_name[group].get("realmRoles") or [])
        bound = sorted((name, binding.realm) for name, binding in actual.bindings.items())
        if more := [name for name, roles in bound if roles & composed.roles and not roles & given]:
            what = f"who is put into the group {group} also gets {some_of(more)}, by a role inside another one"
            yield Hole("G2", what, mend)


def refuses(actual: Actual, grant: str) -> bool:
    """Whether a rule of the realm refuses the grant to every client."""
    return grant in Rules(actual).refused_grants


def _holes_by_scopes(actual: Actual, rules: Rules, audience: str) -> Iterator[Hole]:
    ungated = _ungated(actual, audience)
    if ungated and MACHINE_GRANT not in rules.refused_grants:
        what = f"a client that registers itself gets a token without any person, by scope {', '.join(ungated)}"
        by_others = any(actual.giver_of(role, _bringing(actual)) for role in _bringing(actual))
        yield Hole("S1", what, "see R1" if by_others else _APPLY)


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


def _holes_by_address(rules: Rules) -> Iterator[Hole]:
    if "redirectUris" not in rules.patterned:
        yield Hole("S6", "redirect URIs are not judged by patterns: relative ones and wildcards get in", _APPLY)
    missing = sorted(_ADDRESSES - rules.patterned) or ["frontchannelLogoutUrl"] * (not rules.no_frames)
    if missing:
        yield Hole("S7", f"a registered client makes Keycloak show or fetch foreign addresses ({missing[0]} …)", _APPLY)


def _ungated(actual: Actual, audience: str) -> list[str]:
    """Scopes for the resource that everybody has: bound to no role, or to one that everybody has."""
    everybodys = actual.roles_of_everybody
    return [
        name
        for name, binding in actual.bindings.items()
        if carries_audience(actual.scopes[name], audience)
        and (not binding or binding.realm & everybodys or binding.ids & actual.default.by_id.keys())
    ]


def _everybodys_by_others(actual: Actual) -> Iterator[Hole]:
    """Roles of ours that everybody has as a part of another one. What is given so directly, an apply takes back."""
    bringing = _bringing(actual)
    for name in sorted(bringing):
        if giver := actual.giver_of(name, bringing):
            what = f"everybody has the role {name}, by {giver}, which is in {actual.default_role_name}"
            yield Hole("R1", what, f"apply cannot: take {giver} out of there, or {name} out of it")


def _bringing(actual: Actual) -> frozenset[str]:
    return frozenset().union(*(binding.realm for binding in actual.bindings.values()))


def _rights_in_roles(actual: Actual) -> Iterator[Hole]:
    for name, parts in actual.parts.items():
        if parts.rights:
            what = f"who has the role {name} administers the realm ({some_of(sorted(parts.rights))})"
            yield Hole("R2", what, "apply cannot: take these rights out of the role")


def _open_mappers(actual: Actual) -> str:
    """Which kinds of registration take mappers, or "" for none."""
    found = {kind: actual.policies.get(f"allowed-protocol-mappers/{kind}") for kind in ("anonymous", "authenticated")}
    open_kinds = [
        kind
        for kind, policy in found.items()
        if policy is None or (policy.get("config") or {}).get("allowed-protocol-mapper-types")
    ]
    return ", ".join(open_kinds)
