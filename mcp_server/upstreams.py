"""Other APIs that tools may call for their callers: the `upstreams` block of `access.yaml`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from mcp_server.access_parts import Part, RoleName, ScopeName
from mcp_server.addresses import is_loopback
from mcp_server.issuers import Url


def _not_in_the_clear(url: str) -> str:
    """Plain http is for this machine and for names of one label, such as the services of compose."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http" and "." in host and not is_loopback(host):
        raise ValueError("the exchanged token would cross the network in the clear: use https")
    return url


# What the provider calls the API: a client's id in Keycloak, an API identifier elsewhere.
Audience = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]+$", max_length=255)]


class UpstreamScope(Part):
    """One scope at another API: what it lets this server do there, and which roles of the person bring it."""

    description: str = Field(min_length=1, max_length=200)
    roles: tuple[RoleName, ...] = Field(min_length=1)


class Upstream(Part):
    """An API for which this server may exchange its callers' tokens.

    Attributes:
        name: for people, where the provider shows it.
        scopes: those that this server may ask for there. None named, the provider alone decides.
        url: where the example tool finds it; a tool of your own knows its API's address.
    """

    name: str = Field(min_length=1, max_length=100)
    scopes: dict[ScopeName, UpstreamScope] = Field(default_factory=dict)
    url: Annotated[Url, AfterValidator(_not_in_the_clear)] | None = None
