"""Official clients, the login command and the token command."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "clients.march_2025",
        "MCP 2025-03-26 authorization",
        "An official client of March 2025 logs in with the metadata mirror enabled.",
    ),
    Requirement(
        "clients.step_up",
        "MCP authorization 2026-07-28, Step-Up Authorization",
        "A call that requires more leads to one 403, one login and success with all granted scopes; with our "
        "defaults none is needed.",
    ),
    Requirement(
        "clients.step_up_ends",
        "MCP authorization 2026-07-28, Scope Challenge Handling",
        "Where a step-up cannot succeed the client stops at once with a message, not in a loop.",
    ),
    Requirement(
        "clients.programs",
        "MCP authorization 2026-07-28",
        "Programs that people use, as published, log in, list and call tools with a real Keycloak and a real Dex; for "
        "an account without a role they end with the reason.",
    ),
    Requirement(
        "login.deregistration",
        "RFC 7592 section 2.3",
        "The command deletes its registration at the end, however it ends.",
    ),
    Requirement(
        "login.scopes_not_granted",
        "RFC 6749 section 5.1",
        "Scopes that were not granted are named, with the role for each.",
    ),
    Requirement(
        "login.trusted_issuer",
        "RFC 9728 section 7.6; RFC 8414 section 3.3",
        "A password is sent only to the issuer configured here, byte for byte, never to one that only a server names.",
    ),
    Requirement(
        "login.linear",
        "RFC 9110 section 11.6.1; RFC 6750 section 3",
        "The time for a server's text is linear in its length.",
    ),
    Requirement(
        "login.cookies",
        "RFC 6265 section 5.4",
        "Cookies return to their own host and path only; Secure ones over http too.",
    ),
    Requirement(
        "login.callback",
        "RFC 8252 section 7.3; RFC 6749 section 10.12",
        "Only the authorization response of this login is accepted.",
    ),
    Requirement(
        "login.claims",
        "RFC 7519 section 4.1",
        "Claims are read in every spelling that providers use.",
    ),
    Requirement(
        "token.device_flow",
        "RFC 8628",
        "The device flow polls at the requested interval, and ends with the token or the reason.",
    ),
    Requirement(
        "token.client_credentials",
        "RFC 6749 section 4.4",
        "A client's secret from a file obtains the client's own token.",
    ),
    Requirement(
        "token.deregistration",
        "RFC 7592 section 2.3",
        "The registration is deleted, unless it is to be kept.",
    ),
)
