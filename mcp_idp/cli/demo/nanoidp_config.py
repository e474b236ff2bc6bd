"""Writes the configuration of nanoidp: scopes and users of the access file, with everything else disabled.

The comments name the behavior of nanoidp 3.4.0 that each choice works around.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_idp.access.policy import AccessPolicy

# nanoidp writes the user's roles into this claim; its name is fixed.
ROLES_CLAIM = "roles"


def settings_document(access: AccessPolicy, port: int, home: Path) -> dict[str, Any]:
    """Returns the content of `settings.yaml`.

    Args:
        access: The access policy.
        port: The provider's port.
        home: The run's temporary directory, for the signing keys; it is outside the configuration directory.
    """
    issuer = f"http://localhost:{port}"
    return {
        "config_version": 1,
        "server": {"host": "127.0.0.1", "port": port},
        "security_profile": "oauth21",
        # by default every origin is allowed, and the read-only API requires no login
        "cors_allowed_origins": list(access.registration.web_origins),
        "oauth": {
            "issuer": issuer,
            # not the resource: this is also the audience of refresh tokens, which are signed with the same key
            "audience": issuer,
            "token_expiry_minutes": 15,
            "require_pkce": True,
            "refresh_token_rotation": True,
            "scope_enforcement": True,
            "scopes_supported": ["openid", *access.scopes],
            "dynamic_registration": {"enabled": True, "max_clients": 100},
            "clients": [],
        },
        "jwt": {"keys_dir": str(home / "keys")},  # otherwise relative to the working directory
        "runtime": {"store": "memory"},
    }


def users_document(access: AccessPolicy) -> dict[str, Any]:
    """Returns the content of `users.yaml`. Passwords are in plain text: nanoidp supports nothing else."""
    return {
        "config_version": 1,
        "users": {
            name: {
                "password": user.password,
                "email": f"{name}@example.org",
                "roles": list(access.roles_of_demo_user(user)),
            }
            for name, user in access.demo_users.items()
        },
    }


def write_provider(access: AccessPolicy, port: int, home: Path) -> Path:
    """Writes both files, readable by their owner only.

    Args:
        access: The access policy.
        port: The provider's port.
        home: The run's temporary directory.

    Returns:
        The configuration directory.
    """
    directory = home / "provider"
    directory.mkdir(mode=0o700)
    for name, document in (
        ("settings.yaml", settings_document(access, port, home)),
        ("users.yaml", users_document(access)),
    ):
        _write_private(directory / name, document)
    return directory


def write_access(access: AccessPolicy, home: Path) -> Path:
    """Writes a copy of the access file that uses nanoidp's roles claim.

    Args:
        access: The access policy.
        home: The run's temporary directory.

    Returns:
        The path of the copy.
    """
    path = home / "access.yaml"
    changed = access.model_copy(update={"roles_claim": ROLES_CLAIM})
    # Omits what the file omits: the mere presence of `tools` has a meaning.
    _write_private(path, changed.model_dump(mode="json", exclude_unset=True))
    return path


def _write_private(path: Path, document: dict[str, Any]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        yaml.safe_dump(document, file, sort_keys=False)
