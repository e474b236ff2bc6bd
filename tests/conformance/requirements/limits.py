from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "limits.provider_queue",
        "ours",
        "Whoever makes this server ask the provider most waits longest: what others send is asked about in turn.",
    ),
    Requirement(
        "limits.unknown_keys",
        "ours",
        "Tokens of others that name unknown keys do not delay the first token under a new key.",
    ),
    Requirement(
        "limits.windows",
        "ours",
        "In any ten seconds a key is admitted as often as its limit says, in a table of bounded size.",
    ),
    Requirement(
        "limits.address",
        "DESIGN section 3; RFC 6585 section 4",
        "Requests without a verified token are limited by address (IPv6 by /64), with 429 before anything else; a "
        "verified token skips the limit.",
    ),
    Requirement(
        "limits.user",
        "DESIGN section 3; RFC 6585 section 4",
        "Requests, new tokens, calls in progress, streams and sessions of a user are limited, whatever the client.",
    ),
    Requirement("limits.tool", "ours", "A tool of the access file's tool_limits is limited for each person."),
    Requirement(
        "limits.response",
        "draft-ietf-httpapi-ratelimit-headers-10; RFC 9110 section 10.2.3",
        "429 has Retry-After and RateLimit fields, no challenge, and a web page of an allowed origin can read them.",
    ),
    Requirement(
        "limits.shared",
        "ours",
        "Replicas with one RATE_LIMIT_STORAGE share the limits per second; without it each counts by itself, and no "
        "call fails.",
    ),
    Requirement(
        "limits.log", "ours", "Refusals for a limit are one line a minute in the log and the audit log for each who."
    ),
    Requirement("limits.settings", "ours", "Each limit is a setting, and 0 switches it off."),
)
