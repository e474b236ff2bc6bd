"""Access tokens, keys, issuers and the provider's metadata."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "jwt.accepted",
        "RFC 9068 section 4",
        "A token with all required claims is accepted, in every allowed algorithm.",
    ),
    Requirement(
        "jwt.shape",
        "RFC 7515 section 7.1",
        "A token that is not three base64url parts is rejected before it is parsed.",
    ),
    Requirement(
        "jwt.length",
        "HTTP contract, docs/flows.md",
        "A token over MAX_TOKEN_BYTES is rejected before anything else is done with it.",
    ),
    Requirement(
        "jwt.header",
        "RFC 7515 section 4",
        "A header that is not a strict JSON object, or asks for something unsupported, is rejected.",
    ),
    Requirement(
        "jwt.algorithm",
        "RFC 8725 sections 3.1, 3.2",
        "Only asymmetric algorithms are accepted, and only the one of the key.",
    ),
    Requirement(
        "jwt.header_type",
        "RFC 8725 section 3.11",
        "The header's `typ` is one that the provider's access tokens have.",
    ),
    Requirement(
        "jwt.header_keys",
        "RFC 8725 section 3.10",
        "A key in the token's header is never used.",
    ),
    Requirement(
        "jwt.signature",
        "RFC 7515 section 5.2",
        "A token that was changed, or signed by another key, is rejected.",
    ),
    Requirement(
        "jwt.issuer",
        "RFC 7519 section 4.1.1; RFC 8725 section 3.8",
        "The issuer matches byte for byte.",
    ),
    Requirement(
        "jwt.audience",
        "RFC 7519 section 4.1.3; MCP authorization 2026-07-28, Access Token Privilege Restriction",
        "The audience is this server, as a string or in a list of strings.",
    ),
    Requirement(
        "jwt.one_resource",
        "RFC 9700 section 2.3; MCP authorization 2026-07-28, Access Token Privilege Restriction",
        "A token of Keycloak or Dex whose audience names another resource in addition to this server is rejected.",
    ),
    Requirement(
        "jwt.no_audience",
        "HTTP contract, docs/flows.md; HTTP contract, docs/decisions/a-token-without-audience.md",
        "A token that is valid but for having no `aud` at all gets 403 without a challenge; any wrong `aud` gets 401.",
    ),
    Requirement(
        "jwt.times",
        "RFC 7519 section 2",
        "`exp`, `nbf` and `iat` are finite numbers and valid now, within the leeway.",
    ),
    Requirement(
        "jwt.lifetime",
        "Keycloak weakness S4, docs/keycloak.md",
        "A token whose whole lifetime is over the limit is rejected.",
    ),
    Requirement(
        "jwt.token_type",
        "RFC 8725 section 3.12",
        "ID, refresh and logout tokens with our audience are rejected.",
    ),
    Requirement(
        "jwt.end_user",
        "Keycloak weakness S1, docs/keycloak.md",
        "A token without an end user is rejected where the provider's tokens show it.",
    ),
    Requirement(
        "jwt.sender_constrained",
        "RFC 9449 section 7.1; RFC 8705 section 3",
        "A sender-constrained token is rejected as a bearer token.",
    ),
    Requirement(
        "jwt.claims",
        "RFC 8725 section 3.12",
        "Claims with duplicate members or of the wrong type are rejected.",
    ),
    Requirement(
        "jwt.any_claims",
        "RFC 7519 section 7.2",
        "Whatever signed claims contain, the result is a principal or a rejection.",
    ),
    Requirement(
        "jwt.scopes",
        "RFC 9068 section 2.2.3",
        "Scopes are read from the provider's claims, as strings or lists.",
    ),
    Requirement(
        "jwks.filter",
        "RFC 7517 section 4.2; RFC 7518 section 3.3",
        "Keys for encryption, symmetric, short, private or duplicate keys verify nothing.",
    ),
    Requirement(
        "jwks.unreadable_key",
        "RFC 7517 section 5",
        "A key that cannot be read does not affect the other keys of the set.",
    ),
    Requirement(
        "discovery.order",
        "RFC 8414 section 3; MCP authorization 2026-07-28, Authorization Server Discovery",
        "The three well-known URLs are tried in order.",
    ),
    Requirement(
        "discovery.issuer",
        "RFC 8414 section 3.3",
        "A document of another issuer is not used.",
    ),
    Requirement(
        "discovery.private_address",
        "OWASP SSRF prevention",
        "A private address counts as internal in every spelling that resolvers understand.",
    ),
    Requirement(
        "issuers.own_tokens",
        "RFC 8725 section 3.8",
        "With several issuers, each one verifies its own tokens only.",
    ),
    Requirement(
        "issuers.aliases",
        "RFC 7519 section 4.1.1",
        "A listed alias is the same issuer; nothing else is.",
    ),
    Requirement(
        "issuers.listed_clients",
        "MCP authorization 2026-07-28, Access Token Privilege Restriction",
        "Without `aud` a token is accepted for listed clients only, and never without a client.",
    ),
    Requirement(
        "issuers.introspected_scopes",
        "RFC 7662",
        "In JWT mode tokens with a listed scope are introspected too; if their issuer has no endpoint, that "
        "scope is dropped.",
    ),
    Requirement(
        "providers.token_types",
        "the documents that each imitation cites",
        "Each provider's access tokens are accepted with the settings of its guide; its other tokens are not.",
    ),
    Requirement(
        "providers.generic",
        "RFC 9068",
        "An unknown provider works with nothing but its issuer configured.",
    ),
    Requirement(
        "providers.opaque",
        "RFC 7662",
        "Opaque tokens are introspected where the provider issues them.",
    ),
    Requirement(
        "providers.audience",
        "MCP authorization 2026-07-28, Access Token Privilege Restriction",
        "Where tokens have no audience, the start says that clients must be listed.",
    ),
    Requirement(
        "corpus.tokens",
        "RFC 8725; RFC 9068 section 4",
        "Every hostile token of the corpus is rejected with the expected status, challenge and logged reason.",
    ),
    Requirement(
        "corpus.requests",
        "RFC 6750; RFC 9110; MCP Streamable HTTP 2026-07-28",
        "Every hostile request of the corpus gets the expected response, which repeats nothing of the request.",
    ),
    Requirement(
        "corpus.connections",
        "RFC 9112",
        "Every hostile connection of the corpus gets the expected response, and nothing behind it is read as "
        "a request.",
    ),
    Requirement(
        "corpus.peers",
        "RFC 9728 section 7.6; RFC 8414 section 6",
        "Whatever a server or provider sends, a command sends no secret elsewhere, prints no control characters, reads "
        "and waits within bounds, and ends with a message.",
    ),
)
