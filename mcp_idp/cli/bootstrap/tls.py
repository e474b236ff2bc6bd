"""Reports errors in SSL_CERT_FILE, from which httpx, and thereby python-keycloak, reads trusted certificates."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def tls_errors_as_config_errors() -> Iterator[None]:
    """Converts errors while an HTTP client is created in the `with` block.

    Raises:
        ConfigError: SSL_CERT_FILE contains no certificates.
    """
    try:
        yield
    except OSError as error:  # includes ssl.SSLError, raised for a file without certificates
        raise ConfigError(
            f"SSL_CERT_FILE={os.environ.get('SSL_CERT_FILE', '')}: no certificate can be read from it "
            f"({error.strerror or type(error).__name__}): use a file of certificates in PEM, or unset it"
        ) from error
