from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "limits.address",
        "HTTP contract, docs/flows.md; RFC 6585 section 4",
        "Requests without a verified token are limited by address (IPv6 by /64), with 429 before any other check; the "
        "limit does not apply to a token that was verified before.",
    ),
    Requirement(
        "limits.user",
        "HTTP contract, docs/flows.md; RFC 6585 section 4",
        "Requests, new tokens, calls in progress, streams and sessions of a user are limited in all clients.",
    ),
    Requirement(
        "limits.tool",
        "HTTP contract, docs/tools.md",
        "A tool in tool_limits of the access file is limited for each user.",
    ),
    Requirement(
        "limits.response",
        "draft-ietf-httpapi-ratelimit-headers-10; RFC 9110 section 10.2.3",
        "429 has Retry-After and RateLimit fields, no challenge, and web pages of allowed origins can read them.",
    ),
)
