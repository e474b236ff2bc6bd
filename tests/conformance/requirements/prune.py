from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("prune.stale", "ours", "Prune finds clients that registered themselves and were not used since long."),
    Requirement("prune.session", "ours", "A client with a session is never removed, whatever its age."),
    Requirement("prune.unknown_age", "ours", "A client is removed only if the events prove its age."),
    Requirement("prune.dry_run", "ours", "Prune lists, and removes only with --delete."),
    Requirement("prune.quota", "ours", "Check warns at four fifths of the clients; a full realm says its limit."),
)
