"""Deletes the clients that a probe registered, at its end or, if it was interrupted, at the start of the next probe.

While a probe runs, a disabled managed client (the sentinel) exists in the realm, whose id marks all clients that the
probe registers, as their name or as the beginning of their id. A registration is therefore recognized even if its
response never arrived, and the next probe can clean up after one that was killed. A client so marked but without a
sentinel was not registered by a probe and stays.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import BootstrapError, ProviderRequestError
from mcp_idp.cli.bootstrap.keycloak.lookups import all_clients, find_client
from mcp_idp.cli.bootstrap.keycloak.state.managed import MANAGED_MARKER, is_managed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.probe.anonymous_client import AnonymousClient

_GONE = 404
_MARKER_PATTERN = re.compile(r"probe-[0-9a-f]{32}")


@contextmanager
def cleanup_guard(session: AdminClient, anonymous_client: AnonymousClient) -> Iterator[None]:
    """Deletes the clients of earlier probes on entry, and those that `anonymous_client` registered on exit.

    If the response to a registration never arrived, Keycloak may still be processing it. The sentinel then stays, so
    that the next probe deletes a client that was created late.

    Args:
        session: admin client of the realm.
        anonymous_client: the client of this probe.

    Raises:
        PermissionDenied: the admin client may not create and delete clients; no case was run.
        BootstrapError: a client could not be deleted, or another probe ran at the same time and deleted this one's
            clients.
    """
    # Check first that this account can create and delete clients: otherwise registered clients would be left behind.
    _create_sentinel(session, anonymous_client.marker)
    _remove(session, [anonymous_client.marker], list(all_clients(session)))
    clients = list(all_clients(session))
    for marker in [found["clientId"] for found in clients if _is_announced(found)]:
        _remove(session, _of(marker, clients), clients)
        _remove(session, [marker], clients)
    _create_sentinel(session, anonymous_client.marker)
    try:
        yield
    finally:
        _end(session, anonymous_client)


def _end(session: AdminClient, anonymous_client: AnonymousClient) -> None:
    try:
        undisturbed = find_client(session, anonymous_client.marker) is not None
        clients = list(all_clients(session))
        _remove(session, [*anonymous_client.created_ids, *_of(anonymous_client.marker, clients)], clients)
        if not anonymous_client.response_pending:
            _remove(session, [anonymous_client.marker], clients)
    except BootstrapError as failure:
        raise BootstrapError(f"clients of the probe remain; run it again to remove them: {failure}") from failure
    if not undisturbed:
        raise BootstrapError(
            "another probe ran at the same time and removed its clients, so there is no result: run it again"
        )


def _create_sentinel(session: AdminClient, marker: str) -> None:
    session.write("POST", ("clients",), {"clientId": marker, "enabled": False, "attributes": MANAGED_MARKER})


def _is_announced(found: Object) -> bool:
    return _MARKER_PATTERN.fullmatch(found["clientId"]) is not None and is_managed(found)


def _of(marker: str, clients: list[Object]) -> list[str]:
    """Returns the ids of the clients that were registered under this marker."""
    names = [(found["clientId"], found.get("name")) for found in clients]
    return [client_id for client_id, name in names if name == marker or client_id.startswith(f"{marker}-")]


def _remove(session: AdminClient, client_ids: list[str], clients: list[Object]) -> None:
    """Deletes the clients that exist, in this order; a failure does not stop the others."""
    there = {found["clientId"]: found["id"] for found in clients}
    left = []
    for client_id in dict.fromkeys(client_ids):
        if client_id in there:
            try:
                _delete(session, there[client_id])
            except BootstrapError as failure:
                left.append(f"{client_id} ({failure})")
    if left:
        raise BootstrapError(", ".join(left))


def _delete(session: AdminClient, client: str) -> None:
    try:
        session.write("DELETE", ("clients", client))
    except ProviderRequestError as error:
        if error.status != _GONE:
            raise
