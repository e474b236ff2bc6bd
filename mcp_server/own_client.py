"""This server's own client at the provider, from the environment: whether it signs, and with which key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcp_server.client_key import ClientKey, UnusableKey
from mcp_server.environment import SettingsError

if TYPE_CHECKING:
    from mcp_server.environment import Environment


def signs_with_key(env: Environment, client_auth: str) -> bool:
    """Whether a key takes the place of the secret. What is set besides and would not be used is a mistake.

    OAUTH_CLIENT_SECRET_FILE is none: compose always sets it.

    Raises:
        SettingsError: both are set.
    """
    signs = client_auth == "private_key_jwt"
    if signs and env.text("OAUTH_CLIENT_SECRET") is not None:
        raise SettingsError("OAUTH_CLIENT_SECRET: not used with OAUTH_CLIENT_AUTH=private_key_jwt; keep one of the two")
    if not signs and env.text("OAUTH_CLIENT_KEY_FILE") is not None:
        raise SettingsError(
            f"OAUTH_CLIENT_KEY_FILE: not used with OAUTH_CLIENT_AUTH={client_auth}; set that to private_key_jwt"
        )
    return signs


def read_key(env: Environment, *, required: bool) -> ClientKey | None:
    """The key in the file that OAUTH_CLIENT_KEY_FILE names. If `required`, it must be there.

    Raises:
        SettingsError: it is not, or cannot be used.
    """
    path = env.text("OAUTH_CLIENT_KEY_FILE")
    if path is None:
        return None
    try:
        return ClientKey.read(Path(path).read_bytes())
    except UnusableKey as error:
        raise SettingsError(f"OAUTH_CLIENT_KEY_FILE={path}: {error}") from error
    except OSError as error:
        if not required:
            return None
        raise SettingsError(f"OAUTH_CLIENT_KEY_FILE={path}: cannot be read ({type(error).__name__})") from error
