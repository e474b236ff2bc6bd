from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "stack.server_image",
        "ours",
        "The image of the server holds neither the command's code nor its dependencies.",
    ),
    Requirement(
        "stack.up",
        "ours",
        "docker compose up --wait ends ready, without an .env and from empty volumes.",
    ),
    Requirement(
        "stack.says", "ours", "After up the bootstrap's last lines say users, passwords, URLs and the next command."
    ),
    Requirement(
        "stack.login",
        "MCP authorization 2026-07-28",
        "Challenge, discovery, registration, login, token and call work on real Keycloak.",
    ),
    Requirement(
        "stack.browser",
        "MCP authorization 2026-07-28",
        "A person logs in through a browser, agrees, and the client calls a tool.",
    ),
    Requirement("stack.login_inside", "ours", "docker compose run --rm login does the same inside the network."),
    Requirement("stack.no_role", "ours", "A person without a role is refused, and login and log say why in words."),
    Requirement("stack.again", "ours", "A second up changes nothing and says so; after down -v all works again."),
    Requirement("stack.outage", "ours", "Stopping Keycloak does not break known tokens; unknown ones get 503."),
    Requirement(
        "stack.locked",
        "ours",
        "Ports are on 127.0.0.1, no container has capabilities, ours are read-only, not root.",
    ),
    Requirement("stack.no_secret", "RS-24", "No container's configuration and no log shows a secret or a token."),
    Requirement("stack.alone", "ours", "The server starts alone against another provider, with one variable."),
    Requirement(
        "stack.server_waits",
        "ours",
        "A server started while its provider is down says so and becomes ready by itself.",
    ),
    Requirement("stack.stops", "ours", "The server's container stops at once, with exit code 0."),
    Requirement("stack.example", "ours", "An .env copied from .env.example changes nothing."),
)
