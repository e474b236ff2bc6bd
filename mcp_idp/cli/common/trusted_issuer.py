"""Ensures that passwords and client secrets are sent only to the provider that the user configured.

A server names its provider in its metadata (RFC 9728 section 2). In a browser, users see whose login page they are
on. Credentials that this client sends by itself go only to the issuer configured on this side; the server cannot
choose another one.
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

_MAX_CHARACTERS = 200


def configured_issuer(option: str | None, variables: Mapping[str, str]) -> str:
    """Returns the configured issuer: `--issuer`, else OAUTH_SERVER_URL, else the Keycloak of the compose stack.

    Args:
        option: The value of `--issuer`.
        variables: The server's settings on this host, see `mcp_idp.cli.common.server_env`.

    Raises:
        ValueError: The value is not a URL.
    """
    name, issuer = ("--issuer", option) if option else ("OAUTH_SERVER_URL", variables.get("OAUTH_SERVER_URL"))
    if not issuer:
        return Settings().server_url
    validate_http_url(name, issuer)
    return issuer


def check_issuer(named: str, configured: str, credential: str = "password") -> None:
    """Checks that the server names the issuer that a credential is for.

    Args:
        named: The issuer in the server's metadata, or "".
        configured: The issuer of `configured_issuer`. The two are compared byte for byte (RFC 8414 section 3.3).
        credential: The kind of credential, for the error message.

    Raises:
        ProviderError: The server names another issuer, or none.
    """
    if named == configured:
        return
    displayed = named[:_MAX_CHARACTERS]
    names = displayed or "none"
    message = f"the {credential} is for the provider {configured}, but the server names {names}: nothing was sent"
    if not named:
        raise ProviderError(message, "the server must name it in its metadata (RFC 9728)")
    option = f"--issuer {shlex.quote(displayed)}, or OAUTH_SERVER_URL"
    raise ProviderError(message, f"only if you trust that address and the {credential} is for it: {option}")


def check_metadata(context: OAuthContext, server: str, configured: str) -> None:
    """Checks that the SDK will use the metadata of the issuer `configured`, fetched from that issuer's URL.

    Without provider metadata the SDK would fall back to endpoints at the MCP server.

    Args:
        context: The SDK's OAuth context. It fetches metadata from `auth_server_url` and uses its token endpoint.
        server: The MCP server's URL.
        configured: The issuer of `configured_issuer`.

    Raises:
        ProviderError: The metadata belongs to another issuer, or there is none.
    """
    document = {"resource": server, "authorization_servers": [configured]}
    (expected,) = ProtectedResourceMetadata.model_validate(document).authorization_servers  # normalized as the SDK does
    metadata = context.oauth_metadata
    if metadata is None or {context.auth_server_url, str(metadata.issuer)} != {str(expected)}:
        raise ProviderError(f"no metadata of the provider {configured} was found: nothing was sent")


def origin(url: str) -> str:
    """Returns scheme, host and port of `url` as the HTTP client parses it.

    User information is kept, unlike in a web origin, so that two URLs that differ in it compare as different.

    Raises:
        ValueError: `url` is not a URL.
    """
    try:
        parts = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ValueError(f"{url[:_MAX_CHARACTERS]!r} is not a URL") from error
    user = f"{parts.userinfo.decode()}@" if parts.userinfo else ""
    return f"{parts.scheme}://{user}{parts.netloc.decode()}"
