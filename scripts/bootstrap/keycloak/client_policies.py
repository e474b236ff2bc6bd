"""Client policies: what every client must do, and what one that registers itself may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.bootstrap.plan import Change, field_of, fields_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from scripts.bootstrap.keycloak.actual import Actual, Object
    from scripts.bootstrap.plan import Field


@dataclass(frozen=True, slots=True)
class ClientPolicies:
    """The client profiles and policies that we own."""

    profiles: list[Object]
    policies: list[Object]


def without_grants(policy: Object, let_in: Collection[str]) -> Object:
    """The policy, no longer about the grants that are `let_in` (as `grant_types` names them)."""
    conditions = []
    for condition in policy["conditions"]:
        configuration = dict(condition["configuration"])
        if "grant_types" in configuration:
            configuration["grant_types"] = [grant for grant in configuration["grant_types"] if grant not in let_in]
        conditions.append({**condition, "configuration": configuration})
    return {**policy, "conditions": conditions}


def client_policy_changes(wanted: ClientPolicies, actual: Actual) -> Iterator[Change]:
    """What the realm's two lists lack. Others' entries stay: a write replaces a list, so they are written again.

    Profiles first: a policy that names one that is not there is refused. So a profile that goes, goes last.
    """
    gone = actual.ledger.profiles - {profile["name"] for profile in wanted.profiles}
    in_use = merge(wanted.profiles, actual.client_profiles, frozenset())
    yield from _set("profiles", wanted.profiles, actual.client_profiles, in_use)
    dropped = actual.ledger.policies - {policy["name"] for policy in wanted.policies}
    policies = merge(wanted.policies, actual.client_policies, dropped)
    yield from _set("policies", wanted.policies, actual.client_policies, policies)
    yield from _set("profiles", [], in_use, merge([], in_use, gone))


def merge(wanted: list[Object], there: list[Object], dropped: frozenset[str]) -> list[Object]:
    """`there` without the `dropped`, with ours put right in their places and the missing ones at the end."""
    ours = {entry["name"]: entry for entry in wanted}
    kept = [ours.pop(entry["name"], entry) for entry in there if entry["name"] not in dropped]
    return [*kept, *ours.values()]


def _set(kind: str, wanted: list[Object], there: list[Object], merged: list[Object]) -> Iterator[Change]:
    if merged == there:
        return
    names = [entry["name"] for entry in wanted if entry not in there]
    gone = [entry["name"] for entry in there if entry["name"] not in {kept["name"] for kept in merged}]
    parts = [f"set {', '.join(names)}"] * bool(names) + [f"remove {', '.join(gone)}"] * bool(gone)
    fields = tuple(_fields(wanted, there, gone))
    path = ("client-policies", kind)
    yield Change(f"client {kind}", " and ".join(parts), "PUT", path, {kind: merged}, fields=fields)


def _fields(wanted: list[Object], there: list[Object], gone: list[str]) -> Iterator[Field]:
    before = {entry["name"]: entry for entry in there}
    for entry in wanted:
        yield from fields_of({entry["name"]: entry}, {entry["name"]: before.get(entry["name"])})
    yield from (field_of(name, "there", None) for name in gone)
