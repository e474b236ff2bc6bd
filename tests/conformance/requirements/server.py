"""Settings, logs, audit and the tools of the demo server."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "settings.ca_file",
        "RFC 9110 section 4.3.4",
        "A private certificate authority is trusted where it is configured, for its names.",
    ),
    Requirement(
        "settings.no_secret_shown",
        "MCP authorization 2026-07-28, Security Considerations",
        "No printed form of the settings shows a secret.",
    ),
    Requirement(
        "logs.no_token",
        "MCP authorization 2026-07-28, Security Considerations",
        "Anything that looks like a token is removed from every line, also of other libraries.",
    ),
    Requirement(
        "audit.no_secret",
        "MCP authorization 2026-07-28, Security Considerations",
        "The audit log contains neither tokens nor arguments.",
    ),
    Requirement(
        "audit.unavailable",
        "HTTP contract, docs/flows.md",
        "A request that cannot be written to the audit log gets 503.",
    ),
    Requirement(
        "tools.progress",
        "MCP 2026-07-28 logging",
        "`count` sends each number where the client may receive notifications, then its result.",
    ),
    Requirement(
        "tools.annotations",
        "MCP 2026-07-28 tools",
        "Every tool has a title, a description and its hints.",
    ),
    Requirement(
        "tools.sdk_token",
        "MCP security best practices, Token Passthrough",
        "The SDK's `get_access_token` returns the user, the scopes and the expiry, and not the token.",
    ),
    Requirement(
        "docs.install_links",
        "VS Code and Cursor documentation",
        "The landing page has links that install the server.",
    ),
)
