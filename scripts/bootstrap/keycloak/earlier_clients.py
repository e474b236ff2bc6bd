"""Clients and scopes that others made before the rules stood, or past them, and that still carry what they refuse.

An apply leaves what is others' as it is: so a check looks through all that gets tokens for the resource.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scripts.bootstrap.keycloak.holes import Hole
from scripts.bootstrap.keycloak.mappers import carries_audience
from scripts.bootstrap.keycloak.prune import registered_itself
from scripts.bootstrap.report import some_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mcp_server.access import Access
    from scripts.bootstrap.keycloak.actual import Actual, Object

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
