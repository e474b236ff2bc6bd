"""Dex behind its registration proxy."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "dex.registration",
        "RFC 7591 section 3.2.1",
        "The redirect URIs of the known clients get a client id.",
    ),
    Requirement(
        "dex.registration_response",
        "RFC 7591 section 2",
        "The response names the metadata that the client really gets.",
    ),
    Requirement(
        "dex.registration_rejected",
        "RFC 7591 section 3.2.2",
        "Every other redirect URI, and every other document, is rejected.",
    ),
    Requirement(
        "dex.login",
        "MCP authorization 2026-07-28",
        "Registration, login, consent and token request work on real Dex and Caddy.",
    ),
    Requirement(
        "dex.metadata",
        "RFC 8414 section 3",
        "Both well-known documents are identical, and each endpoint exists.",
    ),
    Requirement(
        "dex.methods",
        "RFC 9110 section 15.5.6",
        "An unsupported method is rejected, and the supported ones are named.",
    ),
    Requirement(
        "dex.pkce",
        "OAuth 2.1 section 4.1.1",
        "No login starts without PKCE by S256, or for anything but a code.",
    ),
    Requirement(
        "dex.redirect_uris",
        "RFC 9700 section 2.1",
        "No login redirects to a URI that the client does not have.",
    ),
    Requirement(
        "dex.grants",
        "RFC 9700 section 2.4",
        "No grant but a code and a refresh token returns tokens.",
    ),
    Requirement(
        "dex.pages",
        "OAuth 2.1 section 7.13",
        "Pages cannot be framed; other pages read listed responses only.",
    ),
    Requirement(
        "several_servers.dex",
        "RFC 8707 section 2",
        "Behind one Dex a token is for the one server that the login named, and names are not shared.",
    ),
    Requirement(
        "dex.refresh",
        "RFC 6749 section 6",
        "Refresh works, and two clients of one user do not disturb it.",
    ),
    Requirement(
        "dex.id_token",
        "RFC 8725 section 3.12",
        "An ID token of a login is rejected; one of a refresh cannot be recognized.",
    ),
    Requirement(
        "dex.client_profiles",
        "RFC 7591 section 3",
        "Under each registration profile of Dex, known and hostile clients get what docs/registration.md says.",
    ),
    Requirement(
        "dex.clients",
        "MCP authorization 2026-07-28",
        "The official TypeScript clients register, log in and call at Dex, and end at once where a group is missing.",
    ),
)
