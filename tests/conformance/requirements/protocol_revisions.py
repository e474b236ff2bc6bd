"""Protocol revisions and sessions."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "protocol_revisions.one_endpoint",
        "MCP 2026-07-28 versioning",
        "Every revision from 2025-03-26 on is served at one URL.",
    ),
    Requirement(
        "protocol_revisions.accept",
        "MCP 2025-11-25 transports",
        "A client that does not accept both JSON and event streams gets 406, in every revision.",
    ),
    Requirement(
        "protocol_revisions.cancel",
        "MCP 2025-11-25 cancellation",
        "A call whose response is a JSON document can be cancelled.",
    ),
    Requirement(
        "sessions.required",
        "MCP 2025-11-25 transports, Session Management",
        "In the handshake revisions a request without a session opens one or gets 400.",
    ),
    Requirement(
        "sessions.delete",
        "MCP 2025-11-25 transports, Session Management",
        "DELETE ends a session: it is 404 from then on.",
    ),
    Requirement(
        "sessions.get_stream",
        "MCP 2025-11-25 transports, Session Management",
        "GET and DELETE belong to a session: without one they get 400.",
    ),
    Requirement(
        "sessions.owner",
        "MCP security best practices, Session Hijacking",
        "A session serves only the user and client that opened it; for all others it does not exist.",
    ),
    Requirement(
        "sessions.identity",
        "MCP authorization 2026-07-28, Token Requirements; MCP security best practices, Session Hijacking",
        "Within a session each call acts for its own token, not for the token that opened the session.",
    ),
    Requirement(
        "sessions.stream_expiry",
        "MCP authorization 2026-07-28, Token Handling",
        "An open stream ends when the token that opened it expires.",
    ),
)
