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
RefKind = Literal["client", "client-scope", "group", "role", "registration-policy", "service-account", "user"]
Action = Literal["create", "change", "remove", "step"]

HIDDEN = "(secret)"
_HIDING_WORDS = ("secret", "password", "credential")


@dataclass(frozen=True, slots=True)
class Ref:
    """The id the provider gave to something, looked up when the change is written."""

    kind: RefKind
    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """One member that is otherwise than it shall be. A secret never stands here: `HIDDEN` does."""

    name: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Change:
    """One write request.

    Attributes:
        about: the object, for people: its kind and name.
        what: what is done to it, for people; never a secret.
        path: below the realm of the admin API, in parts.
        body: JSON; a `Ref` may stand for an id anywhere in it.
        action: a `step` only keeps the order of an apply and is no difference between the files and the provider.
        fields: the members that differ; for what is created they follow from the body.
    """

    about: str
    what: str
    method: Method
    path: tuple[str | Ref, ...]
    body: object = field(default=None, repr=False)
    action: Action = "change"
    fields: tuple[Field, ...] = ()

    @property
    def text(self) -> str:
        """One line for people."""
        return f"{self.about}: {self.what}"

    @property
    def shown_fields(self) -> tuple[Field, ...]:
        """The members that differ, or all that something new is created with."""
        if self.action == "create" and not self.fields and isinstance(self.body, dict):
            return fields_of(self.body, {})
        return self.fields


def field_of(name: str, old: object, new: object) -> Field:
    """A field whose values are hidden if the name says that they are secret."""
    hides = any(word in name.lower() for word in _HIDING_WORDS)
    return Field(name, _hidden(old), _hidden(new)) if hides else Field(name, old, new)


def _hidden(value: object) -> object:
    """Switches and numbers tell nobody anything: `resetPasswordAllowed` is no password."""
    return value if value is None or isinstance(value, (bool, int, float)) else HIDDEN


def fields_of(desired: Mapping[str, object], actual: Mapping[str, object]) -> tuple[Field, ...]:
    """The members of `desired` that `actual` has otherwise, each down to its innermost map, by dotted names."""
    return tuple(_fields(desired, actual, ""))


def _fields(desired: Mapping[str, object], actual: Mapping[str, object], prefix: str) -> Iterable[Field]:
    for name, new in differing(desired, actual).items():
        old = actual.get(name)
        if isinstance(new, dict):
            yield from _fields(new, old if isinstance(old, dict) else {}, f"{prefix}{name}.")
        else:
            yield field_of(f"{prefix}{name}", old, new)


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
