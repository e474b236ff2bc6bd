from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("adoption.untouched", "ours", "A realm set up by hand is adopted; its other clients and people stay."),
    Requirement(
        "adoption.personas",
        "ours",
        "At an adopted realm every client logs in, calls and refreshes, those registered before as well.",
    ),
    Requirement(
        "adoption.holes", "weaknesses S1 to S9", "Check names each weakness of a realm as tutorials set it up."
    ),
    Requirement(
        "adoption.earlier",
        "weaknesses S3, S4, S6",
        "Check names clients of others that still carry what is refused today.",
    ),
    Requirement(
        "adoption.taken_over", "RFC 7592 section 3", "A client that becomes ours obeys no token of who registered it."
    ),
    Requirement(
        "adoption.removed", "ours", "What the files no longer name is removed if it was ours and carries our mark."
    ),
)
