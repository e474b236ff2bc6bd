"""Is the realm still as the files say? Drift, holes and warnings; nothing is written, a reader's account is enough."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.bootstrap.doubts import doubts
from scripts.bootstrap.failures import NotProven
from scripts.bootstrap.keycloak.apply import whole_plan
from scripts.bootstrap.keycloak.cimd import ANNOUNCED
from scripts.bootstrap.keycloak.holes import holes, refuses
from scripts.bootstrap.keycloak.machines import MACHINE_GRANT, service_accounts
from scripts.bootstrap.keycloak.permissions import WITHOUT, strangers_keep_permissions
from scripts.bootstrap.keycloak.proof import ONE_SUBJECT, open_own_kinds, splits_people
from scripts.bootstrap.proof import Note, documents_are_announced, open_http
from scripts.bootstrap.report import field_json, printable, shown
from scripts.bootstrap.run import look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from scripts.bootstrap.keycloak.actual import Actual
    from scripts.bootstrap.keycloak.holes import Hole
    from scripts.bootstrap.keycloak.session import Session
    from scripts.bootstrap.plan import Change
    from scripts.bootstrap.settings import BootstrapSettings

_NEARLY_FULL = 0.8  # of the clients that may be there
_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class Findings:
    """What a check found.

    Attributes:
        drift: the changes that an apply would make, without those that only keep its order.
        holes: ways in.
        warnings: what will be a problem later, or cannot be judged.
    """

    drift: tuple[Change, ...]
    holes: tuple[Hole, ...]
    warnings: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether there is nothing to mend."""
        return not self.drift and not self.holes

    @property
    def names(self) -> list[str]:
        """What drifted, as "object.field"; the object alone where it is missing or should not be there."""
        return list(dict.fromkeys(name for change in self.drift for name in _names(change)))

    def lines(self) -> Iterator[str]:
        """All of it for people."""
        told: dict[str, None] = {}
        for change in self.drift:
            told.update(dict.fromkeys(_drift_lines(change)))
        yield from told
        yield from (f"hole: {printable(hole.text)}" for hole in self.holes)
        yield from (f"warning: {printable(warning)}" for warning in self.warnings)
        count = f"{len(told)} differences, {len(self.holes)} holes"
        yield "no changes, no holes" if self.clean else f"{count}: `bootstrap_idp.py plan` shows what apply would do"

    def json(self) -> dict[str, object]:
        """All of it for programs."""
        drift = [
            {"object": change.about, "action": change.action, "fields": [field_json(f) for f in change.fields]}
            for change in self.drift
        ]
        found = [{"id": hole.id, "what": hole.what, "mend": hole.mend} for hole in self.holes]
        return {"clean": self.clean, "drift": drift, "holes": found, "warnings": list(self.warnings)}


def check_now(settings: BootstrapSettings, *, wait: int, say: Callable[[str], None]) -> Findings:
    """What differs now, and what is open.

    Raises:
        Failure: it cannot be said; the text says what to change.
    """
    session, desired, actual = look(settings, wait=wait, say=say)
    drift = tuple(change for change in whole_plan(desired, actual) if change.action != "step")
    with open_http() as http:
        open_kinds = open_own_kinds(settings, http)
        warnings = tuple(_warnings(settings, session, actual, http)) if actual.realm else ()
    warnings = (*doubts(settings.access), *warnings)
    found = _holes(actual, settings.public_url, open_kinds)
    return Findings(drift, found, warnings)


def _holes(actual: Actual, audience: str, open_kinds: list[str]) -> tuple[Hole, ...]:
    """In the order of their numbers."""
    return tuple(sorted(holes(actual, audience, open_kinds), key=lambda hole: hole.id)) if actual.realm else ()


def _warnings(settings: BootstrapSettings, session: Session, actual: Actual, http: httpx.Client) -> Iterator[str]:
    if actual.users is None and settings.access.demo_users:
        yield "users may not be read with this account, so demo users were not compared: give it the role view-users"
    if actual.machine_roles is None:
        yield "the roles of machine clients may not be read with this account: give it the role view-users"
    yield from _strange_machines(settings, session, actual)
    if splits_people(session):
        yield (
            "a registered client may have subjects of its own, so one person can be several here: start Keycloak with "
            f"{ONE_SUBJECT}"
        )
    if strangers_keep_permissions(settings, actual, http):
        yield (
            "with machine_clients a client that registered itself may store permissions in Keycloak's database, and is "
            f"told which user names there are: start Keycloak with {WITHOUT}"
        )
    most = settings.access.registration.max_clients
    if is_nearly_full(session, most):
        yield (
            f"the realm has {math.ceil(most * _NEARLY_FULL)} clients or more, and registration ends at {most}: "
            "`bootstrap_idp.py prune` shows which of them nobody uses"
        )
    try:
        documents_are_announced(settings, http, ANNOUNCED)
    except (Note, NotProven) as finding:
        yield str(finding)


def _strange_machines(settings: BootstrapSettings, session: Session, actual: Actual) -> Iterator[str]:
    """Where a rule refuses the grant to everybody there is none."""
    names = [] if refuses(actual, MACHINE_GRANT) else service_accounts(session, settings.access)
    if names:
        shown_names = ", ".join(names[:_MOST_NAMES]) + (" …" if len(names) > _MOST_NAMES else "")
        yield (
            f"{len(names)} clients besides machine_clients may get tokens without a person ({shown_names}): switch "
            "their service accounts off, or name them in the access file; without a role of ours they get none for us"
        )


def is_nearly_full(session: Session, most: int) -> bool:
    """Whether four fifths of the clients that may be there are there. Asks for one client, not for all."""
    return bool(session.get("clients", first=str(math.ceil(most * _NEARLY_FULL) - 1), max="1"))


def _names(change: Change) -> list[str]:
    if change.action in {"create", "remove"} or not change.fields:
        return [change.about]
    return [f"{change.about}.{field.name}" for field in change.fields]


def _drift_lines(change: Change) -> Iterator[str]:
    if change.action == "create":
        yield f"drift: {printable(change.about)} is missing"
    elif change.action == "remove" or not change.fields:
        yield f"drift: {printable(change.text)}"
    else:
        for field in change.fields:
            name = printable(f"{change.about}.{field.name}")
            yield f"drift: {name} is {shown(field.old)}, not {shown(field.new)}"
