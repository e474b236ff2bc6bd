"""A client as a provider sees it: its registration, authorization and token requests. Facts only, each with a source.

The evidence is `ran` if the real program did all of it with this project's server and a real Keycloak, with recorded
requests, and `read` if it comes from public source code, logs or issues.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

# Placeholders for values that depend on the server; `filled` replaces them.
SCOPES = "<scopes of the challenge>"
RESOURCE = "<resource>"


class Evidence(StrEnum):
    """The evidence for a client's requests."""

    RAN = "ran"
    READ = "read"


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """A client.

    Attributes:
        name: the common name of the program.
        version: the version that was run or read.
        evidence: whether the real program was run.
        sources: for `read`, the source of each fact; for `ran`, how it was run.
        registration: the body of its registration request (RFC 7591 section 3.1).
        redirects: the redirect URIs that its authorization requests name, the usual one first. They may have a port
            that the registration does not name (RFC 8252 section 7.3).
        authorize: parameters of its authorization request in addition to response type, client, state and PKCE.
        token: parameters of its token requests in addition to grant and client, such as `resource` (RFC 8707).
        token_auth: how it authenticates at the token endpoint: none, client_secret_basic or client_secret_post.
        refresh: a description of when it uses a refresh token; empty if unknown.
        metadata_url: the URL of its client metadata document; None if it has none.
        hosted: whether it runs on its vendor's machines and so cannot reach a server on this machine.
    """

    name: str
    version: str
    evidence: Evidence
    sources: tuple[str, ...]
    registration: Mapping[str, Any]
    redirects: tuple[str, ...]
    token_auth: str
    authorize: Mapping[str, str] = field(default_factory=lambda: {"scope": SCOPES, "resource": RESOURCE})
    token: Mapping[str, str] = field(default_factory=lambda: {"resource": RESOURCE})
    refresh: str = ""
    metadata_url: str | None = None
    hosted: bool = False


def filled(members: Mapping[str, Any], *, scopes: str, resource: str) -> Json:
    """Returns `members` with the placeholders replaced by this server's values."""

    def put_in(value: Any) -> Any:
        return value.replace(SCOPES, scopes).replace(RESOURCE, resource) if isinstance(value, str) else value

    return {name: put_in(value) for name, value in members.items()}
