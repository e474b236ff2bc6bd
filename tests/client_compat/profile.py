"""A client as a provider meets it: what it registers, how it asks for a login, how it shows who it is at the token
endpoint. Facts only, each with the place it was seen at.

A persona is `ran` where the real program did all of it against this project's server and a real Keycloak, with its
requests written down on the way, and `read` where it was taken from public source, logs or issues.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

# Words that stand for what depends on the server: `filled` puts the values in their place.
SCOPES = "<scopes of the challenge>"
RESOURCE = "<resource>"


class Evidence(StrEnum):
    """How its requests are known."""

    RAN = "ran"
    READ = "read"


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """One client.

    Attributes:
        name: as people call it.
        version: that was run or read.
        evidence: whether the real program was run.
        sources: where each fact comes from, for `read`; how it was run, for `ran`.
        registration: the body of its registration request (RFC 7591 section 3.1).
        redirects: the redirect URIs that its authorization requests name, the usual one first. They may have a port
            that the registration does not name (RFC 8252 section 7.3).
        authorize: what its authorization request has besides what all have (response type, client, state, PKCE).
        token: what its token requests have besides grant and client, RFC 8707's `resource` above all.
        token_auth: how it authenticates at the token endpoint: none, client_secret_basic or client_secret_post.
        refresh: when it uses a refresh token, in words; empty where nothing was seen.
        metadata_url: the URL it is known by where the provider takes client ID metadata documents; else None.
        hosted: it runs on its vendor's machines, and so cannot reach a server on this one.
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
    """`members` with the words in place of what this server says."""

    def put_in(value: Any) -> Any:
        return value.replace(SCOPES, scopes).replace(RESOURCE, resource) if isinstance(value, str) else value

    return {name: put_in(value) for name, value in members.items()}
