"""The notes of the demo tools: kept in memory, by person, and bounded. Yours would be in a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_idp import Principal

MAX_NOTES_EACH = 100
MAX_USERS = 1000


class NoteRejected(Exception):
    """A note that cannot be kept; the text says why."""


class NoteStore:
    """Whose notes are whose follows from issuer and subject: a subject is unique at its issuer only.

    Args:
        max_per_user: notes that one person may keep.
        max_users: persons whose notes are kept.
    """

    def __init__(self, *, max_per_user: int = MAX_NOTES_EACH, max_users: int = MAX_USERS) -> None:
        self._max_per_user = max_per_user
        self._max_users = max_users
        self._notes_by_owner: dict[tuple[str, str], list[str]] = {}

    def list_for(self, principal: Principal) -> list[str]:
        """The person's notes, the oldest first. A token that names nobody has none."""
        return (
            []
            if principal.subject is None
            else list(self._notes_by_owner.get((principal.issuer, principal.subject), ()))
        )

    def add(self, principal: Principal, text: str) -> int:
        """Keep one more note of a person; how many there are then.

        Raises:
            NoteRejected: the token names nobody, or there is no room.
        """
        if principal.subject is None:
            raise NoteRejected("the token names nobody whose note this could be")
        owner = (principal.issuer, principal.subject)
        if owner not in self._notes_by_owner and len(self._notes_by_owner) >= self._max_users:
            raise NoteRejected("no room for another person's notes")
        notes = self._notes_by_owner.setdefault(owner, [])
        if len(notes) >= self._max_per_user:
            raise NoteRejected(f"at most {self._max_per_user} notes each")
        notes.append(text)
        return len(notes)

    def counts(self) -> tuple[int, int]:
        """How many people keep notes, and how many notes there are."""
        return len(self._notes_by_owner), sum(map(len, self._notes_by_owner.values()))
