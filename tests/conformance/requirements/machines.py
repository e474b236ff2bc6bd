from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("machines.opt_in", "ours", "Without machine clients in the access file no client gets its own token."),
    Requirement("machines.secret", "RFC 6749 section 4.4", "A machine with a secret gets the scopes of its roles."),
    Requirement("machines.key", "RFC 7523 section 2.2", "A machine with a key gets its token by a signed assertion."),
    Requirement("machines.no_person", "ours", "A machine's token and principal belong to no person."),
    Requirement(
        "machines.only_listed", "ours", "No other client, and no other grant, brings a machine's token that counts."
    ),
    Requirement(
        "machines.permissions",
        "ours",
        "Check warns if unauthenticated clients may keep permissions in Keycloak's database.",
    ),
    Requirement("machines.drift", "ours", "Check names what of a machine client was changed, and an apply fixes it."),
    Requirement("machines.file", "ours", "The access file holds no secret and no private key of a machine client."),
)
