"""The bearer token of a request: RFC 6750 section 2.1, and no other place.

A token in the query, a cookie or the body is not credentials (MCP authorization, "Access Token Usage").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.errors import InvalidRequest, MissingCredentials

if TYPE_CHECKING:
    from collections.abc import Sequence


def parse_bearer_token(authorization: Sequence[bytes]) -> str:
    """The token in the values of the Authorization headers.

    Raises:
        MissingCredentials: there is none, or its scheme is another.
        InvalidRequest: Bearer without a token, more than one header, more than one token in a header.
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
