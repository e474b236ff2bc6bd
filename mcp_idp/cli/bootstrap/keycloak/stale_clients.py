"""Finds and removes unused dynamically registered clients.

Keycloak stores no creation time for a client, but its events have one: an event when a client registers and one when it
exchanges an authorization code. Events are kept for `eventsExpiration` (realm.yaml). A client without a registration
event is therefore at least as old as the realm's oldest event. The bootstrap records nothing on the client itself;
docs/decisions/keycloak-client-age.md says why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import ConfigError, ProviderRequestError
from mcp_idp.cli.bootstrap.keycloak.lookups import all_clients
from mcp_idp.cli.bootstrap.keycloak.state.managed import is_managed
from mcp_idp.cli.bootstrap.output import count_noun
from mcp_idp.cli.common.console import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UNITS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}
_GONE = 404
REGISTERED, USED = "CLIENT_REGISTER", "CODE_TO_TOKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleClient:
    """A client that may be removed.

    Attributes:
        client_id: its client id, which for a dynamically registered client is also its internal id.
        name: its self-declared name; empty if it has none.
        registered: when it registered, in seconds since 1970; None if that was before the oldest event.
        used: when it last exchanged a code, in seconds since 1970; None if no event says that it ever did.
    """

    client_id: str
    name: str
    registered: float | None
    used: float | None

    @property
    def text(self) -> str:
        """One line of output about the client, with unprintable characters escaped."""
        registered = f"registered {_date(self.registered)}" if self.registered else "registered before the oldest event"
        used = f"last login {_date(self.used)}" if self.used else "no login"
        return f"client {self.client_id} {printable(self.name)!r}: {registered}, {used}"

    def json(self) -> dict[str, object]:
        """Returns the same as JSON-compatible data, with times in seconds since 1970."""
        return {"client_id": self.client_id, "name": self.name, "registered": self.registered, "last_login": self.used}


@dataclass(frozen=True, slots=True)
class StalenessRule:
    """The criteria by which a client is stale.

    Attributes:
        now: the current time, in seconds since 1970.
        older_than: minimum age in seconds, both of the registration and of the last login.
        unused: whether only clients count that were never used for a login.
    """

    now: float
    older_than: float
    unused: bool


def describe_rule(older_than: int, *, unused: bool) -> str:
    """Describes in words which clients `prune` looks for.

    Args:
        older_than: minimum age in seconds.
        unused: whether only clients count that were never used for a login.
    """
    unit, seconds = next((unit, size) for unit, size in _UNITS.items() if older_than % size == 0)
    count = older_than // seconds
    ago = count_noun(count, unit)
    since = "were never used for a login" if unused else f"were not used for a login for {ago}"
    return f"more than {ago} ago, that {since} and that have no session"


def stale_clients(session: AdminClient, clients: Iterable[Object], age: StalenessRule) -> Iterator[StaleClient]:
    """Yields the stale ones of some clients: old enough, without a session and without a recent login.

    Args:
        session: admin client of the realm.
        clients: client representations to examine.
        age: the criteria.

    Raises:
        ConfigError: the realm does not record the events that tell a client's age.
    """
    before = age.now - age.older_than
    _check_events(session.get())
    reaches_back = _event(session, dateTo=str(int(before * 1000))) is not None
    busy = {row["id"] for row in session.get("client-session-stats") if _sessions(row)}
    for client in clients:
        if client["id"] in busy:
            continue
        registered = _event(session, type=REGISTERED, client=client["clientId"])
        # A missing event proves that a client is old enough only if events from before the limit are still kept.
        if registered > before if registered is not None else not reaches_back:
            continue
        used = _event(session, type=USED, client=client["clientId"])
        if used is None or (used <= before and not age.unused):
            yield StaleClient(
                client_id=client["clientId"], name=client.get("name") or "", registered=registered, used=used
            )


def self_registered(session: AdminClient) -> Iterator[Object]:
    """Yields the representations of the realm's dynamically registered clients (RFC 7591)."""
    return filter(is_dynamically_registered, all_clients(session))


def is_dynamically_registered(client: Object) -> bool:
    """Checks whether a client was created by dynamic client registration (RFC 7591) and is unmanaged.

    Keycloak gives such a client the same UUID as `id` and `clientId`.
    """
    return client["id"] == client["clientId"] and bool(_UUID.fullmatch(client["id"])) and not is_managed(client)


def remove(session: AdminClient, stale: StaleClient) -> bool:
    """Deletes a stale client unless it has a session by now.

    Args:
        session: admin client of the realm.
        stale: the client.

    Returns:
        Whether the client is gone; False if someone has logged in with it meanwhile.

    Raises:
        ProviderRequestError: Keycloak rejected the request.
    """
    for kind in ("session-count", "offline-session-count"):
        found = session.find("clients", stale.client_id, kind)
        if found and found.get("count"):
            return False
    try:
        session.write("DELETE", ("clients", stale.client_id))
    except ProviderRequestError as error:
        if error.status != _GONE:
            raise
    return True


def _check_events(realm: Object) -> None:
    kinds = realm.get("enabledEventTypes") or [REGISTERED, USED]
    if not realm.get("eventsEnabled") or not {REGISTERED, USED} <= set(kinds):
        raise ConfigError(
            "the realm stores no registration and login events, so the age of its clients is unknown: run apply "
            "(realm.yaml sets eventsEnabled), then prune after that time has passed"
        )


def _event(session: AdminClient, **query: str) -> float | None:
    """Returns the time of the newest event that matches `query`, in seconds since 1970, or None."""
    found = session.get("events", max="1", **query)
    return float(found[0]["time"]) / 1000 if found else None


def _sessions(row: Object) -> int:
    return int(row.get("active") or 0) + int(row.get("offline") or 0)


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
