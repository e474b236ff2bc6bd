"""Secrets that are created on first use, each in a file that only its owner can read.

Compose runs `python -m mcp_idp.cli.bootstrap.secret_file PATH` before Keycloak starts, to create the admin client's
secret. This module requires the standard library only.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from mcp_idp.cli.bootstrap.errors import ConfigError

_BYTES = 32  # 256 bits


def read_secret(path: Path) -> str | None:
    """Returns the secret in a file, or None if the file does not exist or is empty.

    Raises:
        ConfigError: The file cannot be read.
    """
    try:
        return _read(path)
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error, "cannot be read") from error


def get_or_create_secret(path: Path) -> str:
    """Returns the secret in a file; if there is none, creates one and writes it atomically.

    Raises:
        ConfigError: The file can be neither read nor written.
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
    """Writes to a temporary file and renames it: readers see the whole secret or no file, never a wider mode."""
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
    """Creates the secret at the path given as the only argument, if it does not exist. Returns the exit code."""
    try:
        get_or_create_secret(Path(sys.argv[1]))
    except ConfigError as failure:
        print(f"secret: {failure}", file=sys.stderr)
        return failure.exit_code
    print(f"the secret is stored in {sys.argv[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
