"""What a probe leaves at a Keycloak, found again and removed: at its end, and by the next one if it had none.

While a probe runs, a disabled client of its own stands in the realm, whose id is the name that all its registrations
bear. So a registration is known for the probe's even if its answer never came, and another one can clean up after a
probe that was killed. A client that calls itself so without such a client beside it is somebody else's and stays.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import BootstrapError, ProviderRequestError
from mcp_idp.cli.bootstrap.keycloak.lookups import find_client
from mcp_idp.cli.bootstrap.keycloak.stale_clients import all_clients
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
    """Nothing of earlier probes is there before, and nothing that `anonymous_client` registered afterwards.

    If the answer to a registration never came, Keycloak may still be at it: then the client of this probe's own stays
    for the next one, which removes what came late.

    Raises:
        Forbidden: the admin client may not make and remove clients; nothing was tried.
        Failure: something could not be removed, or another probe ran beside this one and removed its clients.
    """
    # What could not be removed must not be made by a stranger.
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
    """The ids of the clients that were registered under this mark."""
    names = [(found["clientId"], found.get("name")) for found in clients]
    return [client_id for client_id, name in names if name == marker or client_id.startswith(f"{marker}-")]


def _remove(session: AdminClient, client_ids: list[str], clients: list[Object]) -> None:
    """All that is there, even if one of them fails, and in this order."""
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
