"""Client policies: what every client must do, and what one that registers itself may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.bootstrap.plan import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.bootstrap.keycloak.actual import Actual, Object


def client_policy_changes(profiles: list[Object], policies: list[Object], actual: Actual) -> Iterator[Change]:
    """What the realm's two lists lack. Others' entries stay: a write replaces a list, so they are written again."""
    # Profiles first: a policy that names one that is not there is refused.
    for kind, wanted, there in (
        ("profiles", profiles, actual.client_profiles),
        ("policies", policies, actual.client_policies),
    ):
        merged = merge(wanted, there)
        if merged != there:
            names = ", ".join(entry["name"] for entry in wanted if entry not in there)
            yield Change(f"client {kind}: set {names}", "PUT", ("client-policies", kind), {kind: merged})


def merge(wanted: list[Object], there: list[Object]) -> list[Object]:
    """`there` with ours put right in their places, and the missing ones at the end."""
    ours = {entry["name"]: entry for entry in wanted}
    kept = [ours.pop(entry["name"], entry) for entry in there]
    return [*kept, *ours.values()]
