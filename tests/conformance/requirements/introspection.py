from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "introspection.request",
        "RFC 7662 section 2.1; RFC 6749 section 2.3.1",
        "One POST of the token alone, with the id and the secret form-urlencoded in HTTP Basic.",
    ),
    Requirement(
        "introspection.where",
        "RFC 8414 section 2",
        "The endpoint is the configured one or the metadata's, asked for again after KEY_MAX_AGE.",
    ),
    Requirement(
        "introspection.ready", "ours", "The server is ready when it holds keys and knows whom to ask, and not before."
    ),
    Requirement(
        "introspection.junk_asks_nobody",
        "RFC 7662 section 4; RFC 6750 section 2.1",
        "The provider is not asked about a token that is too long, no b64token, or a JWT that does not verify.",
    ),
    Requirement(
        "introspection.opaque",
        "RFC 7662 section 1",
        "Opaque tokens are asked about, unless the provider is known to write JWTs.",
    ),
    Requirement(
        "introspection.judged", "RFC 7662 sections 2.2, 4", "An answer is judged as strictly as the claims of a JWT."
    ),
    Requirement(
        "introspection.active",
        "RFC 7662 section 2.2",
        "Only `active` that is exactly true counts; an answer without that boolean is no answer.",
    ),
    Requirement(
        "introspection.bounds",
        "RFC 8259 section 4; ours",
        "Errors, redirects and answers that are malformed, too long or too late are 503: never 401, never 200.",
    ),
    Requirement("introspection.same_token", "ours", "An answer about another person's token is no answer."),
    Requirement(
        "introspection.credentials",
        "RFC 7662 section 2.3",
        "Where the provider refuses this server itself, the log says once a minute what to set, and tokens get 503.",
    ),
    Requirement(
        "introspection.client_auth",
        "RFC 6749 section 2.3.1; RFC 7523 section 3; OpenID Connect Core section 9",
        "This server shows its secret in the header or the form, or an assertion: for the issuer, for 60 s, once.",
    ),
    Requirement(
        "introspection.client_key",
        "RFC 7518 sections 3.1, 3.3; RFC 8037 section 3.1",
        "The key's kind gives the algorithm; a weak or encrypted key, or one of another kind, stops the start.",
    ),
    Requirement(
        "introspection.single_flight",
        "RFC 7662 section 4",
        "However many use one token at once, the provider is asked once; who gives up waiting ends nothing for others.",
    ),
    Requirement(
        "introspection.no_hammer",
        "RFC 7662 section 4",
        "Calls in flight and waiting are bounded; beyond it is 503, and opaque junk leaves signed tokens their room.",
    ),
    Requirement(
        "introspection.cache",
        "RFC 7662 section 4",
        "An active answer counts 30 s and never past the token's end, a refusal 5 s, a failure not at all.",
    ),
    Requirement(
        "introspection.cache_bounds", "ours", "What is remembered is bounded, and junk pushes out nothing but junk."
    ),
    Requirement("introspection.unseen", "RS-24", "No log line, exception or repr shows the token or the secret."),
)
