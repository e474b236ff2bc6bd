"""The nine holes of the usual recipe, as findings about a realm that somebody configured; and by roles and groups.

Each was reproduced on Keycloak 26.7.5 with open registration as tutorials set it up; docs/keycloak.md tells what an
attacker does with each. They are judged from what was read: nothing is tried.

Clients and scopes that others made before the rules stood, or past them, and that still carry what they refuse.

An apply leaves what is others' as it is: so a check looks through all that gets tokens for the resource.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.cli.bootstrap.keycloak.compliance.policy_analysis import Rules
from mcp_idp.cli.bootstrap.keycloak.lookups import carries_audience
from mcp_idp.cli.bootstrap.keycloak.resources.service_clients import MACHINE_GRANT
from mcp_idp.cli.bootstrap.keycloak.stale_clients import registered_itself
from mcp_idp.cli.bootstrap.keycloak.verification import switches_off
from mcp_idp.cli.bootstrap.output import some_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mcp_idp.access.policy import Access
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import Actual

_JUDGED = frozenset({"iss", "sub", "aud", "azp", "exp", "iat", "scope", "typ"})  # by the server
# Mappers that write what Keycloak itself knows: the person's own `sub`, and notes of the session.
_TRUE = frozenset({"oidc-sub-mapper", "oidc-sha256-pairwise-sub-mapper", "oidc-usersessionmodel-note-mapper"})
_GIVES_ROLES = frozenset({"oidc-hardcoded-role-mapper", "oidc-role-name-mapper"})
_SCRIPT = "script-"  # its name begins so
_ANYWHERE = frozenset({"*", "http://*", "https://*"})
_DOT = re.compile(r"(?<!\\)\.")  # a claim's name is a path; an escaped dot belongs to the name
_MEND = "apply leaves what is others' as it is: remove that, or the {}"


def earlier_holes(clients: Iterable[Object], access: Access, audience: str, actual: Actual) -> Iterator[Hole]:
    """What clients and scopes besides ours bring along, each kind with those that do.

    Args:
        clients: all of the realm.
        access: the access file.
        audience: the resource.
        actual: the realm.
    """
    ours = actual.ledger.clients  # and not a mark: a stranger can have set one
    others = [client for client in clients if client["clientId"] not in ours]
    suspects = [client for client in others if _reaches(client, actual.bindings, audience)]
    lifespan = int(actual.realm["accessTokenLifespan"])
    judged = _JUDGED.union([access.roles_claim])
    kinds = {
        ("S3", "writes what the server judges by"): [
            client for client in suspects if _forges(client, judged.union(access.claims), audience)
        ],
        ("S4", "has tokens that live longer than the realm's"): [c for c in suspects if _lasts(c, lifespan)],
        ("S6", "has a redirect URI that is relative or a pattern"): [c for c in suspects if _roams(c)],
    }
    for (hole, what), found in kinds.items():
        yield from _named(hole, "client", what, [str(client["clientId"]) for client in found])
    # Ours are compared with the file; of the others Keycloak's own bring what a person is called.
    theirs = {name for client in suspects for name in _scopes(client)} - access.brought_by.keys()
    forged = [name for name in theirs if _forges(actual.scopes.get(name, {}), judged, audience=None)]
    yield from _named("S3", "client scope", "writes what the server judges by", forged)


def _named(hole: str, kind: str, what: str, names: list[str]) -> Iterator[Hole]:
    if names:
        count = f"a {kind}" if len(names) == 1 else f"each of {len(names)} {kind}s"
        yield Hole(hole, f"{count} that is there already {what} ({some_of(sorted(names))})", _MEND.format(kind))


def _scopes(client: Object) -> set[str]:
    return {*(client.get("defaultClientScopes") or []), *(client.get("optionalClientScopes") or [])}


def _reaches(client: Object, bindings: Collection[str], audience: str) -> bool:
    """Whether its tokens may be for the resource: by a scope, ours or another's, or by a mapper of its own."""
    own = any("aud" in _claim(mapper) for mapper in _mappers(client))
    return bool(_scopes(client).intersection(bindings)) or own or carries_audience(client, audience)


def _mappers(owner: Object) -> list[Object]:
    return [mapper for mapper in owner.get("protocolMappers") or [] if mapper.get("protocolMapper") not in _TRUE]


def _claim(mapper: Object) -> set[str]:
    """The claim that a mapper writes: its first part, and the whole of it."""
    parts = [part.replace("\\.", ".") for part in _DOT.split(str((mapper.get("config") or {}).get("claim.name", "")))]
    return {parts[0], ".".join(parts)}


def _forges(owner: Object, judged: Collection[str], audience: str | None) -> bool:
    mappers = _mappers(owner)
    kinds = {str(mapper.get("protocolMapper")) for mapper in mappers}
    return (
        any(_claim(mapper).intersection(judged) for mapper in mappers)
        or bool(kinds & _GIVES_ROLES)
        or any(kind.startswith(_SCRIPT) for kind in kinds)
        or (audience is not None and carries_audience(owner, audience))
    )


def _lasts(client: Object, lifespan: int) -> bool:
    """Keycloak 26.7.5 takes any whole number, "+9" as well; one below zero is as long as a session."""
    try:
        seconds = int(str((client.get("attributes") or {}).get("access.token.lifespan") or "0"))
    except ValueError:
        return False
    return seconds < 0 or seconds > lifespan


def _roams(client: Object) -> bool:
    """An administrator may use patterns, but not for every host; who registered itself not at all."""
    uris = client.get("redirectUris") or []
    if registered_itself(client):
        return any("*" in uri or not urlsplit(uri).scheme for uri in uris)
    return bool(_ANYWHERE.intersection(uris))


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
