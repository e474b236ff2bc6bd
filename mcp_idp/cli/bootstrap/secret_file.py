"""Secrets created on first use, each stored in a file that only its owner can read.

Compose runs `python -m mcp_idp.cli.bootstrap.secret_file PATH` before Keycloak starts: it creates the admin client's
secret. Needs the standard library only.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from mcp_idp.cli.bootstrap.errors import ConfigError

_BYTES = 32  # 256 bit


def read_secret(path: Path) -> str | None:
    """The secret in the file at `path`; None if there is none.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        return _read(path)
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error, "cannot be read") from error


def get_or_create_secret(path: Path) -> str:
    """The secret in the file at `path`; a new one is written there, whole or not at all, if there is none.

    Raises:
        ConfigError: the file can be neither read nor written.
    """
    try:
        if secret := _read(path):
            return secret
        secret = secrets.token_urlsafe(_BYTES)
        _write(path, secret)
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error, "can be neither read nor written") from error
    return secret


def _unusable(path: Path, error: OSError | UnicodeDecodeError, why: str) -> ConfigError:
    reason = error.strerror if isinstance(error, OSError) else "not text"
    return ConfigError(f"{path}: {why} ({reason}); name another file")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def _write(path: Path, secret: str) -> None:
    """Write to a neighbour first: a reader sees the whole secret or no file, and never one with a wider mode."""
    temp_path = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(temp_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secret + "\n")
        temp_path.replace(path)
    except OSError:
        temp_path.unlink(missing_ok=True)
        raise


def main() -> int:
    """Keep a secret at the path that is the one argument."""
    try:
        get_or_create_secret(Path(sys.argv[1]))
    except ConfigError as failure:
        print(f"secret: {failure}", file=sys.stderr)
        return failure.exit_code
    print(f"the secret is kept in {sys.argv[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
