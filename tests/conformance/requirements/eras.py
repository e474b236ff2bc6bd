from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "eras.one_endpoint", "MCP 2026-07-28 versioning", "Every revision from 2025-03-26 on is served at the one URL."
    ),
    Requirement("eras.document", "ours", "A call of a tool with nothing to tell is answered by one JSON document."),
    Requirement("eras.stream", "ours", "A call of a tool that may tell of its progress streams it, as it happens."),
    Requirement(
        "eras.accept",
        "seed C7; MCP transports",
        "406 for who does not accept JSON and event streams, in every revision.",
    ),
    Requirement(
        "eras.no_session", "seed C7", "In the handshake revisions a request without a session opens one or is 400."
    ),
    Requirement("eras.end", "seed C7; MCP 2025-11-25 transports", "DELETE ends a session: it is 404 from then on."),
    Requirement("eras.get_stream", "seed C7", "GET and DELETE are a session's: without one they are 400."),
    Requirement("eras.idle", "ours", "Calls that the session does not see keep it from counting as idle."),
    Requirement("eras.cancel", "MCP 2025-11-25 cancellation", "A call answered by a document can be cancelled."),
    Requirement("eras.fault", "ours", "A fault inside is told in the log, not to the client."),
    Requirement("eras.stateless", "ours", "LEGACY_SESSIONS=stateless: any replica answers any request."),
    Requirement("eras.lifespan", "ours", "The server's lifespan is entered once for all forms of answers."),
    Requirement("eras.strange", "ours", "What is not certainly a plain call goes to the SDK as it came."),
    Requirement(
        "eras.apart", "ours", "1,000 interleaved calls of two people in both kinds of revision: nothing crosses over."
    ),
    Requirement(
        "sessions.bound",
        "ours",
        "Who opens too many sessions loses the one used least recently; where those of all hold too much memory, the "
        "one who holds most does.",
    ),
    Requirement(
        "legacy.mirror",
        "MCP 2025-03-26 authorization; RFC 8414",
        "LEGACY_DISCOVERY serves the provider's document, with its own issuer, where old clients look.",
    ),
    Requirement("legacy.inside", "ours", "The mirrored document never names an address inside the network."),
    Requirement("legacy.outage", "ours", "A provider that is away: the last document, or 503 if there never was one."),
    Requirement("legacy.counted", "ours", "Each use is counted; the log has a line a minute, however many come."),
    Requirement("legacy.off", "ours", "Off, it is 404 that says where to look, and the log says what was tried."),
    Requirement("legacy.transport", "ours", "/sse and /messages are 404 and name what replaces them."),
    Requirement("names.other", "ours", "Asked under another name of this machine, log and page name the URL to use."),
    Requirement(
        "clients.typescript",
        "ours",
        "The official TypeScript clients, 1.x and 2.x, with and without a handshake, log in, call and hear.",
    ),
    Requirement(
        "clients.old", "MCP 2025-03-26 authorization", "An official client of March 2025 logs in with the mirror on."
    ),
    Requirement(
        "clients.step_up",
        "MCP authorization 2026-07-28, step-up",
        "More is needed: one 403, one login, the union granted, the call succeeds; with our defaults none is needed.",
    ),
    Requirement(
        "clients.step_up_ends", "RS-21", "Where a step-up cannot succeed it ends at once, in words, not in a loop."
    ),
    Requirement(
        "example.browser",
        "ours",
        "The page in docs/examples/browser logs in and shows progress as it streams; no token is in URL or storage.",
    ),
    Requirement("docs.curl", "seed C10", "The walk-through of docs/curl.md works as it is written, block after block."),
    Requirement(
        "clients.python",
        "ours",
        "The official Python client logs in, calls and hears progress, with and without a handshake.",
    ),
)
