"""Changes as data: what has to be written so that the provider is as the access file says.

A change can be printed, counted and compared without anything being written. What it cannot know before it is written,
the id that the provider will give to something, stands in it as a `IdRef`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Json = dict[str, object]
Method = Literal["POST", "PUT", "DELETE"]
RefKind = Literal["client", "client-scope", "group", "role", "registration-policy", "service-account", "user"]
Action = Literal["create", "change", "remove", "step"]

HIDDEN = "(secret)"
_HIDING_WORDS = ("secret", "password", "credential")


@dataclass(frozen=True, slots=True)
class IdRef:
    """The id the provider gave to something, looked up when the change is written."""

    kind: RefKind
    name: str


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """One member that is otherwise than it shall be. A secret never stands here: `HIDDEN` does."""

    name: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Change:
    """One write request.

    Attributes:
        object_label: the object, for people: its kind and name.
        what: what is done to it, for people; never a secret.
        path: below the realm of the admin API, in parts.
        body: JSON; a `IdRef` may stand for an id anywhere in it.
        action: a `step` only keeps the order of an apply and is no difference between the files and the provider.
        fields: the members that differ; for what is created they follow from the body.
    """

    object_label: str
    what: str
    method: Method
    path: tuple[str | IdRef, ...]
    body: object = field(default=None, repr=False)
    action: Action = "change"
    fields: tuple[FieldDiff, ...] = ()

    @property
    def text(self) -> str:
        """One line for people."""
        return f"{self.object_label}: {self.what}"

    @property
    def displayed_fields(self) -> tuple[FieldDiff, ...]:
        """The members that differ, or all that something new is created with."""
        if self.action == "create" and not self.fields and isinstance(self.body, dict):
            return field_diffs(self.body, {})
        return self.fields


def field_diff(name: str, old: object, new: object) -> FieldDiff:
    """A field whose values are hidden if the name says that they are secret."""
    hides = any(word in name.lower() for word in _HIDING_WORDS)
    return FieldDiff(name, _hidden(old), _hidden(new)) if hides else FieldDiff(name, old, new)


def _hidden(value: object) -> object:
    """Switches and numbers tell nobody anything: `resetPasswordAllowed` is no password."""
    return value if value is None or isinstance(value, (bool, int, float)) else HIDDEN


def field_diffs(desired: Mapping[str, object], actual: Mapping[str, object]) -> tuple[FieldDiff, ...]:
    """The members of `desired` that `actual` has otherwise, each down to its innermost map, by dotted names."""
    return tuple(_fields(desired, actual, ""))


def _fields(desired: Mapping[str, object], actual: Mapping[str, object], prefix: str) -> Iterable[FieldDiff]:
    for name, new in diff(desired, actual).items():
        old = actual.get(name)
        if isinstance(new, dict):
            yield from _fields(new, old if isinstance(old, dict) else {}, f"{prefix}{name}.")
        else:
            yield field_diff(f"{prefix}{name}", old, new)


def diff(desired: Mapping[str, object], actual: Mapping[str, object]) -> Json:
    """The members of `desired` that `actual` has not, or has otherwise.

    Lists compare as sets, because Keycloak returns them in any order; maps compare by the members `desired` names,
    because Keycloak adds its own; what is not there equals an empty text or list, because Keycloak drops those.
    """
    return {name: value for name, value in desired.items() if not is_satisfied(value, actual.get(name))}


def is_satisfied(desired: object, actual: object) -> bool:
    """Whether `actual` holds all that `desired` asks for."""
    if isinstance(desired, dict):
        return not diff(desired, actual if isinstance(actual, dict) else {})
    if isinstance(desired, (list, tuple)):
        return _as_set(desired) == _as_set(actual if isinstance(actual, list) else [])
    return desired == actual or (desired == "" and actual is None)


def _as_set(values: Iterable[object]) -> set[str]:
    return {repr(value) for value in values}
