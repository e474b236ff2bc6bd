"""The built wheel of this repository, and virtual environments to install it into without a package index."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def build_wheel(folder: Path) -> Path:
    """Builds the wheel of this repository into `folder` and returns its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def add_dependencies(venv: Path) -> None:
    """Lets a virtual environment import the packages of the tests. `mcp_idp` is not among them."""
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
