"""The options of the bootstrap's commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Command = Callable[["BootstrapOptions", Mapping[str, str]], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapOptions:
    """The options of one run; each command uses some of them.

    Attributes:
        wait: How long to wait for a provider that is still starting, in seconds.
        json: Whether to print JSON.
        verify: Whether `apply` verifies with a test registration even if nothing changed.
        verbose: Whether `apply` prints each change of a new realm.
        older_than: The minimum age of clients that `prune` lists, in seconds.
        unused: Whether `prune` lists only clients that were never used for a login.
        delete: Whether `prune` removes what it lists.
        yes: Whether `remove` needs no confirmation.
        resource: The URL of the resource that `remove` removes.
        moved_from: The former public URL of the server, for `plan` and `apply`.
        uses: The number of registrations that an initial access token allows.
        expires: The lifetime of an initial access token, in seconds.
    """

    wait: int = 120
    json: bool = False
    verify: bool = False
    verbose: bool = False
    older_than: int = 30 * 86400
    unused: bool = False
    delete: bool = False
    yes: bool = False
    resource: str = ""
    moved_from: str = ""
    uses: int = 1
    expires: int = 3600
