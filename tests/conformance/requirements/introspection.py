"""Introspection of tokens at the provider."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "introspection.request",
        "RFC 7662 section 2.1; RFC 6749 section 2.3.1",
        "One POST with the token alone, and the URL-encoded id and secret in HTTP Basic.",
    ),
    Requirement(
        "introspection.endpoint",
        "RFC 8414 section 2",
        "The endpoint is the configured one or the metadata's, which is read again after KEY_MAX_AGE.",
    ),
    Requirement(
        "introspection.precheck",
        "RFC 7662 section 4; RFC 6750 section 2.1",
        "A token that is too long, not a b64token, or a JWT that does not verify is not sent to the provider.",
    ),
    Requirement(
        "introspection.opaque",
        "RFC 7662 section 1",
        "Opaque tokens are introspected, unless the provider is known to issue JWTs.",
    ),
    Requirement(
        "introspection.validation",
        "RFC 7662 sections 2.2, 4",
        "A response is validated as strictly as the claims of a JWT.",
    ),
    Requirement(
        "introspection.active",
        "RFC 7662 section 2.2",
        "Only `active` that is exactly true counts; a response without that boolean is invalid.",
    ),
    Requirement(
        "introspection.subject_kept",
        "RFC 7662 section 2.2",
        "If a response omits `sub`, the signed token's subject remains.",
    ),
    Requirement(
        "introspection.invalid_response",
        "RFC 8259 section 4",
        "Errors, redirects and responses that are malformed, too long or too late lead to 503, never to 401 or 200.",
    ),
    Requirement(
        "introspection.rejected_client",
        "RFC 7662 section 2.3",
        "If the provider rejects this server's credentials, the log says once a minute what to set, and "
        "tokens get 503.",
    ),
    Requirement(
        "introspection.client_auth",
        "RFC 6749 section 2.3.1; RFC 7523 section 3; OpenID Connect Core section 9",
        "This server authenticates by secret in the header or the form, or by an assertion for the issuer, "
        "valid for 60 s and used once.",
    ),
    Requirement(
        "introspection.client_key",
        "RFC 7518 sections 3.1, 3.3; RFC 8037 section 3.1",
        "The key's type selects the algorithm; a weak, encrypted or unsupported key stops the start.",
    ),
    Requirement(
        "introspection.single_flight",
        "RFC 7662 section 4",
        "Concurrent uses of one token cause one call; a caller that gives up does not end it for the others.",
    ),
    Requirement(
        "introspection.concurrency",
        "RFC 7662 section 4",
        "Calls in flight and queued calls are bounded: beyond that 503, and opaque tokens leave capacity for "
        "signed ones.",
    ),
    Requirement(
        "introspection.cache",
        "RFC 7662 section 4",
        "An active result is cached for 30 s and never past the token's expiry, an inactive one for 5 s, a "
        "failure not at all.",
    ),
    Requirement(
        "introspection.no_secret_shown",
        "MCP authorization 2026-07-28, Security Considerations",
        "No log line, exception or repr shows the token or the secret.",
    ),
)
