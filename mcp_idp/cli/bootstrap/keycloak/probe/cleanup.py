"""What a probe leaves at a Keycloak, found again and removed: at its end, and by the next one if it had none.

While a probe runs, a disabled client of its own stands in the realm, whose id is the name that all its registrations
bear. So a registration is known for the probe's even if its answer never came, and another one can clean up after a
probe that was killed. A client that calls itself so without such a client beside it is somebody else's and stays.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import Failure, ProviderRefused
from mcp_idp.cli.bootstrap.keycloak.lookups import find_client
from mcp_idp.cli.bootstrap.keycloak.stale_clients import all_clients
from mcp_idp.cli.bootstrap.keycloak.state.managed import MARK, is_marked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.cli.bootstrap.keycloak.admin_client import Session
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.probe.anonymous_client import Stranger

_GONE = 404
_A_MARK = re.compile(r"probe-[0-9a-f]{32}")


@contextmanager
def cleaned_up(session: Session, stranger: Stranger) -> Iterator[None]:
    """Nothing of earlier probes is there before, and nothing that `stranger` registered afterwards.

    If the answer to a registration never came, Keycloak may still be at it: then the client of this probe's own stays
    for the next one, which removes what came late.

    Raises:
        Forbidden: the admin client may not make and remove clients; nothing was tried.
        Failure: something could not be removed, or another probe ran beside this one and removed its clients.
    """
    # What could not be removed must not be made by a stranger.
    _announce(session, stranger.mark)
    _remove(session, [stranger.mark], list(all_clients(session)))
    clients = list(all_clients(session))
    for mark in [found["clientId"] for found in clients if _is_announced(found)]:
        _remove(session, _of(mark, clients), clients)
        _remove(session, [mark], clients)
    _announce(session, stranger.mark)
    try:
        yield
    finally:
        _end(session, stranger)


def _end(session: Session, stranger: Stranger) -> None:
    try:
        undisturbed = find_client(session, stranger.mark) is not None
        clients = list(all_clients(session))
        _remove(session, [*stranger.made, *_of(stranger.mark, clients)], clients)
        if not stranger.waits:
            _remove(session, [stranger.mark], clients)
    except Failure as failure:
        raise Failure(f"clients of the probe are left, run it again and it removes them first: {failure}") from failure
    if not undisturbed:
        raise Failure("another probe ran beside this one and removed its clients, so nothing is known: run it again")


def _announce(session: Session, mark: str) -> None:
    session.write("POST", ("clients",), {"clientId": mark, "enabled": False, "attributes": MARK})


def _is_announced(found: Object) -> bool:
    return _A_MARK.fullmatch(found["clientId"]) is not None and is_marked(found)


def _of(mark: str, clients: list[Object]) -> list[str]:
    """The ids of the clients that were registered under this mark."""
    names = [(found["clientId"], found.get("name")) for found in clients]
    return [client_id for client_id, name in names if name == mark or client_id.startswith(f"{mark}-")]


def _remove(session: Session, client_ids: list[str], clients: list[Object]) -> None:
    """All that is there, even if one of them fails, and in this order."""
    there = {found["clientId"]: found["id"] for found in clients}
    left = []
    for client_id in dict.fromkeys(client_ids):
        if client_id in there:
            try:
                _delete(session, there[client_id])
            except Failure as failure:
                left.append(f"{client_id} ({failure})")
    if left:
        raise Failure(", ".join(left))


def _delete(session: Session, client: str) -> None:
    try:
        session.write("DELETE", ("clients", client))
    except ProviderRefused as refusal:
        if refusal.status != _GONE:
            raise
