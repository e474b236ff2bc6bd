from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "providers.shapes",
        "the documents that each imitation cites",
        "Each provider's genuine access tokens are accepted with the settings of its guide; its other tokens are not.",
    ),
    Requirement("providers.generic", "RFC 9068", "A provider nobody named works with nothing but its issuer set."),
    Requirement("providers.chosen", "ours", "An issuer's host gives its provider away, and no look-alike does."),
    Requirement("providers.opaque", "RFC 7662", "Opaque tokens are asked about where the provider writes them."),
    Requirement(
        "providers.audience", "RS-12", "Where tokens name no audience, the start says that clients must be listed."
    ),
    Requirement(
        "providers.wrong_issuer", "ours", "What people take for the issuer is refused with what to write instead."
    ),
    Requirement(
        "providers.roles_decide",
        "ours",
        "Where scopes are not bound to people, no scope in a token adds to what the person's roles bring.",
    ),
    Requirement("providers.overridden", "ours", "The access file can say of an issuer whether scopes or roles decide."),
    Requirement("providers.guides", "ours", "Each profile has a guide, and each setting that a guide names exists."),
    Requirement("providers.table", "ours", "The table of providers in the documentation is what the profiles say."),
)
