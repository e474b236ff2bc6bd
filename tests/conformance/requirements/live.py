from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "live.client_auth",
        "RFC 6749 section 2.3.1; RFC 7523 section 3",
        "Keycloak believes this server by secret in the header or the form, and by an assertion of each kind of key.",
    ),
    Requirement(
        "live.withdrawn",
        "RFC 7662 section 4",
        "What Keycloak withdrew counts until its answer is 30 s old and not longer; what it gives back counts again.",
    ),
    Requirement(
        "live.not_believed",
        "RFC 7662 section 2.3",
        "Where Keycloak does not believe this server, tokens get 503 and the log one loud line.",
    ),
    Requirement(
        "live.other_tokens",
        "RFC 7662 section 2.2; RFC 8725 section 3.12",
        "Keycloak's refresh and ID tokens, and access tokens that are not for us, are refused, asked about or not.",
    ),
    Requirement("live.rotation", "ours", "Keycloak's keys are rotated under load and no request fails."),
    Requirement(
        "live.withdrawn_key", "ours", "The tokens of a key that Keycloak withdrew are refused after KEY_MAX_AGE."
    ),
    Requirement(
        "live.algorithms", "RFC 8725 section 3.1", "Whatever asymmetric algorithm Keycloak signs with, it verifies."
    ),
    Requirement(
        "live.outage",
        "ours",
        "While Keycloak hangs no request with a known token or key fails, an unknown key is 503; then all recovers.",
    ),
)
