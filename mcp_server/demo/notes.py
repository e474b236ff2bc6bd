"""The notes of the demo tools, stored in memory by user and bounded in number. A real server would use a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_idp import Principal

MAX_NOTES_EACH = 100
MAX_USERS = 1000


class NoteRejected(Exception):
    """A note cannot be stored; the message says why."""


class NoteStore:
    """Stores notes by user: by issuer and subject, because a subject is unique at its issuer only.

    Args:
        max_per_user: the maximum number of notes of one user.
        max_users: the maximum number of users with notes.
    """

    def __init__(self, *, max_per_user: int = MAX_NOTES_EACH, max_users: int = MAX_USERS) -> None:
        self._max_per_user = max_per_user
        self._max_users = max_users
        self._notes_by_owner: dict[tuple[str, str], list[str]] = {}

    def list_for(self, principal: Principal) -> list[str]:
        """Returns the user's notes, oldest first; an empty list if the token has no subject."""
        return (
            []
            if principal.subject is None
            else list(self._notes_by_owner.get((principal.issuer, principal.subject), ()))
        )

    def add(self, principal: Principal, text: str) -> int:
        """Stores a note.

        Args:
            principal: the caller.
            text: the note.

        Returns:
            The number of notes that the user has now.

        Raises:
            NoteRejected: the token has no subject, or a maximum is reached.
        """
        if principal.subject is None:
            raise NoteRejected("the token has no user")
        owner = (principal.issuer, principal.subject)
        if owner not in self._notes_by_owner and len(self._notes_by_owner) >= self._max_users:
            raise NoteRejected("the note store has too many users")
        notes = self._notes_by_owner.setdefault(owner, [])
        if len(notes) >= self._max_per_user:
            raise NoteRejected(f"at most {self._max_per_user} notes per user")
        notes.append(text)
        return len(notes)

    def counts(self) -> tuple[int, int]:
        """Returns the number of users with notes and the number of all notes."""
        return len(self._notes_by_owner), sum(map(len, self._notes_by_owner.values()))
