"""Token verification against a real Keycloak."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "keycloak.client_auth",
        "RFC 6749 section 2.3.1; RFC 7523 section 3",
        "Keycloak accepts this server's secret in the header or the form, and an assertion of each key type.",
    ),
    Requirement(
        "keycloak.revoked_token",
        "RFC 7662 section 4",
        "A token revoked at Keycloak is accepted until the cached result is 30 s old, and no longer; a "
        "reinstated one is accepted again.",
    ),
    Requirement(
        "keycloak.rejected_client",
        "RFC 7662 section 2.3",
        "If Keycloak rejects this server's credentials, tokens get 503 and the log has one error line.",
    ),
    Requirement(
        "keycloak.token_types",
        "RFC 7662 section 2.2; RFC 8725 section 3.12",
        "Keycloak's refresh and ID tokens, and access tokens for other audiences, are rejected, with and "
        "without introspection.",
    ),
    Requirement(
        "keycloak.algorithms",
        "RFC 8725 section 3.1",
        "Tokens verify in every asymmetric algorithm that Keycloak signs with.",
    ),
)
