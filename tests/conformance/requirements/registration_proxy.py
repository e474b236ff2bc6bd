"""Entra behind its registration proxy."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "registration_proxy.resource_parameter",
        "RFC 8707 section 2",
        "Entra alone rejects the resource parameter that MCP clients send.",
    ),
    Requirement(
        "registration_proxy.consent",
        "MCP security best practices, Confused Deputy",
        "The user is asked for consent to the client at each login.",
    ),
    Requirement(
        "registration_proxy.registration",
        "RFC 7591",
        "The one client id is issued within the registration profile only.",
    ),
    Requirement(
        "registration_proxy.metadata",
        "RFC 8414 section 3.3",
        "The proxy's metadata names the proxy as issuer, and Entra's keys.",
    ),
)
