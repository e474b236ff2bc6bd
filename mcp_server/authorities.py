"""Whose certificates the identity provider may have: those of the usual authorities, and of one of your own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from mcp_server.environment import SettingsError

if TYPE_CHECKING:
    import ssl
    from pathlib import Path


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """What connections to the provider are judged by; names and times are checked whatever the authority.

    Args:
        ca_file: certificates in PEM that count besides the usual ones.

    Raises:
        SettingsError: there is none in the file.
    """
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:  # ssl.SSLError too: nothing in it is a certificate
            reason = error.strerror or type(error).__name__
            raise SettingsError(f"OAUTH_CA_FILE={ca_file}: no certificate can be read from it ({reason})") from error
    return context
