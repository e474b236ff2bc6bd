"""A client's secret or key: where it comes from. Whom it may go to is said in `mcp_idp.cli.common.trusted_issuer`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.config.client_credentials import ClientSigningKey, InvalidClientKey

if TYPE_CHECKING:
    from pathlib import Path

_MAX_SECRET = 4096


def read_secret(path: Path | None, client_id: str | None) -> str:
    """The secret of `client_id` in the file at `path`; "" without a file.

    Raises:
        ValueError: it cannot be read, or belongs to nobody.
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
    """The key of `client_id` in the PEM file at `path`; None without a file.

    Raises:
        ValueError: it cannot be read, or belongs to nobody.
    """
    if path is None:
        return None
    if not client_id:
        raise ValueError("--client-key-file: add --client-id, the client that the key belongs to")
    try:
        return ClientSigningKey.from_pem(path.read_bytes())
    except (OSError, InvalidClientKey) as error:
        raise ValueError(f"--client-key-file {path}: {error}") from error
