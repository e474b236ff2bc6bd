"""Service clients, token exchange and downstream APIs."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "service_clients.secret",
        "RFC 6749 section 4.4",
        "A service client with a secret gets the scopes of its roles.",
    ),
    Requirement(
        "service_clients.private_key_jwt",
        "RFC 7523 section 2.2",
        "A service client with a key gets its token by a signed assertion.",
    ),
    Requirement(
        "token_exchange.request",
        "RFC 8693 section 2.1; MCP security best practices, Token Passthrough",
        "`exchange_token()` authenticates as this server and requests audience and scopes.",
    ),
    Requirement(
        "token_exchange.rejected",
        "RFC 8693 section 2.2",
        "Without a usable token the tool returns an error without secrets.",
    ),
    Requirement(
        "token_exchange.no_passthrough",
        "MCP security best practices, Token Passthrough",
        "The inbound token is never passed on.",
    ),
    Requirement(
        "token_exchange.expiry",
        "MCP security best practices, Token Passthrough",
        "Once the caller's token has expired nothing is exchanged or returned for it.",
    ),
    Requirement(
        "downstream_api.user",
        "MCP security best practices, Token Passthrough",
        "A downstream API sees the user, and this server as the client.",
    ),
    Requirement(
        "downstream_api.audience",
        "MCP security best practices, Token Passthrough",
        "A token is valid here or at the downstream API, never at both.",
    ),
)
