"""The registrar in front of a provider's registration endpoint."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "registrar.dropped",
        "RFC 7591 section 2; HTTP contract, docs/registrar.md",
        "What the realm cannot use is dropped, not the client refused: `scope`, pages of the consent "
        "page, unknown members, grants, names that are too long.",
    ),
    Requirement(
        "registrar.refused",
        "RFC 7591 section 3.2.2",
        "What is dangerous is refused with an error that names the member.",
    ),
    Requirement(
        "registrar.portless",
        "RFC 8252 section 7.3",
        "Each http loopback redirect URI is also registered without its port, and nothing else is added.",
    ),
    Requirement(
        "registrar.response",
        "RFC 7591 section 3.2.1",
        "The response has the client's own redirect URIs; a refusal by the provider is passed on.",
    ),
    Requirement(
        "registrar.forwarded",
        "RFC 7591 section 3; RFC 7239",
        "The initial access token, the origin and the forwarded address reach the provider, and no other header.",
    ),
    Requirement(
        "registrar.hostile",
        "RFC 8259 sections 4 and 8; RFC 9112 section 6.3",
        "Ambiguous documents, other types, ambiguous framing and long bodies are refused before anything is forwarded.",
    ),
    Requirement(
        "registrar.outage",
        "RFC 9110 section 15.6",
        "A provider that cannot be reached is 503, one that fails 502, with a text that says so.",
    ),
    Requirement(
        "registrar.rate_limit",
        "RFC 6585 section 4",
        "One address can register a bounded number of clients per minute.",
    ),
    Requirement(
        "registrar.profiles",
        "HTTP contract, docs/keycloak.md",
        "A profile that lets nobody register, or nobody without a token, is enforced before the provider is asked.",
    ),
    Requirement(
        "registrar.cors",
        "Fetch standard",
        "Only the listed web origins may read the registrar's own responses.",
    ),
    Requirement(
        "registrar.no_state",
        "HTTP contract, docs/registrar.md",
        "The registrar keeps nothing of a registration.",
    ),
)
