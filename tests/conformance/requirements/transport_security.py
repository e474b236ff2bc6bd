"""Host, Origin and cross-origin requests."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "transport_security.origin",
        "MCP Streamable HTTP 2026-07-28, Origin validation",
        "An Origin that is not allowed gets 403, with or without a token.",
    ),
    Requirement(
        "transport_security.host",
        "RFC 9110 section 15.5.20; CVE-2025-66416",
        "A Host that is not allowed gets 421; the health endpoints accept any Host.",
    ),
    Requirement(
        "transport_security.preflight",
        "Fetch standard",
        "A preflight request from an allowed origin gets 204 without a token.",
    ),
    Requirement(
        "transport_security.cors",
        "Fetch standard",
        "Every response names the allowed origin, varies by it and exposes our headers.",
    ),
)
