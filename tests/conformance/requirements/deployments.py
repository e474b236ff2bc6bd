"""The compose stacks."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "stack.login",
        "MCP authorization 2026-07-28",
        "Challenge, discovery, registration, login, token and call work on real Keycloak.",
    ),
    Requirement(
        "stack.browser",
        "MCP authorization 2026-07-28",
        "A user logs in through a browser and consents, and the client calls a tool.",
    ),
    Requirement(
        "stack.no_secret",
        "MCP authorization 2026-07-28, Security Considerations",
        "No container's configuration and no log shows a secret or a token.",
    ),
    Requirement(
        "production.disabled_endpoints",
        "Keycloak weaknesses S2, S4 and S8, docs/keycloak.md",
        "The Keycloak image is built without the endpoints behind these weaknesses.",
    ),
    Requirement(
        "production.login",
        "MCP authorization 2026-07-28",
        "A client logs in and calls a tool through Caddy, over TLS.",
    ),
    Requirement(
        "production.tls",
        "RFC 6797, RFC 9325 section 3.1",
        "TLS 1.2 and 1.3 only, and every response has Strict-Transport-Security.",
    ),
    Requirement(
        "production.limits",
        "RFC 6585 section 4; RFC 7239 section 8.1",
        "A limit counts the client's address as Caddy sees it, whatever headers the client forges.",
    ),
    Requirement(
        "production.acme",
        "RFC 8555",
        "A certificate authority issues Caddy certificates for both names.",
    ),
)
