from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("groups.member", "issue 6", "Whoever is in a group of the access file gets its scopes by a login."),
    Requirement("groups.drift", "ours", "Check names what of a group was changed, and an apply fixes what is ours."),
    Requirement("groups.foreign", "ours", "A group that somebody else made is refused before anything is written."),
    Requirement("groups.names", "ours", "A name that Keycloak would take for another group is refused with its place."),
    Requirement("groups.removed", "ours", "A group that the file no longer names goes if it was ours and is marked."),
    Requirement("groups.everybody", "weakness S1", "No group that everybody joins brings a role of ours."),
    Requirement(
        "groups.rights",
        "ours",
        "Check names a group of ours that brings rights in the realm, or roles beyond the file's.",
    ),
    Requirement("groups.order", "ours", "A group loses what it shall not bring before anything is given."),
    Requirement("groups.interrupted", "ours", "An apply with groups that broke off anywhere is completed by the next."),
    Requirement("groups.accounts", "ours", "Accounts need rights over people only where the file names groups."),
    Requirement("groups.dex", "ours", "At Dex a demo user's groups are groups, and roles that count nothing are told."),
)
