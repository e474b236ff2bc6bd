from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "scopes.one_challenge",
        "RS-19, RS-21; MCP 2026-07-28 Scope Challenge Handling",
        "A call whose tool needs more than the token has: 403, one challenge with all it needs, the tool does not run.",
    ),
    Requirement("scopes.both_eras", "RS-18", "The scope of a tool is asked for in every protocol revision alike."),
    Requirement(
        "scopes.not_obtainable",
        "ours, measured: clients log in again at every call otherwise",
        "A tool whose scope no role of the person brings: 403 without WWW-Authenticate; the body names the roles.",
    ),
    Requirement(
        "scopes.told",
        "JSON-RPC 2.0 section 5.1; measured: the official Python client shows nothing else",
        "Who is logged in and may not do a thing is told so by a JSON-RPC error with the id of the request.",
    ),
    Requirement("scopes.broader", "RS-23", "A broader scope is good for a tool that needs a narrower one."),
    Requirement(
        "scopes.by_arguments", "RS-21", "Scopes may follow from the arguments; all of them are in one challenge."
    ),
    Requirement(
        "scopes.undecided",
        "ours",
        "A function of the arguments that raises, names nothing or an unknown scope: 403, never 500 and never through.",
    ),
    Requirement(
        "scopes.everything_named",
        "CACHE: per-primitive access control",
        "Resources, templates, prompts, their completions and subscriptions need their scopes as tools do.",
    ),
    Requirement(
        "scopes.again", "ours", "What runs looks at its scope again, with the arguments it gets and the token of now."
    ),
    Requirement("scopes.prefix", "ours", "Clients are told scopes with the prefix that the provider wants."),
    Requirement("scopes.known", "ours", "A tool that names an unknown scope stops the start in words."),
    Requirement(
        "scopes.file",
        "ours",
        "`tools` in the access file adds scopes, takes none away and names tools there are.",
    ),
    Requirement(
        "scopes.only_listed",
        "ours, measured: FastMCP's search transform runs any tool under the name call_tool",
        "Once the access file has `tools`, a tool that is neither there nor registered is 403 without a challenge.",
    ),
    Requirement(
        "scopes.what_runs",
        "ours, measured: transforms and mounts of FastMCP run a tool under other names",
        "A call needs the scopes of everything that it runs; what cannot be judged is refused until it is listed.",
    ),
    Requirement(
        "scopes.lists",
        "RS-27; TOOLS_LIST",
        "Lists show what the token is good for, what a login could bring, or all; their results are private.",
    ),
    Requirement(
        "protect.any_app",
        "ours",
        "protect() puts the same middleware before the SDK's and a plain Starlette application, lifespan included.",
    ),
    Requirement("protect.no_fastmcp", "ours", "The library imports FastMCP only where somebody uses it."),
    Requirement(
        "protect.only_mcp", "ours", "What else such an application serves is 404: no way around the middleware."
    ),
    Requirement("protect.examples", "ours", "The servers of docs/examples run as they stand there."),
    Requirement("audit.each", "ours", "One JSON line a decision: who, client, method, tool, decision, reason."),
    Requirement("audit.nothing_secret", "RS-24", "The audit log holds neither tokens nor arguments."),
    Requirement("audit.or_nothing", "ours", "What cannot be written to the audit log is not served: 503."),
    Requirement(
        "audit.summed_up",
        "ours, measured: 2,670 lines a second from one connection without credentials",
        "Of refusals without a principal, log and audit log have the first of each reason, then numbers by the minute.",
    ),
    Requirement("audit.where", "ours", "AUDIT_LOG names standard output or a file, added to and for its owner only."),
    Requirement("notes.own", "ours", "Notes belong to (issuer, subject): nobody sees another's, at no interleaving."),
    Requirement("notes.bounded", "ours", "Notes are bounded by person and by people; one too many is a tool error."),
    Requirement(
        "tools.calculator", "seed-behaviour B10", "calculator answers Result of …; dividing by zero is a tool error."
    ),
    Requirement("tools.weather", "seed-behaviour B10", "weather answers for any location."),
    Requirement("tools.admin", "ours", "note_count counts for an administrator and tells nobody's notes."),
)
