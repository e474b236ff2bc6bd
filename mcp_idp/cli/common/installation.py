"""Finds the files that the command reads: in the wheel, in an editable install or in the checkout.

The wheel carries the folder `idp-config` of the repository inside this package. An editable install and the checkout
(and the images, which contain its folders) have it next to the package `mcp_idp`.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = "idp-config"
_COMMAND = Path(__file__).parents[1]  # mcp_idp/cli
_ROOT = Path(__file__).parents[3]  # what contains mcp_idp: the checkout, or site-packages


def bundled_config(*, command: Path = _COMMAND, root: Path = _ROOT) -> Path:
    """Returns the folder `idp-config` of this distribution.

    Its access file describes the demo: it serves `demo` and `init` only.

    Args:
        command: The package of the command.
        root: The folder that contains the package `mcp_idp`.
    """
    inside = command / _FOLDER
    return inside if inside.is_dir() else root / _FOLDER


def provider_files(access_file: Path, provider: str) -> Path:
    """Returns the folder with a provider's own files: the one next to the access file, else this distribution's.

    Args:
        access_file: The path of the access file.
        provider: The folder's name, such as "keycloak".
    """
    adjacent = access_file.parent / provider
    return adjacent if adjacent.is_dir() else bundled_config() / provider


def find_checkout(*, root: Path = _ROOT) -> Path | None:
    """Returns the root of the checkout that this package is part of; None for an installed wheel.

    Args:
        root: The folder that contains the package `mcp_idp`.
    """
    is_checkout = (root / "pyproject.toml").is_file() and (root / "mcp_server" / "__main__.py").is_file()
    return root if is_checkout else None
