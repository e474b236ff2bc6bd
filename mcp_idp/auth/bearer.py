"""Extracts the bearer token from the Authorization header (RFC 6750 section 2.1).

A token in the query string, a cookie or the body is ignored (MCP authorization, "Access Token Usage").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.errors import InvalidRequest, MissingCredentials

if TYPE_CHECKING:
    from collections.abc import Sequence


def parse_bearer_token(authorization: Sequence[bytes]) -> str:
    """Returns the bearer token of a request.

    Args:
        authorization: the values of all its Authorization headers.

    Raises:
        MissingCredentials: there is no Authorization header, or its scheme is not Bearer.
        InvalidRequest: the header has no token or more than one, or there is more than one header.
    """
    if not authorization:
        raise MissingCredentials
    if len(authorization) > 1:
        raise InvalidRequest("Send one Authorization header.")
    scheme, _, rest = authorization[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        raise MissingCredentials
    token = rest.strip(" ")
    if not token:
        raise InvalidRequest("Send the access token behind the word Bearer.")
    if "," in token or " " in token or "\t" in token:
        raise InvalidRequest("Send one access token behind the word Bearer, and nothing else.")
    return token
