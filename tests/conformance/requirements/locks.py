"""What installing has to hold: a lock is all of it, today and after the next release of anything."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "locks.complete",
        "ours",
        "A lock names all that its distributions ask for, what their extras ask for included, on each system.",
    ),
    Requirement("locks.nested", "ours", "What a smaller lock names, the next larger one names in the same version."),
    Requirement(
        "locks.no_address",
        "ours",
        "A lock holds names, versions, markers and hashes; a file that names addresses is not committed.",
    ),
    Requirement("locks.newer_release", "ours", "A newer release of what a lock names changes nothing."),
    Requirement(
        "locks.exact", "ours", "After a lock changed, the environment holds what it names and nothing from before."
    ),
    Requirement(
        "locks.interrupted", "ours", "An installation that was interrupted is done again, from an empty environment."
    ),
    Requirement(
        "locks.refused",
        "ours",
        "A lock that is incomplete or whose hash does not match is refused, and so not installed.",
    ),
    Requirement(
        "locks.oldest_pip",
        "ours",
        "Each lock can be installed into an empty environment by the oldest pip that a supported Python brings.",
    ),
    Requirement(
        "dependencies.private_names",
        "ours",
        "A dependency whose private names are used has an upper bound, and a test says which name is gone.",
    ),
    Requirement(
        "dependencies.range_of_mcp", "ours", "The oldest and the newest mcp of the range that is asked for will do."
    ),
)
