"""Executes a plan: sends its write requests, replacing each `IdRef` with the id that Keycloak assigned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.cli.bootstrap.changes import IdRef
from mcp_idp.cli.bootstrap.errors import ProviderRequestError
from mcp_idp.cli.bootstrap.keycloak.lookups import find_client, find_user, index_by, read_policies, service_account
from mcp_idp.cli.bootstrap.keycloak.state.groups import find_group

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.cli.bootstrap.changes import Change, RefKind
    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState

_NOT_FOUND = 404


class PlanExecutor:
    """Writes changes one by one.

    Args:
        session: admin client of the realm.
        actual: the state read before the changes; it supplies most ids. Others are looked up when needed, once each.
    """

    def __init__(self, session: AdminClient, actual: CurrentState) -> None:
        self._session = session
        known: dict[RefKind, dict[str, Object]] = {
            "client": actual.clients,
            "client-scope": actual.scopes,
            "group": actual.groups.by_name,
            "registration-policy": actual.policies,
            "role": actual.roles,
            "user": actual.users or {},
        }
        self._ids = {
            IdRef(kind, name): str(found["id"]) for kind, objects in known.items() for name, found in objects.items()
        }

    def write(self, change: Change) -> None:
        """Sends the write request of one change.

        Raises:
            ProviderRequestError: Keycloak rejected the request, or an object that the change refers to does not exist.
            PermissionDenied: the admin client lacks the roles for it.
        """
        path = tuple(self._resolve(part) for part in change.path)
        self._session.write(change.method, path, self._resolve(change.body))

    def _resolve(self, value: Any) -> Any:
        """Returns `value` with each `IdRef` in it replaced by the id, at any depth."""
        if isinstance(value, IdRef):
            if value not in self._ids:
                self._ids[value] = self._look_up(value)
            return self._ids[value]
        if isinstance(value, dict):
            return {name: self._resolve(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self._resolve(member) for member in value]
        return value

    def _look_up(self, ref: IdRef) -> str:
        find = _FIND[ref.kind]
        found = find(self._session, ref.name)
        if found is None:
            raise ProviderRequestError(f"Keycloak has no {ref.kind} '{ref.name}' (any more)", _NOT_FOUND)
        return str(found["id"])


_FIND: dict[RefKind, Callable[[AdminClient, str], Object | None]] = {
    "client": find_client,
    "client-scope": lambda session, name: index_by(session.get("client-scopes"), "name").get(name),
    "group": find_group,
    "registration-policy": lambda session, name: read_policies(session).get(name),
    "role": lambda session, name: session.find("roles", name),
    "service-account": service_account,
    "user": find_user,
}
