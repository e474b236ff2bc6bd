"""Finds the key by which limits count the client of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.util.addresses import UNKNOWN, address_group

if TYPE_CHECKING:
    from starlette.types import Scope


def address_key(scope: Scope) -> str:
    """Returns the key by which limits count the client of a request: its `address_group`.

    Clients without an address, such as those of a Unix socket, count together. Behind a proxy, the server must have put
    the forwarded address into the scope (TRUSTED_PROXIES).

    Args:
        scope: the ASGI scope of the request.
    """
    client = scope.get("client")
    return address_group(client[0]) if client else UNKNOWN
