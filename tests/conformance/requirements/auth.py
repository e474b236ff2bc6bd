"""Authentication of a request at the MCP endpoint, and how it is rejected."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "auth.missing_token",
        "RFC 6750 section 3.1; RFC 9728 section 5.1; MCP authorization 2026-07-28, Scope Selection",
        "A request without credentials gets 401 and a challenge with `resource_metadata` and `scope`, "
        "without an error code.",
    ),
    Requirement(
        "auth.other_scheme",
        "RFC 6750 section 3.1",
        "A scheme other than Bearer counts as no credentials: 401 without an error code.",
    ),
    Requirement(
        "auth.malformed",
        "RFC 6750 section 3.1",
        "Bearer without a token, two headers or two tokens get 400 `invalid_request` with the challenge.",
    ),
    Requirement(
        "auth.invalid_token",
        "RFC 6750 section 3.1; MCP authorization 2026-07-28, Token Handling",
        "A token that does not verify gets 401 `invalid_token` with one body for all reasons; only the log "
        "has the reason.",
    ),
    Requirement(
        "auth.header_only",
        "RFC 6750 section 2; MCP authorization 2026-07-28, Token Requirements",
        "A token in the query, a cookie or the body does not count as credentials.",
    ),
    Requirement(
        "auth.insufficient_scope",
        "RFC 6750 section 3.1; MCP authorization 2026-07-28, Scope Challenge Handling",
        "A token without the base scope, which a login could grant, gets 403 `insufficient_scope` with all "
        "required scopes.",
    ),
    Requirement(
        "auth.insufficient_role",
        "HTTP contract, docs/flows.md",
        "A base scope that none of the user's roles grants: 403 without `WWW-Authenticate`; the body names the roles.",
    ),
    Requirement(
        "auth.provider_unavailable",
        "RFC 9110 section 15.6.4; HTTP contract, docs/flows.md",
        "If the provider is unreachable and the result is not cached, the response is 503 with "
        "`Retry-After`, never 401 or 200.",
    ),
    Requirement(
        "auth.every_method",
        "MCP authorization 2026-07-28, Token Requirements",
        "GET, POST and DELETE of the endpoint are all authenticated.",
    ),
    Requirement(
        "auth.no_token_in_log",
        "MCP authorization 2026-07-28, Security Considerations",
        "No log line contains a token, whatever the client sends.",
    ),
    Requirement(
        "auth.correlation_id",
        "HTTP contract, docs/tools.md",
        "The body of a rejection carries the correlation id of its log line.",
    ),
    Requirement(
        "auth.any_header",
        "RFC 6750 section 3",
        "No value of `Authorization` authenticates without a valid token, causes a 500 or makes the "
        "challenge malformed.",
    ),
    Requirement(
        "auth.fail_closed",
        "MCP authorization 2026-07-28, Security Considerations",
        "A request is not authenticated if token verification raises an unexpected error.",
    ),
    Requirement(
        "auth.provider_error",
        "RFC 9110 section 15.6.4",
        "An unexpected error caused by a response of the provider counts as a provider error: 503, and the "
        "next request tries again.",
    ),
    Requirement(
        "auth.unknown_path",
        "HTTP contract, docs/flows.md",
        "Any other path gets 404 without a challenge.",
    ),
)
