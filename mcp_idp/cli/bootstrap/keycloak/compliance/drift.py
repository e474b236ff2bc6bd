"""Is the realm still as the files say? Drift, holes and warnings; nothing is written, a reader's account is enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.access_lint import doubts
from mcp_idp.cli.bootstrap.keycloak.compliance.warnings import warnings_of
from mcp_idp.cli.bootstrap.keycloak.compliance.weaknesses import earlier_holes, holes
from mcp_idp.cli.bootstrap.keycloak.planner import whole_plan
from mcp_idp.cli.bootstrap.keycloak.runner import look
from mcp_idp.cli.bootstrap.keycloak.stale_clients import all_clients
from mcp_idp.cli.bootstrap.keycloak.verification import open_own_kinds
from mcp_idp.cli.bootstrap.output import field_json, printable, shown
from mcp_idp.cli.bootstrap.verification import open_http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_idp.cli.bootstrap.changes import Change
    from mcp_idp.cli.bootstrap.keycloak.compliance.weaknesses import Hole
    from mcp_idp.cli.bootstrap.keycloak.settings import BootstrapSettings


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
    if not actual.realm:
        return Findings(drift, (), tuple(doubts(settings.access)))
    clients = list(all_clients(session))
    with open_http() as http:
        open_kinds = open_own_kinds(settings, http)
        warned = tuple(warnings_of(settings, session, actual, clients, http))
    found = [
        *holes(actual, settings.public_url, open_kinds),
        *earlier_holes(clients, settings.access, settings.public_url, actual),
    ]
    return Findings(drift, tuple(sorted(found, key=lambda hole: hole.id)), (*doubts(settings.access), *warned))


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
