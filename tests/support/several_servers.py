"""The access files of several servers on one realm, for tests: orders, notes and crm, each in two variants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from hypothesis import strategies as st

from mcp_idp.access.policy import AccessPolicy
from tests.support.desired_state import desired

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.desired import DesiredState

NAMES = ("orders", "notes", "crm")


def url(name: str) -> str:
    """Returns the public URL of a server."""
    return f"http://localhost:{9000 + NAMES.index(name)}/mcp"


def access_members(name: str, variant: int = 0) -> dict[str, Any]:
    """Returns the members of the access file of one server that differ from those of the others.

    Args:
        name: one of `NAMES`.
        variant: 0; or 1, in which a scope, a role, a user and a group are gone and another user has a role.
    """
    reader, writer, admin = (f"{name}-{role}" for role in ("reader", "writer", "admin"))
    everybody = [reader, writer] if variant else [reader, writer, admin]
    scopes: dict[str, Any] = {
        name: {"description": f"Use {name}", "roles": everybody},
        f"{name}.write": {"description": f"Change {name}", "roles": everybody[1:], "implies": [name]},
    }
    if not variant:
        scopes[f"{name}.admin"] = {"description": "Administer", "roles": [admin], "implies": [f"{name}.write"]}
    return {
        "resource": {"name": name.capitalize()},
        "base_scope": name,
        "scopes": scopes,
        "clients": {f"{name}-native": {"name": name, "redirect_uris": ["http://127.0.0.1/callback"]}},
        "groups": {f"{name}-team": [writer]} if not variant else {},
        "demo_users": {
            "ada": {"password": "ada", "roles": [reader] if not variant else [writer]},
            f"{name}-user": {"password": "x", "roles": [writer]},
            **({} if variant else {"grace": {"password": "grace", "roles": [reader], "groups": [f"{name}-team"]}}),
        },
    }


def access_of(name: str, variant: int = 0, **members: Any) -> AccessPolicy:
    """Returns the access file of one server."""
    registration = {"profile": "loopback-only", "web_origins": ["http://localhost:6274"]}
    content = {"version": 1, "registration": registration, **access_members(name, variant), **members}
    return AccessPolicy.model_validate(content)


def state_of(name: str, variant: int = 0, **members: Any) -> DesiredState:
    """Returns the desired state of one server; `members` replace members of its access file."""
    return desired(access_of(name, variant, **members), url(name))


STOPS = st.none() | st.integers(min_value=0, max_value=60)  # the number of writes before the connection breaks
STEPS = st.one_of(
    st.tuples(st.just("apply"), st.sampled_from(NAMES), st.sampled_from([0, 1]), STOPS),
    st.tuples(st.just("remove"), st.sampled_from(NAMES), st.just(0), STOPS),
    st.tuples(st.just("register"), st.sampled_from([None, "orders", "notes.write crm"]), st.just(0), st.none()),
)
"""What may happen to a realm: kind, server or scope, variant of the access file, and where the connection breaks."""


class View(Protocol):
    """What a realm grants: a `FakeRealm`, or the `RealView` of a real one."""

    scopes: dict[str, Any]
    bindings: dict[str, set[str]]
    lists: dict[str, set[str]]
    clients: dict[str, Any]
    users: dict[str, Any]
    groups: dict[str, Any]


def allowed_scopes(files: Mapping[str, list[int]]) -> dict[str, set[str]]:
    """Returns the scopes that the files of all servers grant to each user.

    Args:
        files: the variants of each server's file that may be in effect, by name.
    """
    found: dict[str, set[str]] = {}
    for access in (access_of(name, variant) for name, variants in files.items() for variant in variants):
        for user, demo in access.demo_users.items():
            granted = access.scopes_granted_by(frozenset(access.roles_of_demo_user(demo)))
            found.setdefault(user, set()).update(granted)
    return found


def require_no_more_than(view: View, files: Mapping[str, list[int]]) -> None:
    """Asserts that a realm grants nobody a scope that the files do not.

    A scope that a client can request must be bound to a role, because otherwise every account would get it.
    """
    allowed = allowed_scopes(files)
    scopes = {name for name, found in view.scopes.items() if found.get("protocolMappers") and name.startswith(NAMES)}
    requestable = set().union(*view.lists.values())
    for client in view.clients.values():
        requestable |= {*client["defaultClientScopes"], *client["optionalClientScopes"]}
    for name in scopes & requestable:
        assert view.bindings[name], f"every account gets {name}"
    for user, found in view.users.items():
        roles = set(found["roles"]).union(*(view.groups[group]["realmRoles"] for group in found["groups"]))
        granted = {name for name in scopes & requestable if view.bindings[name] & roles}
        assert granted <= allowed.get(user, set()), f"{user} gets {granted - allowed.get(user, set())}"


class RealView:
    """What a real realm grants, read by the admin API."""

    def __init__(self, admin: AdminClient) -> None:
        scopes = admin.get("client-scopes")
        self.scopes = {found["name"]: found for found in scopes}
        mappings = {s["name"]: admin.get("client-scopes", s["id"], "scope-mappings") for s in scopes}
        self.bindings = {
            name: {role["name"] for role in found.get("realmMappings", [])} for name, found in mappings.items()
        }
        self.lists = {
            kind: {found["name"] for found in admin.get(f"default-{kind}-client-scopes")}
            for kind in ("default", "optional")
        }
        self.clients = {found["clientId"]: found for found in admin.get("clients", max="1000")}
        groups = [admin.get("group-by-path", found["name"]) for found in admin.get("groups")]
        self.groups = {found["name"]: found for found in groups}
        self.users = {user["username"]: self._user(admin, user["id"]) for user in admin.get("users")}

    @staticmethod
    def _user(admin: AdminClient, number: str) -> dict[str, set[str]]:
        roles = admin.get("users", number, "role-mappings", "realm")
        groups = admin.get("users", number, "groups")
        return {"roles": {found["name"] for found in roles}, "groups": {found["name"] for found in groups}}
