from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("client.narrates", "ours, seed B11", "The client tells eight steps in order: asked, got, why."),
    Requirement("client.redacts", "ours", "No code, verifier, token, client secret or password is ever printed."),
    Requirement(
        "client.garbles_nothing",
        "ours",
        "Hiding a password changes no key, no scope, no URL of ours and no part of a word.",
    ),
    Requirement(
        "client.unregisters",
        "RFC 7592 section 2.3",
        "At the end, however it comes, the client takes its registration back.",
    ),
    Requirement(
        "client.not_granted", "RFC 6749 section 5.1", "Scopes that were not granted are named, with the role for each."
    ),
    Requirement("client.default_url", "ours", "Without --url and MCP_PUBLIC_URL the server is the compose file's."),
    Requirement("client.anywhere", "ours", "The commands work through symbolic links, from any directory."),
    Requirement("client.terminal", "ours", "What a server or provider says cannot steer the terminal."),
    Requirement("client.headless", "ours", "Headless, the client fills login and consent forms as a browser would."),
    Requirement(
        "client.own_issuer",
        "RFC 9728 section 7.6; RFC 8414 section 3.3",
        "A password goes to the issuer named on this side, byte for byte, and never to one that only a server names.",
    ),
    Requirement(
        "client.password_stays",
        "ours",
        "A headless login stays at the issuer's origin; its password goes over TLS or loopback only.",
    ),
    Requirement(
        "client.cookies", "RFC 6265 section 5.4", "Cookies return to their host and path, Secure ones on http."
    ),
    Requirement("client.exit_codes", "ours", "Each kind of failure has its exit code and says what to do."),
    Requirement("client.role_missing", "ours", "A refused token leads to the missing role and who can give it."),
    Requirement("client.groups", "ours", "Where groups bring the scopes, the client speaks of groups."),
    Requirement(
        "client.callback", "RFC 8252 section 7.3; RFC 6749 section 10.12", "Only this login's answer is taken."
    ),
    Requirement("client.page", "ours", "The page after the login escapes all it shows and loads nothing."),
    Requirement("client.connect_to", "ours", "CONNECT_TO changes where the connection goes and nothing else."),
    Requirement("client.json", "ours", "--json prints one object with steps, claims, tools and calls, and no story."),
    Requirement("client.calls", "ours", "Arguments of --call get the types that the tool's schema names."),
    Requirement("client.claims", "RFC 7519 section 4.1", "Claims are read in every spelling that providers use."),
    Requirement(
        "demo.runs", "ours", "One command starts provider and server, logs in and calls tools, without Docker."
    ),
    Requirement(
        "demo.leaves_nothing",
        "ours",
        "However the demo ends, nothing of it is left; on Linux, SIGKILL leaves its directory only.",
    ),
    Requirement("demo.ports", "ours", "A taken default port is replaced by a free one; a taken named port is refused."),
    Requirement("demo.provider", "ours", "The embedded provider listens on loopback only and shares no audience."),
    Requirement("demo.honest", "ours", "The demo says what its provider does otherwise than Keycloak."),
)
