"""Clients that registered themselves and that nobody uses.

Keycloak keeps no creation time of a client, but its events know: one when a client registers, one when it exchanges a
code. They are kept as long as `eventsExpiration` in realm.yaml says, so a client without an event of its registration
is at least as old as the oldest event of the realm. Nothing is written on the client; docs/decisions has the why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import ConfigError, ProviderRequestError
from mcp_idp.cli.bootstrap.keycloak.state.managed import is_managed
from mcp_idp.cli.bootstrap.output import count_noun, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PAGE = 200
_UNITS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}
_GONE = 404
REGISTERED, USED = "CLIENT_REGISTER", "CODE_TO_TOKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleClient:
    """A client that may go.

    Attributes:
        client_id: its id, for Keycloak and for people.
        name: what it calls itself.
        registered: when, in seconds since 1970; None for "before the oldest event".
        used: when it last exchanged a code; None for "never, as far as the events go back".
    """

    client_id: str
    name: str
    registered: float | None
    used: float | None

    @property
    def text(self) -> str:
        """One line for people."""
        registered = f"registered {_date(self.registered)}" if self.registered else "registered before the oldest event"
        used = f"last login {_date(self.used)}" if self.used else "no login"
        return f"client {self.client_id} {printable(self.name)!r}: {registered}, {used}"


@dataclass(frozen=True, slots=True)
class StalenessRule:
    """What makes a client stale.

    Attributes:
        now: the time, in seconds since 1970.
        older_than: seconds since it registered and was last logged in with.
        unused: only those that were never logged in with.
    """

    now: float
    older_than: float
    unused: bool


def describe_rule(older_than: int, *, unused: bool) -> str:
    """What `prune` looks for, for people."""
    unit, seconds = next((unit, size) for unit, size in _UNITS.items() if older_than % size == 0)
    count = older_than // seconds
    ago = count_noun(count, unit)
    since = "were never used for a login" if unused else f"were not used for a login for {ago}"
    return f"more than {ago} ago, that {since} and that have no session"


def stale_clients(session: AdminClient, clients: Iterable[Object], age: StalenessRule) -> Iterator[StaleClient]:
    """Those of `clients` that registered longer ago than that and have neither a session nor a login since.

    Raises:
        ConfigError: the realm's events do not say how old a client is.
    """
    before = age.now - age.older_than
    _check_events(session.get())
    reaches_back = _event(session, dateTo=str(int(before * 1000))) is not None
    busy = {row["id"] for row in session.get("client-session-stats") if _sessions(row)}
    for client in clients:
        if client["id"] in busy:
            continue
        registered = _event(session, type=REGISTERED, client=client["clientId"])
        # An event that is not there proves an age only where older events still are.
        if registered > before if registered is not None else not reaches_back:
            continue
        used = _event(session, type=USED, client=client["clientId"])
        if used is None or (used <= before and not age.unused):
            yield StaleClient(
                client_id=client["clientId"], name=client.get("name") or "", registered=registered, used=used
            )


def self_registered(session: AdminClient) -> Iterator[Object]:
    """The realm's clients that registered themselves (RFC 7591)."""
    return filter(is_dynamically_registered, all_clients(session))


def is_dynamically_registered(client: Object) -> bool:
    """Whether it came by the endpoint of RFC 7591: Keycloak gives such a client one id for both its kinds of id."""
    return client["id"] == client["clientId"] and bool(_UUID.fullmatch(client["id"])) and not is_managed(client)


def all_clients(session: AdminClient) -> Iterator[Object]:
    """The realm's clients, whoever made them, page by page: whoever removes some of them reads all first."""
    first = 0
    while page := session.get("clients", first=str(first), max=str(_PAGE)):
        first += len(page)
        yield from page


def remove(session: AdminClient, stale: StaleClient) -> bool:
    """Remove the client unless somebody logged in with it just now; whether it is gone."""
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
    """When the newest event of this kind happened, in seconds since 1970."""
    found = session.get("events", max="1", **query)
    return float(found[0]["time"]) / 1000 if found else None


def _sessions(row: Object) -> int:
    return int(row.get("active") or 0) + int(row.get("offline") or 0)


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
