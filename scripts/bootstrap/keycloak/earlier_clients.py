"""Clients that others made before the rules stood, or past them, and that still carry what the rules refuse today.

An apply leaves clients of others as they are: so a check looks through all that may get tokens for the resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.bootstrap.keycloak.actual import carries_audience
from scripts.bootstrap.keycloak.holes import Hole
from scripts.bootstrap.keycloak.ledger import is_marked
from scripts.bootstrap.keycloak.prune import registered_itself
from scripts.bootstrap.report import some_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mcp_server.access import Access
    from scripts.bootstrap.keycloak.actual import Object

_JUDGED = frozenset({"iss", "sub", "aud", "azp", "client_id", "exp", "iat", "scope", "typ"})  # by the server
_OWN_SUBJECT = "oidc-sha256-pairwise-sub-mapper"  # a person's, for this client alone; it forges nobody's
_MEND = "apply leaves clients of others as they are: remove that, or the client"


def earlier_holes(clients: Iterable[Object], access: Access, audience: str, lifespan: int) -> Iterator[Hole]:
    """What clients besides ours bring along, each kind with the clients that do.

    Args:
        clients: all of the realm.
        access: the access file.
        audience: the resource.
        lifespan: of the realm's access tokens, in seconds.
    """
    suspects = [client for client in clients if not is_marked(client) and _reaches(client, access, audience)]
    judged = _JUDGED.union([access.roles_claim], access.claims)
    found = {
        ("S3", "writes claims that the server judges by"): [c for c in suspects if _forges(c, judged, audience)],
        ("S4", "has tokens that live longer than the realm's"): [c for c in suspects if _lasts(c, lifespan)],
        ("S6", "registered a redirect URI that is relative or a pattern"): [c for c in suspects if _roams(c)],
    }
    for (hole, what), holders in found.items():
        names = sorted(str(client["clientId"]) for client in holders)
        if names:
            count = "a client" if len(names) == 1 else f"each of {len(names)} clients"
            yield Hole(hole, f"{count} that is there already {what} ({some_of(names)})", _MEND)


def _reaches(client: Object, access: Access, audience: str) -> bool:
    """Whether its tokens may be for the resource: by a scope of ours, or by a mapper of its own."""
    scopes = {*(client.get("defaultClientScopes") or []), *(client.get("optionalClientScopes") or [])}
    return bool(scopes & access.scopes.keys()) or bool(_own_mappers(client)) or carries_audience(client, audience)


def _own_mappers(client: Object) -> list[Object]:
    return [mapper for mapper in client.get("protocolMappers") or [] if mapper.get("protocolMapper") != _OWN_SUBJECT]


def _forges(client: Object, judged: frozenset[str], audience: str) -> bool:
    claims = {str((mapper.get("config") or {}).get("claim.name", "")).split(".")[0] for mapper in _own_mappers(client)}
    return bool(claims & judged) or carries_audience(client, audience)


def _lasts(client: Object, lifespan: int) -> bool:
    seconds = str((client.get("attributes") or {}).get("access.token.lifespan", ""))
    return seconds.isdecimal() and int(seconds) > lifespan


def _roams(client: Object) -> bool:
    """An administrator may use patterns; who registered itself must not have been let in with one."""
    uris = client.get("redirectUris") or []
    return registered_itself(client) and any("*" in uri or "://" not in uri for uri in uris)
