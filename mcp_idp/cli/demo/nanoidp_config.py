"""What nanoidp is told: scopes and people from the access file, everything closed that a demo does not need.

Each choice below is there for a trap that was met with nanoidp 3.4.0, named beside it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_idp.access.policy import AccessPolicy

# nanoidp puts a person's roles here, and the claim's name cannot be changed.
ROLES_CLAIM = "roles"


def settings_document(access: AccessPolicy, port: int, home: Path) -> dict[str, Any]:
    """`settings.yaml`. `home` is where the signing key goes: outside the configuration, inside the run's directory."""
    issuer = f"http://localhost:{port}"
    return {
        "config_version": 1,
        "server": {"host": "127.0.0.1", "port": port},
        "security_profile": "oauth21",
        # every origin by default, and its read-only API asks for no login
        "cors_allowed_origins": list(access.registration.web_origins),
        "oauth": {
            "issuer": issuer,
            # never the resource: refresh tokens are signed with the same key, and this is their audience
            "audience": issuer,
            "token_expiry_minutes": 15,
            "require_pkce": True,
            "refresh_token_rotation": True,
            "scope_enforcement": True,
            "scopes_supported": ["openid", *access.scopes],
            "dynamic_registration": {"enabled": True, "max_clients": 100},
            "clients": [],
        },
        "jwt": {"keys_dir": str(home / "keys")},  # else relative to the working directory
        "runtime": {"store": "memory"},
    }


def users_document(access: AccessPolicy) -> dict[str, Any]:
    """`users.yaml`, with the passwords in plain text: nanoidp knows no other way."""
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
    """Write both files, readable by their owner only, and give their directory."""
    directory = home / "provider"
    directory.mkdir(mode=0o700)
    for name, document in (
        ("settings.yaml", settings_document(access, port, home)),
        ("users.yaml", users_document(access)),
    ):
        _write_private(directory / name, document)
    return directory


def write_access(access: AccessPolicy, home: Path) -> Path:
    """The access file as this provider needs it: the same, but for the name of the roles claim."""
    path = home / "access.yaml"
    changed = access.model_copy(update={"roles_claim": ROLES_CLAIM})
    # Not what the file leaves out: `tools` means more by being there.
    _write_private(path, changed.model_dump(mode="json", exclude_unset=True))
    return path


def _write_private(path: Path, document: dict[str, Any]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        yaml.safe_dump(document, file, sort_keys=False)
