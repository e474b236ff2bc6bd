from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "gate.missing",
        "RFC 6750 section 3.1; RFC 9728 section 5.1; MCP 2026-07-28 RS-05, RS-06",
        "Without credentials: 401, a challenge with resource_metadata and scope, and no error code.",
    ),
    Requirement(
        "gate.other_scheme", "RFC 6750 section 3.1", "A scheme other than Bearer is no credentials: 401 without error."
    ),
    Requirement(
        "gate.malformed",
        "RFC 6750 section 3.1",
        "Bearer without a token, two headers or two tokens: 400 invalid_request with the challenge.",
    ),
    Requirement(
        "gate.invalid_token",
        "RFC 6750 section 3.1; RS-14",
        "A token that does not verify: 401 invalid_token, one body for all reasons, the reason in the log only.",
    ),
    Requirement("gate.only_header", "RFC 6750 section 2; RS-17", "A token in query, cookie or body is no credentials."),
    Requirement(
        "gate.insufficient_scope",
        "RFC 6750 section 3.1; RS-19, RS-21",
        "A token without the base scope that a login could bring: 403 insufficient_scope naming all that is needed.",
    ),
    Requirement(
        "gate.not_obtainable",
        "ours, measured: clients log in again at every call otherwise",
        "A scope that no role of the person brings: 403 without WWW-Authenticate; the body names the roles.",
    ),
    Requirement("gate.hierarchy", "RS-23", "A broader scope is sufficient for what it implies."),
    Requirement(
        "gate.unavailable",
        "RFC 9110 section 15.6.4",
        "Provider unreachable and answer unknown: 503 with Retry-After, never 401 and never 200.",
    ),
    Requirement("gate.every_method", "RS-18", "GET, POST and DELETE of the endpoint are all checked."),
    Requirement("gate.origin", "TS-01, TS-02", "An Origin that is not allowed: 403, with or without a token."),
    Requirement("gate.host", "TS-05; RFC 9110 section 15.5.20", "A Host that is not ours: 421; health answers any."),
    Requirement("gate.preflight", "Fetch standard", "A preflight of an allowed origin: 204 without a token."),
    Requirement(
        "gate.cors", "Fetch standard", "Every answer names the allowed origin, varies by it and exposes our headers."
    ),
    Requirement(
        "gate.body", "RFC 8259 section 4; ours", "Duplicate members, batches and non-JSON bodies: 400 after the token."
    ),
    Requirement("gate.body_bound", "ours", "A body over 4 MiB: 413 also where the server is not ours."),
    Requirement(
        "gate.values_bound",
        "ours; RFC 8259 section 9",
        "A body of more than 50,000 JSON values, or nested deeper than 128 levels: 413 that says so, before any is "
        "built; texts may hold what looks like values.",
    ),
    Requirement(
        "gate.person_bound",
        "RFC 6585 section 4; RFC 9110 section 15.6.4",
        "What a person's unanswered requests hold in memory is bounded: 429 with Retry-After, without a challenge; "
        "where all together hold too much, 503. Who holds most loses the newest requests to people who need less than "
        "half of that, and something is kept for people who hold little.",
    ),
    Requirement(
        "gate.running_calls",
        "ours; MCP 2025-11-25 transports, Sending Messages to the Server",
        "A call is counted until it ends, though its client has left; TOOL_TIMEOUT, `@tool(timeout=)` and the access "
        "file's `tool_timeouts` end it with a JSON-RPC error.",
    ),
    Requirement(
        "gate.memory_plan",
        "ours; Linux cgroups(7)",
        "Every bound on memory follows from MAX_MEMORY, by default the container's limit, and their sum fits it. "
        "/readyz says how full each part is.",
    ),
    Requirement("gate.same_bytes", "ours", "The application receives the very bytes that were judged."),
    Requirement("gate.no_token_in_log", "RS-24", "No log line holds a token, whatever is sent."),
    Requirement("gate.correlation", "ours", "A refusal's body carries the correlation id of its log line."),
    Requirement("metadata.both_forms", "RFC 9728 section 3.1; RS-05", "The same document at path form and root form."),
    Requirement("metadata.resource", "RFC 9728 section 3.3; RF-02", "`resource` is the public URL, byte for byte."),
    Requirement(
        "metadata.scopes",
        "RS-08, RS-09",
        "scopes_supported is what a login asks for: nothing privileged, no offline_access.",
    ),
    Requirement("metadata.cors", "Fetch standard", "Any page may read the metadata, also with MCP headers."),
    Requirement("health.live", "ours", "/livez answers while the process lives."),
    Requirement("health.ready", "ours", "/readyz is 503 until keys are held, then 200, through an outage too."),
    Requirement(
        "page.says", "ours", "GET / names the exact URL and every client's configuration; nothing on it can run."
    ),
    Requirement("paths.unknown", "ours", "Anything else is 404 without a challenge."),
    Requirement(
        "auth.disabled",
        "ours",
        "DISABLE_AUTH: everybody is dev, Host and Origin are still checked, the metadata is 404, the log warns.",
    ),
)
