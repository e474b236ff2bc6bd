from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("verbs.words", "ours", "The command line refuses what does not fit, before anything is asked."),
    Requirement("verbs.provider", "ours", "A command or provider that is not there is refused with what is."),
    Requirement("verbs.printed", "ours", "What is printed holds no secret and nothing that moves a cursor."),
    Requirement("verbs.private_key_jwt", "RFC 7523 section 2.2", "A key in place of the secret survives every apply."),
    Requirement("verbs.documents", "CIMD draft 01", "Client documents count only from hosts that are listed by name."),
)
