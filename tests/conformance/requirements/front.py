from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("front.login", "issue 8", "Before Entra the official client, unmodified, logs in and calls a tool."),
    Requirement("front.needed", "issue 8", "Entra alone refuses what MCP clients send (RFC 8707)."),
    Requirement("front.consent", "MCP security best practices", "Whoever logs in is asked each time for the program."),
    Requirement("front.token", "issue 8", "The token request is passed on as it is, but for `resource`."),
    Requirement("front.register", "RFC 7591", "The one client id is handed out within the registration profile only."),
    Requirement("front.metadata", "RFC 8414 section 3.3", "The front's metadata names the front, and Entra's keys."),
    Requirement("front.settings", "ours", "What cannot work with the front is refused, with what to write instead."),
)
