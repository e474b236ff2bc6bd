"""The eight login steps: number, title, and the reason for each with its clause."""

from __future__ import annotations

from enum import Enum, auto


class StepKind(Enum):
    """The kind of a request, or of an event between two requests."""

    INITIAL_REQUEST = auto()
    RESOURCE_METADATA = auto()
    PROVIDER_METADATA = auto()
    REGISTRATION = auto()
    LOGIN = auto()
    AUTHORIZATION_RESPONSE = auto()
    TOKEN = auto()
    CALL = auto()


STEPS: dict[StepKind, tuple[int, str, str]] = {
    StepKind.INITIAL_REQUEST: (
        1,
        "Call the server without a token",
        "a server tells clients how to log in with 401 and a challenge (MCP authorization; RFC 6750 section 3)",
    ),
    StepKind.RESOURCE_METADATA: (
        2,
        "Read the server's protected resource metadata",
        "the challenge names this document, which names the resource and its provider (RFC 9728 section 3)",
    ),
    StepKind.PROVIDER_METADATA: (
        3,
        "Read the provider's metadata",
        "its issuer must be exactly the one the server named, or an impostor could respond (RFC 8414 section 3.3)",
    ),
    StepKind.REGISTRATION: (
        4,
        "Register this client",
        "the provider does not know this client; registration gives it a client id (RFC 7591 section 3)",
    ),
    StepKind.LOGIN: (
        5,
        "Log in at the provider",
        (
            "only the provider sees the password; PKCE binds the code to this program (RFC 7636), "
            "`resource` the token to this server (RFC 8707)"
        ),
    ),
    StepKind.AUTHORIZATION_RESPONSE: (
        6,
        "Receive the authorization code",
        "state ties the response to this login (RFC 6749 section 10.12), iss names the provider (RFC 9207)",
    ),
    StepKind.TOKEN: (
        7,
        "Exchange the code for a token",
        "the code alone is useless: the verifier proves that this client requested it (RFC 7636 section 4.5)",
    ),
    StepKind.CALL: (
        8,
        "Use the server",
        "every request carries the token, in this header and nowhere else (RFC 6750 section 2.1)",
    ),
}
