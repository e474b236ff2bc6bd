from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("production.published", "ours", "Only Caddy publishes ports; the database is in a network of its own."),
    Requirement("production.hardened", "ours", "No service has a capability it does not need, each is read-only."),
    Requirement(
        "production.no_secret", "ours", "No environment holds a secret; each is read from a file by who needs it."
    ),
    Requirement(
        "production.switches", "weaknesses S2, S4, S8", "The image of Keycloak is built without the other endpoints."
    ),
    Requirement(
        "production.access", "ours", "Its access file has no people, no open registration and the same scopes."
    ),
    Requirement("production.refused", "ours", "Apply refuses open-dev, demo users and default passwords there."),
    Requirement(
        "production.login", "MCP authorization 2026-07-28", "A client logs in and calls a tool through Caddy, over TLS."
    ),
    Requirement(
        "production.hidden", "ours", "Admin API and console, other realms, health and metrics are not passed on."
    ),
    Requirement(
        "production.least", "ours", "After up the temporary administrator is gone and check runs with a reader."
    ),
    Requirement("production.node_lost", "ours", "With either node and either replica killed logins and calls go on."),
    Requirement("production.forwarded", "ours", "Nobody outside can say where a request came from or went to."),
    Requirement(
        "production.tls", "RFC 6797, RFC 9325 section 3.1", "TLS 1.2 and 1.3 only, and every answer says to stay."
    ),
    Requirement(
        "production.certificate", "ours", "A certificate of one's own is shown, and its successor on a restart."
    ),
    Requirement("production.acme", "RFC 8555", "An authority gives Caddy certificates for both names."),
    Requirement(
        "production.rotation", "ours", "Each secret can be replaced as the page says, and the old one is refused."
    ),
    Requirement("production.backup", "ours", "With all volumes lost, the backup brings accounts and sessions back."),
    Requirement(
        "production.upgrade", "ours", "A new image, one node after the other: nobody is refused or logged out."
    ),
    Requirement("production.features", "ours", "KC_FEATURES and a build switch the image to client id documents."),
    Requirement("production.restart", "ours", "Access and refresh tokens survive a restart of everything."),
)
