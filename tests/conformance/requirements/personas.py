from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "personas.matrix",
        "RFC 7591 section 3",
        "Under each registration profile each known client is registered or refused as docs/registration.md says.",
    ),
    Requirement(
        "personas.login",
        "RFC 6749 section 4.1; RFC 8252 section 7.3",
        "Each known client that registers logs in with its own parameters, at each redirect URI that it uses.",
    ),
    Requirement(
        "personas.admitted",
        "RFC 8707 section 2",
        "The token it gets is for this server, has the scopes of the person's roles, and the server takes it.",
    ),
    Requirement("personas.refresh", "RFC 6749 section 6", "Its refresh brings a token that the server takes as well."),
    Requirement(
        "personas.parallel_refresh",
        "RFC 9700 section 4.14.2",
        "Two refreshes at once with one token both go through, and the session goes on.",
    ),
    Requirement("personas.forgotten", "RFC 7592 section 2.3", "A client that deletes its registration is gone."),
    Requirement(
        "personas.hostile",
        "RFC 7591 section 5",
        "Under no registration profile does a hostile request of the list register a client.",
    ),
    Requirement(
        "personas.curbed",
        "RFC 9700 section 2.4",
        "A client that registers for more than the code flow gets no more, and never a token without a person.",
    ),
    Requirement("personas.flood", "ours", "A thousand registrations fill the realm up to its limit and no further."),
    Requirement("personas.table", "ours", "docs/registration.md shows what the tests expect, as they expect it."),
    Requirement("personas.sources", "ours", "Each value of a client profile has a source, or its program was run."),
    Requirement("personas.guides", "ours", "The guides in docs/clients configure clients as the server's page does."),
)
