"""The notes of the demo tools: kept in memory, by person, and bounded. Yours would be in a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_idp import Principal

MAX_NOTES_EACH = 100
MAX_PEOPLE = 1000


class NotKept(Exception):
    """A note that cannot be kept; the text says why."""


class Notes:
    """Whose notes are whose follows from issuer and subject: a subject is unique at its issuer only.

    Args:
        each: notes that one person may keep.
        people: persons whose notes are kept.
    """

    def __init__(self, *, each: int = MAX_NOTES_EACH, people: int = MAX_PEOPLE) -> None:
        self._each = each
        self._people = people
        self._kept: dict[tuple[str, str], list[str]] = {}

    def of(self, principal: Principal) -> list[str]:
        """The person's notes, the oldest first. A token that names nobody has none."""
        return [] if principal.subject is None else list(self._kept.get((principal.issuer, principal.subject), ()))

    def add(self, principal: Principal, text: str) -> int:
        """Keep one more note of a person; how many there are then.

        Raises:
            NotKept: the token names nobody, or there is no room.
        """
        if principal.subject is None:
            raise NotKept("the token names nobody whose note this could be")
        owner = (principal.issuer, principal.subject)
        if owner not in self._kept and len(self._kept) >= self._people:
            raise NotKept("no room for another person's notes")
        notes = self._kept.setdefault(owner, [])
        if len(notes) >= self._each:
            raise NotKept(f"at most {self._each} notes each")
        notes.append(text)
        return len(notes)

    def counted(self) -> tuple[int, int]:
        """How many people keep notes, and how many notes there are."""
        return len(self._kept), sum(map(len, self._kept.values()))
