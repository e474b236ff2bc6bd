from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "dex.register", "RFC 7591 section 3.2.1", "The redirect URIs of the known programs are given a client."
    ),
    Requirement(
        "dex.register_more", "RFC 7591 section 2", "What else a registration asks for is answered by what it gets."
    ),
    Requirement(
        "dex.register_refused", "RFC 7591 section 3.2.2", "Every other redirect, and every other document, is refused."
    ),
    Requirement("dex.register_data", "ours", "Text of a registration is never evaluated, and never judged twice."),
    Requirement(
        "dex.register_profiles", "ours", "Who may register is the registration profile's to say, at Dex as well."
    ),
    Requirement("dex.stateless", "ours", "Ten thousand registrations leave nothing behind."),
    Requirement(
        "dex.login",
        "MCP authorization 2026-07-28",
        "Registration, login, consent and token work on real Dex and Caddy.",
    ),
    Requirement("dex.metadata", "RFC 8414 section 3", "Both well-known documents are one, and each endpoint is there."),
    Requirement("dex.unlisted", "ours", "No request reaches an endpoint of Dex that is not listed, however written."),
    Requirement(
        "dex.methods", "RFC 9110 section 15.5.6", "A method without a use is refused, and the others are named."
    ),
    Requirement(
        "dex.pkce", "OAuth 2.1 section 4.1.1", "No login begins without PKCE by S256, or for anything but a code."
    ),
    Requirement("dex.redirects", "RFC 9700 section 2.1", "Nobody is sent where the client does not live."),
    Requirement(
        "dex.scope", "ours", "Whatever is asked for, a login brings audience and groups; state stays as it was."
    ),
    Requirement("dex.grants", "RFC 9700 section 2.4", "No grant but a code and a refresh token brings tokens."),
    Requirement("dex.pages", "OAuth 2.1 section 7.13", "Pages cannot be framed; other pages read listed answers only."),
    Requirement("dex.bounded", "ours", "Bodies and headers are bounded."),
    Requirement("dex.logs", "ours", "No log of Dex or its front holds a password, a code or a token."),
    Requirement(
        "dex.refresh", "RFC 6749 section 6", "Refresh works, and two programs of one person do not disturb it."
    ),
    Requirement(
        "dex.refresh_collides", "a limit of Dex", "Two programs with the same client lose each other's refresh."
    ),
    Requirement("dex.cancel", "a limit of Dex", "Whoever cancels sees an error page, and the program is not told."),
    Requirement("dex.groups", "ours", "The groups of a person are the scopes."),
    Requirement("dex.no_group", "ours", "A person without a group is refused without a challenge, in words."),
    Requirement(
        "dex.id_token", "a limit of Dex", "An ID token of a login is refused; one of a refresh cannot be told."
    ),
    Requirement("dex.keys", "ours", "Tokens by a new key of Dex count, without a restart."),
    Requirement("dex.restart", "ours", "A restart of Dex loses refresh tokens, and no client."),
    Requirement("dex.postgres", "ours", "With PostgreSQL, refresh tokens and keys survive a restart."),
    Requirement(
        "dex.federation", "ours", "People log in through another OpenID Connect provider; /callback is the front's."
    ),
    Requirement("dex.connectors", "ours", "Dex takes every example of a connector."),
    Requirement("dex.render", "ours", "The same input gives the same files; differences are told without a secret."),
    Requirement("dex.files", "ours", "Files are written whole, and Dex's own for its user only."),
    Requirement(
        "dex.refused", "ours", "What cannot work, or is safe on loopback only, is refused with what to change."
    ),
    Requirement("dex.verbs", "ours", "apply proves what runs, check tells drift, plan writes nothing."),
    Requirement("dex.compose", "ours", "The compose file is as locked as the first one, and starts the same server."),
    Requirement("dex.stack", "ours", "docker compose up --wait ends ready; login and call work, inside and outside."),
    Requirement(
        "dex.promises",
        "ours",
        "Each one about requests, challenges, scopes, tokens, keys and discovery holds at Dex, or says why not.",
    ),
    Requirement(
        "dex.personas",
        "RFC 7591 section 3",
        "Under each registration profile of Dex, known and hostile clients get what docs/registration.md says.",
    ),
    Requirement(
        "dex.clients",
        "MCP authorization 2026-07-28",
        "The official TypeScript clients register, log in and call at Dex, and end at once where a group is missing.",
    ),
    Requirement("dex.quiet", "ours", "Dex's log has errors and failed logins, and no line for each of its clients."),
    Requirement(
        "dex.switch",
        "ours",
        "Between Keycloak and Dex the server changes its settings only: the same image, the same access file.",
    ),
)
