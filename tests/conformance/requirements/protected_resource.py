"""Protected resource metadata and the discovery of earlier clients."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "metadata.both_paths",
        "RFC 9728 section 3.1; MCP authorization 2026-07-28, Authorization Server Discovery",
        "The same document is at the path form and the root form.",
    ),
    Requirement(
        "metadata.resource",
        "RFC 9728 section 3.3",
        "`resource` is the public URL, byte for byte.",
    ),
    Requirement(
        "metadata.scopes",
        "MCP security best practices, Scope Minimization; SEP-2207",
        "`scopes_supported` holds what a login requests: nothing privileged, no `offline_access`.",
    ),
    Requirement(
        "metadata.cors",
        "Fetch standard",
        "Any page may read the metadata, also with MCP headers.",
    ),
    Requirement(
        "legacy_discovery.mirror",
        "MCP 2025-03-26 authorization; RFC 8414",
        "LEGACY_DISCOVERY serves the provider's document, with its own issuer, where earlier clients look for it.",
    ),
)
