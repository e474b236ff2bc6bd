from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "jwt.accepted", "RFC 9068 section 4", "A token that says all it must is accepted, in every algorithm allowed."
    ),
    Requirement(
        "jwt.shape", "RFC 7515 section 7.1", "What is not three base64url parts is refused before it is parsed."
    ),
    Requirement("jwt.length", "ours", "A token over MAX_TOKEN_BYTES is refused before anything else is done with it."),
    Requirement(
        "jwt.header",
        "RFC 7515 section 4",
        "A header that is no strict JSON object, or asks for what we do not do, is refused.",
    ),
    Requirement(
        "jwt.algorithm", "RFC 8725 sections 3.1, 3.2", "Only asymmetric algorithms, and only the one the key is for."
    ),
    Requirement(
        "jwt.header_type", "RFC 8725 section 3.11", "The header's typ is one that the provider's access tokens have."
    ),
    Requirement("jwt.header_keys", "RFC 8725 section 3.10", "A key that the token brings along is never used."),
    Requirement(
        "jwt.signature", "RFC 7515 section 5.2", "A token that was changed, or signed by another key, is refused."
    ),
    Requirement("jwt.issuer", "RFC 7519 section 4.1.1; RFC 8725 section 3.8", "The issuer is ours, byte for byte."),
    Requirement(
        "jwt.audience",
        "RFC 7519 section 4.1.3; RS-11, RS-12",
        "The audience holds ours, as a text or in a list of texts.",
    ),
    Requirement(
        "jwt.times", "RFC 7519 section 2", "exp, nbf and iat are finite numbers and fit now, within the leeway."
    ),
    Requirement(
        "jwt.lifetime", "ours; Keycloak weakness S4", "A token whose whole life is longer than the cap is refused."
    ),
    Requirement(
        "jwt.token_type", "RFC 8725 section 3.12", "ID, refresh and logout tokens with our audience are refused."
    ),
    Requirement(
        "jwt.user",
        "ours; Keycloak weakness S1",
        "A token without a person is refused where the provider's tokens tell.",
    ),
    Requirement(
        "jwt.sender_bound",
        "RFC 9449 section 7.1; RFC 8705 section 3",
        "A token bound to its sender is refused as a bearer token.",
    ),
    Requirement(
        "jwt.claims", "RFC 8725 section 3.12", "Claims with repeated members or of the wrong kind are refused."
    ),
    Requirement(
        "jwt.scopes", "RFC 9068 section 2.2.3", "Scopes are read from the provider's claims, as texts or lists."
    ),
    Requirement("jwt.reasons", "ours", "Every reason for a refusal occurs."),
    Requirement("jwt.cache", "ours", "A verified token is remembered until it ends or the keys change, within bounds."),
    Requirement("keys.fetched_once", "ours", "However many need the keys at once, they are fetched once."),
    Requirement("keys.cool_down", "ours", "Unknown kids cause one fetch per cool-down, whoever sends how many."),
    Requirement(
        "keys.rotation", "ours", "A new key is found at its first token; a withdrawn one dies within KEY_MAX_AGE."
    ),
    Requirement("keys.outage", "ours", "Held keys outlive an outage up to KEY_MAX_STALE; then 503."),
    Requirement(
        "keys.filter",
        "RFC 7517 section 4.2; RFC 7518 section 3.3",
        "Keys for encryption, symmetric, short, private or doubled ones verify nothing.",
    ),
    Requirement(
        "discovery.order", "RFC 8414 section 3; MCP 2026-07-28 CL-03", "The three well-known forms are tried in order."
    ),
    Requirement("discovery.issuer", "RFC 8414 section 3.3", "A document of another issuer is not used."),
    Requirement(
        "discovery.two_addresses", "ours", "What the document says of the public origin is read at the internal one."
    ),
    Requirement("discovery.bounds", "ours", "Redirects, long, slow and malformed documents are refused."),
    Requirement(
        "discovery.inside", "ours", "A public issuer's document cannot send the server inside its own network."
    ),
)
