"""Scopes that tools, resources and prompts require."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "scopes.one_challenge",
        "MCP authorization 2026-07-28, Scope Challenge Handling",
        "A call whose tool requires more than the token has gets 403 and one challenge with all required "
        "scopes; the tool does not run.",
    ),
    Requirement(
        "scopes.every_revision",
        "MCP authorization 2026-07-28, Token Requirements",
        "The scope of a tool is required in every protocol revision alike.",
    ),
    Requirement(
        "scopes.insufficient_role",
        "HTTP contract, docs/tools.md",
        "A tool whose scope none of the user's roles grants: 403 without `WWW-Authenticate`; the body names the roles.",
    ),
    Requirement(
        "scopes.json_rpc_error",
        "JSON-RPC 2.0 section 5.1",
        "An authenticated user who lacks the permission gets a JSON-RPC error with the id of the request.",
    ),
    Requirement(
        "scopes.hierarchy",
        "MCP authorization 2026-07-28, Step-Up Authorization",
        "A broader scope is sufficient for everything it implies, and for nothing else.",
    ),
    Requirement(
        "scopes.by_arguments",
        "MCP authorization 2026-07-28, Scope Challenge Handling",
        "Required scopes may depend on the arguments; one challenge names all of them.",
    ),
    Requirement(
        "scopes.undecided",
        "HTTP contract, docs/tools.md",
        "A scope function that raises, or returns nothing or an unknown scope, leads to 403, never to 500 or "
        "to the tool.",
    ),
    Requirement(
        "scopes.checked_again",
        "HTTP contract, docs/tools.md",
        "The function checks its scope again when it runs, with its final arguments and the current token.",
    ),
    Requirement(
        "scopes.every_primitive",
        "MCP 2026-07-28 caching, per-primitive access control",
        "Resources, templates, prompts, their completions and subscriptions require their scopes as tools do.",
    ),
    Requirement(
        "scopes.listed_tools_only",
        "HTTP contract, docs/tools.md",
        "Once the access file has `tools`, a tool that is neither there nor registered gets 403 without a challenge.",
    ),
    Requirement(
        "scopes.lists",
        "MCP 2026-07-28 caching",
        "Lists show what TOOLS_LIST says: what the token may call, what a login could grant, or everything; "
        "their results are private.",
    ),
)
