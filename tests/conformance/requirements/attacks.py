from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "attack.key_set",
        "ours; RFC 7517 section 5",
        "A key that cannot be read, whatever its members are, takes no other key away.",
    ),
    Requirement(
        "attack.provider_fault",
        "ours; RFC 9110 section 15.6.4",
        "Whatever an answer of the provider makes this server raise is a fault of the provider: 503, and tried again.",
    ),
    Requirement(
        "attack.fail_closed", "RS-15", "Whatever goes wrong while a token is judged, the request is not admitted."
    ),
    Requirement(
        "attack.subject_kept",
        "RFC 7662 section 2.2",
        "An answer that leaves out sub does not make the person of a signed token nobody.",
    ),
    Requirement("attack.fault_bound", "ours", "What the log quotes of a provider's answer is bounded."),
    Requirement(
        "attack.log_time", "ours", "A log line is cleaned in time proportional to its length, whatever it says."
    ),
    Requirement(
        "attack.inside",
        "OWASP SSRF prevention",
        "A private address in any spelling that resolvers understand counts as inside the network.",
    ),
    Requirement(
        "attack.surrogates",
        "RFC 8259 section 8.2; RFC 7493 section 2.1",
        "Half of a surrogate pair in a token or a body is refused: parsers disagree about it.",
    ),
    Requirement(
        "attack.session_flood",
        "ours",
        "Whoever opens sessions without end loses the oldest of their own; others can open theirs.",
    ),
    Requirement("attack.session_owner", "RS-25", "A session answers nobody but the person and client that opened it."),
    Requirement(
        "attack.session_identity",
        "RS-18, RS-25",
        "Within a session each call acts for the token it came with, not for the one that opened the session.",
    ),
    Requirement(
        "attack.stream_end", "RS-14, RS-18", "A stream without an end of its own ends with the token that opened it."
    ),
    Requirement(
        "attack.any_authorization",
        "RFC 6750 section 3",
        "No value of Authorization admits anybody without a token, answers 500 or gives a challenge that is malformed.",
    ),
    Requirement(
        "attack.any_claims", "RFC 7519 section 7.2", "Whatever signed claims say, they are a principal or a refusal."
    ),
    Requirement("attack.any_body", "RFC 8259", "Whatever a body is, it is answered, and never with 500."),
)
