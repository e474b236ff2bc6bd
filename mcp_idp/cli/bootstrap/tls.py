"""Whose certificates a run trusts: what httpx, and through it python-keycloak, reads from SSL_CERT_FILE."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def tls_errors_as_config_errors() -> Iterator[None]:
    """Around the making of a client.

    Raises:
        ConfigError: SSL_CERT_FILE has no certificates.
    """
    try:
        yield
    except OSError as error:  # ssl.SSLError too: nothing in it is a certificate
        raise ConfigError(
            f"SSL_CERT_FILE={os.environ.get('SSL_CERT_FILE', '')}: no certificate can be read from it "
            f"({error.strerror or type(error).__name__}): use a file of certificates in PEM, or unset it"
        ) from error
