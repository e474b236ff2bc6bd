"""Reads a client's secret or signing key from a file.

`mcp_idp.cli.common.trusted_issuer` decides which provider may receive it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.config.client_signing_key import ClientSigningKey, InvalidClientKey

if TYPE_CHECKING:
    from pathlib import Path

_MAX_SECRET = 4096


def read_secret(path: Path | None, client_id: str | None) -> str:
    """Reads a client secret.

    Args:
        path: The file, or None.
        client_id: The client that the secret belongs to.

    Returns:
        The secret without surrounding white space, or "" without a file.

    Raises:
        ValueError: The file is unreadable or empty, or `client_id` is missing.
    """
    if path is None:
        return ""
    if not client_id:
        raise ValueError("--client-secret-file: whose secret? Add --client-id")
    try:
        with path.open(encoding="utf-8") as file:
            secret = file.read(_MAX_SECRET).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--client-secret-file {path}: {error}") from error
    if not secret:
        raise ValueError(f"--client-secret-file {path}: is empty")
    return secret


def read_key(path: Path | None, client_id: str | None) -> ClientSigningKey | None:
    """Reads a client's private signing key.

    Args:
        path: The PEM file, or None.
        client_id: The client that the key belongs to.

    Returns:
        The key, or None without a file.

    Raises:
        ValueError: The file is unreadable or not a usable key, or `client_id` is missing.
    """
    if path is None:
        return None
    if not client_id:
        raise ValueError("--client-key-file: add --client-id, the client that the key belongs to")
    try:
        return ClientSigningKey.from_pem(path.read_bytes())
    except (OSError, InvalidClientKey) as error:
        raise ValueError(f"--client-key-file {path}: {error}") from error
