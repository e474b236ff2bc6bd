"""Changes as data: what has to be written so that the provider is as the access file says.

A change can be printed, counted and compared without anything being written. What it cannot know before it is written,
the id that the provider will give to something, stands in it as a `Ref`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Json = dict[str, object]
Method = Literal["POST", "PUT", "DELETE"]
RefKind = Literal["client", "client-scope", "role", "registration-policy", "user"]


@dataclass(frozen=True, slots=True)
class Ref:
    """The id the provider gave to something, looked up when the change is written."""

    kind: RefKind
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """One write request.

    Attributes:
        text: what it does, for people; never a secret.
        path: below the realm of the admin API, in parts.
        body: JSON; a `Ref` may stand for an id anywhere in it.
    """

    text: str
    method: Method
    path: tuple[str | Ref, ...]
    body: object = field(default=None, repr=False)


def differing(desired: Mapping[str, object], actual: Mapping[str, object]) -> Json:
    """The members of `desired` that `actual` has not, or has otherwise.

    Lists compare as sets, because Keycloak returns them in any order; maps compare by the members `desired` names,
    because Keycloak adds its own; what is not there equals an empty text or list, because Keycloak drops those.
    """
    return {name: value for name, value in desired.items() if not same(value, actual.get(name))}


def same(desired: object, actual: object) -> bool:
    """Whether `actual` holds all that `desired` asks for."""
    if isinstance(desired, dict):
        return not differing(desired, actual if isinstance(actual, dict) else {})
    if isinstance(desired, (list, tuple)):
        return _as_set(desired) == _as_set(actual if isinstance(actual, list) else [])
    return desired == actual or (desired == "" and actual is None)


def _as_set(values: Iterable[object]) -> set[str]:
    return {repr(value) for value in values}
