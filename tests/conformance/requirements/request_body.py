"""Bodies of requests to the MCP endpoint."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "body.json",
        "RFC 8259 section 4; HTTP contract, docs/flows.md",
        "Duplicate members, batches and bodies that are not JSON get 400, after the token was verified.",
    ),
    Requirement(
        "body.length",
        "HTTP contract, docs/flows.md",
        "A body over 4 MiB gets 413, also where another HTTP server runs the application.",
    ),
    Requirement(
        "body.json_values",
        "RFC 8259 section 9",
        "A body of more than 50,000 JSON values, or nested deeper than 128 levels, gets 413 that says so, "
        "before any value is built; strings may contain what looks like values.",
    ),
    Requirement(
        "body.memory_per_user",
        "RFC 6585 section 4; RFC 9110 section 15.6.4",
        "The memory of a user's pending requests is bounded: 429 with `Retry-After` and no challenge; 503 "
        "where all users together hold too much. Users who hold little have a reserve.",
    ),
    Requirement(
        "body.surrogates",
        "RFC 8259 section 8.2; RFC 7493 section 2.1",
        "An unpaired surrogate in a token or a body is rejected, because parsers disagree about it.",
    ),
    Requirement(
        "body.any_body",
        "RFC 8259",
        "Every body gets a response, and never 500.",
    ),
)
