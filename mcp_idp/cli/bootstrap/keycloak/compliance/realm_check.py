"""Audits a realm: drift from the files, weaknesses and warnings.

Nothing is written; an account with read access is sufficient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.access_lint import lint
from mcp_idp.cli.bootstrap.keycloak.compliance.warnings import warnings_of
from mcp_idp.cli.bootstrap.keycloak.compliance.weaknesses import find_in_existing_clients, find_weaknesses
from mcp_idp.cli.bootstrap.keycloak.lookups import all_clients
from mcp_idp.cli.bootstrap.keycloak.planner import full_plan, ownership_of
from mcp_idp.cli.bootstrap.keycloak.realm_ownership import realm_differences, require_no_clash, require_realm_owner
from mcp_idp.cli.bootstrap.keycloak.realm_verification import enabled_native_endpoints
from mcp_idp.cli.bootstrap.keycloak.runner import load_states
from mcp_idp.cli.bootstrap.output import count_noun, field_json, format_value, unbatched
from mcp_idp.cli.bootstrap.verification import create_client
from mcp_idp.cli.common.console import printable
from mcp_idp.cli.common.launcher import as_launched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_idp.cli.bootstrap.changes import Change
    from mcp_idp.cli.bootstrap.keycloak.compliance.weaknesses import Weakness
    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The result of an audit.

    Attributes:
        drift: the changes that an apply would make, without those that only keep its order (action `step`).
        weaknesses: misconfigurations that an attacker could exploit.
        warnings: lines about what may become a problem or could not be checked.
    """

    drift: tuple[Change, ...]
    weaknesses: tuple[Weakness, ...]
    warnings: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether there is neither drift nor a weakness."""
        return not self.drift and not self.weaknesses

    @property
    def names(self) -> list[str]:
        """What drifted, as "object.field"; "object" alone if the object is missing or must be removed."""
        return list(dict.fromkeys(name for change in self.drift for name in _names(change)))

    def lines(self) -> Iterator[str]:
        """Yields the report as lines of output, the last of which is a summary."""
        printed: dict[str, None] = {}
        for change in self.drift:
            printed.update(dict.fromkeys(_drift_lines(change)))
        yield from printed
        yield from (f"weakness: {printable(weakness.text)}" for weakness in self.weaknesses)
        yield from (f"warning: {printable(warning)}" for warning in self.warnings)
        differences = count_noun(len(printed), "difference")
        count = f"{differences}, {count_noun(len(self.weaknesses), 'weakness', 'weaknesses')}"
        yield (
            "no changes, no weaknesses"
            if self.clean
            else f"{count}: `{as_launched('mcp-idp bootstrap plan')}` shows what apply would change"
        )

    def json(self) -> dict[str, object]:
        """Returns the report as JSON-serializable data.

        Returns:
            `clean` (a boolean), `drift` (objects with `object`, `action` and `fields`), `weaknesses` (objects with
            `id`, `what` and `fix`) and `warnings` (strings).
        """
        drift = [
            {
                "object": change.object_label,
                "action": change.action,
                "fields": [field_json(f) for f in change.fields],
                **({"owner": change.owner} if change.owner else {}),
            }
            for change in self.drift
        ]
        weaknesses = [{"id": weakness.id, "what": weakness.what, "fix": weakness.fix} for weakness in self.weaknesses]
        return {"clean": self.clean, "drift": drift, "weaknesses": weaknesses, "warnings": list(self.warnings)}


def audit(settings: KeycloakSettings, *, wait: int, log: Callable[[str], None]) -> AuditReport:
    """Audits the realm.

    Args:
        settings: settings of the run.
        wait: how long to wait for a provider that is still starting, in seconds.
        log: receives each progress line.

    Returns:
        The report. If the realm does not exist, it has drift and warnings about the access file only.

    Raises:
        BootstrapError: the realm cannot be audited; the text says what to change.
    """
    session, desired, actual = load_states(settings, wait=wait, log=log)
    ownership = ownership_of(desired, actual)
    require_realm_owner(desired, ownership)
    require_no_clash(desired, ownership, actual)
    changes = unbatched([*full_plan(desired, actual), *realm_differences(desired, ownership, actual)])
    drift = tuple(change for change in changes if change.action != "step")
    if not actual.realm:
        return AuditReport(drift, (), tuple(lint(settings.access)))
    clients = list(all_clients(session))
    with create_client() as http:
        open_endpoints = enabled_native_endpoints(settings, http)
        warned = tuple(warnings_of(settings, session, actual, clients, http))
    found = [
        *find_weaknesses(actual, settings.public_url, open_endpoints),
        *find_in_existing_clients(clients, settings.access, settings.public_url, ownership, actual),
    ]
    return AuditReport(drift, tuple(sorted(found, key=lambda weakness: weakness.id)), (*lint(settings.access), *warned))


def _names(change: Change) -> list[str]:
    if change.action in {"create", "remove"} or not change.fields:
        return [change.object_label]
    return [f"{change.object_label}.{field.name}" for field in change.fields]


def _drift_lines(change: Change) -> Iterator[str]:
    owner = f" [{printable(change.owner)}]" if change.owner else ""
    if change.action == "create":
        yield f"drift: {printable(change.object_label)} is missing{owner}"
    elif change.action == "remove" or not change.fields:
        yield f"drift: {printable(change.text)}{owner}"
    else:
        for field in change.fields:
            name = printable(f"{change.object_label}.{field.name}")
            yield f"drift: {name} is {format_value(field.old)}, not {format_value(field.new)}{owner}"
