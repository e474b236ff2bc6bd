"""What an apply makes of a Keycloak realm."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "bootstrap.advertised_scopes",
        "RFC 8414 section 2",
        "The provider advertises the scopes of the access file and no others.",
    ),
    Requirement(
        "bootstrap.introspection",
        "RFC 7662 section 2",
        "The server's own client may introspect, and nothing else.",
    ),
    Requirement(
        "bootstrap.refresh_rotation",
        "OAuth 2.1 section 4.3.1",
        "A refresh token works once, and once more for two concurrent refreshes; a third use ends the session.",
    ),
    Requirement(
        "bootstrap.pkce",
        "OAuth 2.1 section 4.1.1",
        "No code is issued without PKCE, or with the method plain.",
    ),
    Requirement(
        "bootstrap.client_profiles",
        "RFC 7591",
        "Known MCP clients can register with the requests they really send.",
    ),
    Requirement(
        "bootstrap.default_scope",
        "RFC 6749 section 3.3",
        "While the realm has one resource, a login without scope gets the base scope, with consent, for a role.",
    ),
    Requirement(
        "several_servers.ownership",
        "RFC 9700 section 2.3",
        "An apply or removal of one server changes nothing that another server of the realm owns, in any order.",
    ),
    Requirement(
        "several_servers.one_login",
        "RFC 9700 section 2.3",
        "One login and one registered client serve several servers of a realm, with a token for each.",
    ),
    Requirement(
        "several_servers.migration",
        "RFC 7592",
        "A realm of an earlier release, and a server at a new URL, keep their objects and get the new marks.",
    ),
    Requirement(
        "bootstrap.redirect_uris",
        "RFC 8252 section 7.3",
        "Only loopback redirect URIs and those of the listed vendors are registered.",
    ),
    Requirement(
        "bootstrap.native_client",
        "RFC 8252 section 7.3",
        "The pre-registered client works on any loopback port.",
    ),
    Requirement(
        "bootstrap.test_registration",
        "RFC 7592",
        "The test registration leaves no client behind.",
    ),
    Requirement(
        "bootstrap.response_types",
        "RFC 9700 section 2.1.2",
        "No response type but code returns anything.",
    ),
    Requirement(
        "bootstrap.ciba",
        "OpenID Connect CIBA section 4",
        "No client starts logins on other devices.",
    ),
    Requirement(
        "bootstrap.token_exchange",
        "RFC 8693",
        "A client that registered itself cannot exchange tokens.",
    ),
    Requirement(
        "bootstrap.uma",
        "User-Managed Access 2.0",
        "A registered client can neither store nor request permissions.",
    ),
    Requirement(
        "bootstrap.registration_token",
        "RFC 7592",
        "Updates with a registration access token follow the same rules.",
    ),
    Requirement(
        "bootstrap.offline_tokens",
        "OpenID Connect Core section 11",
        "Offline tokens expire, and end when consent is withdrawn.",
    ),
    Requirement(
        "bootstrap.request_objects",
        "RFC 9101, RFC 9126",
        "Neither a request object nor a pushed request bypasses a rule.",
    ),
    Requirement(
        "bootstrap.redirect_at_login",
        "RFC 9700 section 2.1",
        "A login redirects to a registered URI only.",
    ),
    Requirement(
        "bootstrap.pairwise_subjects",
        "OpenID Connect Core section 8.1",
        "A client cannot give a user another subject.",
    ),
    Requirement(
        "bootstrap.signing_keys",
        "RFC 7518 section 3.1",
        "Each algorithm of the access file has an active key.",
    ),
    Requirement(
        "bootstrap.private_key_jwt",
        "RFC 7523 section 2.2",
        "The server's key in place of its secret survives every apply.",
    ),
    Requirement(
        "weaknesses.s1",
        "Keycloak weakness S1, docs/keycloak.md",
        "A client that registered itself gets no token without an end user.",
    ),
    Requirement(
        "weaknesses.s2",
        "Keycloak weakness S2, docs/keycloak.md",
        "No registration endpoint accepts a client in Keycloak's own format.",
    ),
    Requirement(
        "weaknesses.s3",
        "Keycloak weakness S3, docs/keycloak.md",
        "No registered client has a mapper that writes claims.",
    ),
    Requirement(
        "weaknesses.s4",
        "Keycloak weakness S4, docs/keycloak.md",
        "No registered client chooses the lifetime of its tokens.",
    ),
    Requirement(
        "weaknesses.s5",
        "Keycloak weakness S5, docs/keycloak.md",
        "No registered client chooses how access tokens are signed.",
    ),
    Requirement(
        "weaknesses.s6",
        "Keycloak weakness S6, docs/keycloak.md",
        "A relative redirect URI is rejected.",
    ),
    Requirement(
        "weaknesses.s7",
        "Keycloak weakness S7, docs/keycloak.md",
        "No registered client makes Keycloak show or fetch an external address.",
    ),
    Requirement(
        "weaknesses.s8",
        "Keycloak weakness S8, docs/keycloak.md",
        "The consent page shows a client's name as text, and as the client's own claim.",
    ),
    Requirement(
        "weaknesses.s9",
        "Keycloak weakness S9, docs/keycloak.md",
        "Passwords, the implicit flow and device codes return no token.",
    ),
    Requirement(
        "weaknesses.default_group",
        "Keycloak weakness S1, docs/keycloak.md",
        "No group that all users join has a role of the access file.",
    ),
    Requirement(
        "existing_realm.weaknesses",
        "Keycloak weaknesses S1 to S9, docs/keycloak.md",
        "Check reports each weakness of a realm that was set up as tutorials do.",
    ),
    Requirement(
        "existing_realm.clients",
        "Keycloak weaknesses S3, S4 and S6, docs/keycloak.md",
        "Check reports unmanaged clients with properties that would be rejected today.",
    ),
    Requirement(
        "existing_realm.registration_token",
        "RFC 7592 section 3",
        "The registration access token of an adopted client no longer works.",
    ),
    Requirement(
        "auth0.no_expressions",
        "HCL syntax, template expressions",
        "Nothing in the access file becomes a Terraform expression.",
    ),
)
