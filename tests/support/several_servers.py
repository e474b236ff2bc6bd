"""The access files of several servers on one realm, for tests: orders, notes and crm, each in two variants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.access.policy import AccessPolicy
from tests.support.desired_state import desired

if TYPE_CHECKING:
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
