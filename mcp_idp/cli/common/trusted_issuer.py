"""Whom a password or a client's secret is for: the provider that whoever runs this names, never the server's choice.

A server says in its metadata which provider it trusts (RFC 9728 section 2). Where a person looks at the login page, the
browser shows whose it is. What is sent from here goes to the provider that is named on this side, and nobody else's.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import httpx2
from mcp.shared.auth import ProtectedResourceMetadata

from mcp_idp.cli.common.errors import ProviderError
from mcp_idp.config.settings import Settings
from mcp_idp.util.urls import validate_http_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.client.auth.oauth2 import OAuthContext

_MAX_SHOWN = 200


def own_issuer(option: str | None, variables: Mapping[str, str]) -> str:
    """The issuer that is named here: by `--issuer`, by OAUTH_SERVER_URL, else the compose stack's own Keycloak.

    Args:
        option: what `--issuer` says.
        variables: the server's settings on this machine, see `mcp_idp.cli.common.server_env`.

    Raises:
        ValueError: it is no URL.
    """
    name, issuer = ("--issuer", option) if option else ("OAUTH_SERVER_URL", variables.get("OAUTH_SERVER_URL"))
    if not issuer:
        return Settings().server_url
    validate_http_url(name, issuer)
    return issuer


def check_issuer(named: str, own: str, credential: str = "password") -> None:
    """Let a credential pass that is for the provider which the server names.

    Args:
        named: the issuer in the server's metadata; "" where it names none.
        own: see `own_issuer`. The two are compared byte for byte (RFC 8414 section 3.3).
        credential: what it is, for the refusal.

    Raises:
        ProviderError: it is for another one.
    """
    if named == own:
        return
    shown = named[:_MAX_SHOWN]
    message = f"the {credential} is for the provider {own}, but the server names {shown or 'none'}: nothing was sent"
    if not named:
        raise ProviderError(message, "the server must name it in its metadata (RFC 9728)")
    way = f"--issuer {shlex.quote(shown)}, or OAUTH_SERVER_URL"
    raise ProviderError(message, f"only if you trust that address and the {credential} is for it: {way}")


def check_metadata(context: OAuthContext, server: str, own: str) -> None:
    """See that what the SDK is about to use is the metadata of the issuer `own`, fetched where that publishes it.

    Args:
        context: the SDK's: it fetches metadata from where `auth_server_url` says, and the token endpoint is in it.
        server: the MCP server.
        own: see `own_issuer`.

    Raises:
        ProviderError: it is another one's, or there is none, so that the SDK would use endpoints of the MCP server.
    """
    document = {"resource": server, "authorization_servers": [own]}
    (expected,) = ProtectedResourceMetadata.model_validate(document).authorization_servers  # in the SDK's spelling
    metadata = context.oauth_metadata
    if metadata is None or {context.auth_server_url, str(metadata.issuer)} != {str(expected)}:
        raise ProviderError(f"no metadata of the provider {own} was found: nothing was sent")


def origin(url: str) -> str:
    """Scheme, host and port of `url`, as the HTTP client reads it; with the user part, which an origin does not have.

    Raises:
        ValueError: it is no URL.
    """
    try:
        parts = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ValueError(f"{url[:_MAX_SHOWN]!r} is not a URL") from error
    user = f"{parts.userinfo.decode()}@" if parts.userinfo else ""
    return f"{parts.scheme}://{user}{parts.netloc.decode()}"
