from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "settings.defaults", "ours", "Without any variable, and with every variable empty, the demo's defaults hold."
    ),
    Requirement(
        "settings.refused", "ours", "A value that cannot work stops the start with one line that says what to change."
    ),
    Requirement(
        "settings.exit_code", "ours", "The process then exits with 2, one line on standard error and no traceback."
    ),
    Requirement("settings.documented", "ours", ".env.example has every setting, commented out, and no other."),
    Requirement(
        "settings.authorities",
        "RFC 9110 section 4.3.4",
        "An authority of one's own counts where it is named, for its names.",
    ),
    Requirement("settings.secret_file", "ours", "A secret is read from the file that NAME_FILE names."),
    Requirement("settings.secret_unseen", "RS-24", "No printed form of the settings shows a secret."),
    Requirement(
        "access.consistent", "ours", "An access file whose parts disagree is refused with the place and the fault."
    ),
    Requirement("access.words", "ours", "A fault in access.yaml is told with its line, and with what was meant."),
    Requirement("access.doubts", "ours", "A role that looks like a typing error is a warning of plan and check."),
    Requirement("access.hierarchy", "RS-23", "A scope is good for all that it implies, and for nothing else."),
    Requirement("logs.for_people", "ours", "A text line writes lists, none and yes as people do."),
    Requirement(
        "logs.escaped",
        "CWE-117; ours",
        "Text from outside is escaped and bounded in each log format, in tracebacks and other libraries' lines too.",
    ),
    Requirement("logs.order", "ours", "A JSON line begins with timestamp, level and event."),
    Requirement(
        "logs.no_token", "RS-24", "What looks like a token is taken out of every line, also of other libraries' lines."
    ),
    Requirement("tools.greet", "seed C8", "greet answers Hello, {name}!"),
    Requirement(
        "tools.count",
        "seed C8; MCP 2026-07-28 logging",
        "count tells each number where the client may be told, then its end.",
    ),
    Requirement("tools.get_time", "seed A13", "get_time gives one moment in four spellings, in UTC."),
    Requirement("tools.whoami", "ours", "whoami tells what the verified token says, and never the token."),
    Requirement("tools.annotations", "MCP tools", "Every tool has a title, a description and its hints."),
    Requirement("tools.sdk_token", "RS-16", "The SDK's get_access_token has who, what and when, and not the token."),
    Requirement("sessions.owner", "RS-25", "A session answers its owner only: to anybody else it does not exist."),
    Requirement("server.extend", "ours", "A function with @tool in tools.py is served; nothing else is needed."),
)
