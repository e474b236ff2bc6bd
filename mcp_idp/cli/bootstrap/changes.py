"""Changes as data: the write requests that make the provider match the access file.

Changes can be printed, counted and compared without writing anything. An id that the provider assigns only when an
object is created is represented by an `IdRef`.
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
_SECRET_NAME_PARTS = ("secret", "password", "credential")


@dataclass(frozen=True, slots=True)
class IdRef:
    """A reference to an id that the provider assigned, resolved when the change is written.

    Attributes:
        kind: The kind of object.
        name: Its name.
    """

    kind: RefKind
    name: str


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """A field that differs. Values of secret fields are replaced by `HIDDEN`, see `field_diff`.

    Attributes:
        name: The field's dotted name.
        old: The current value.
        new: The desired value.
    """

    name: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Change:
    """One write request.

    Attributes:
        object_label: Kind and name of the object, for display.
        what: What is done to it, for display; it never contains a secret.
        method: The HTTP method.
        path: Path segments below the realm in the admin API.
        body: The JSON body; an `IdRef` may stand for an id anywhere in it.
        action: `step` marks a request that only serves the order of an apply and is not a difference between the files
            and the provider.
        fields: The fields that differ; for created objects they are derived from the body.
        owner: Whose the object is, where that is not obvious: a resource, or "shared".
        batch: What many changes of one kind have in common; they are counted rather than listed. Empty if listed.
    """

    object_label: str
    what: str
    method: Method
    path: tuple[str | IdRef, ...]
    body: object = field(default=None, repr=False)
    action: Action = "change"
    fields: tuple[FieldDiff, ...] = ()
    owner: str = ""
    batch: str = ""

    @property
    def text(self) -> str:
        """The change as one line."""
        return f"{self.object_label}: {self.what}"

    @property
    def displayed_fields(self) -> tuple[FieldDiff, ...]:
        """The fields that differ; for a created object, the fields of its body."""
        if self.action == "create" and not self.fields and isinstance(self.body, dict):
            return field_diffs(self.body, {})
        return self.fields


def field_diff(name: str, old: object, new: object) -> FieldDiff:
    """Creates a `FieldDiff`; the values are hidden if the field's name indicates a secret."""
    hides = any(part in name.lower() for part in _SECRET_NAME_PARTS)
    return FieldDiff(name, _hidden(old), _hidden(new)) if hides else FieldDiff(name, old, new)


def _hidden(value: object) -> object:
    """Hides a value. Booleans and numbers stay visible: `resetPasswordAllowed`, for example, is not a password."""
    return value if value is None or isinstance(value, (bool, int, float)) else HIDDEN


def field_diffs(desired: Mapping[str, object], actual: Mapping[str, object]) -> tuple[FieldDiff, ...]:
    """Returns the fields of `desired` that differ in `actual`. Nested objects are compared member by member.

    Args:
        desired: The desired object.
        actual: The provider's object.

    Returns:
        One entry for each differing field, with its dotted name.
    """
    return tuple(_fields(desired, actual, ""))


def _fields(desired: Mapping[str, object], actual: Mapping[str, object], prefix: str) -> Iterable[FieldDiff]:
    for name, new in diff(desired, actual).items():
        old = actual.get(name)
        if isinstance(new, dict):
            yield from _fields(new, old if isinstance(old, dict) else {}, f"{prefix}{name}.")
        else:
            yield field_diff(f"{prefix}{name}", old, new)


def diff(desired: Mapping[str, object], actual: Mapping[str, object]) -> Json:
    """Returns the members of `desired` that are missing or different in `actual`.

    Lists are compared as sets, because Keycloak returns them in any order. Objects are compared by the members of
    `desired`, because Keycloak adds its own. A missing value equals an empty string or list, because Keycloak drops
    those.
    """
    return {name: value for name, value in desired.items() if not is_satisfied(value, actual.get(name))}


def is_satisfied(desired: object, actual: object) -> bool:
    """Returns whether `actual` has the value `desired`, compared as in `diff`."""
    if isinstance(desired, dict):
        return not diff(desired, actual if isinstance(actual, dict) else {})
    if isinstance(desired, (list, tuple)):
        return _as_set(desired) == _as_set(actual if isinstance(actual, list) else [])
    return desired == actual or (desired == "" and actual is None)


def _as_set(values: Iterable[object]) -> set[str]:
    return {repr(value) for value in values}
