"""Dynamic registration, initial access tokens and client metadata documents."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "registration.profiles",
        "RFC 7591 section 3",
        "Under each registration profile each known client is registered or rejected as docs/registration.md says.",
    ),
    Requirement(
        "registration.login",
        "RFC 6749 section 4.1; RFC 8252 section 7.3",
        "Each known client that registers logs in with its own parameters, at each redirect URI that it uses.",
    ),
    Requirement(
        "registration.token",
        "RFC 8707 section 2",
        "Its token has this server as audience and the scopes of the user's roles, and the server accepts it.",
    ),
    Requirement(
        "registration.refresh",
        "RFC 6749 section 6",
        "Its refresh returns a token that the server accepts too.",
    ),
    Requirement(
        "registration.concurrent_refresh",
        "RFC 9700 section 4.14.2",
        "Two concurrent refreshes with one token both succeed, and the session continues.",
    ),
    Requirement(
        "registration.deletion",
        "RFC 7592 section 2.3",
        "A client that deletes its registration is gone.",
    ),
    Requirement(
        "registration.hostile",
        "RFC 7591 section 5",
        "No hostile request of the list registers a client, under any registration profile.",
    ),
    Requirement(
        "registration.narrowed",
        "RFC 9700 section 2.4",
        "A client that registers for more than the code flow gets no more, and never a token without an end user.",
    ),
    Requirement(
        "initial_access_token.required",
        "RFC 7591 section 3",
        "Under the profile initial-access-token nobody registers without one.",
    ),
    Requirement(
        "initial_access_token.uses",
        "RFC 7591 section 3",
        "An initial access token registers as many clients as it says.",
    ),
    Requirement(
        "client_metadata_document.login",
        "CIMD draft 01",
        "A client with a metadata document on a listed host needs no registration.",
    ),
    Requirement(
        "client_metadata_document.rejected",
        "CIMD draft 01",
        "A metadata document on another host, or one that asks for too much, is rejected.",
    ),
    Requirement(
        "client_metadata_document.listed_hosts",
        "CIMD draft 01",
        "Client metadata documents are accepted only from hosts that are listed by name.",
    ),
)
