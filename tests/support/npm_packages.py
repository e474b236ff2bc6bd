"""Installs locked npm packages once, for all processes that test with them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
from pathlib import Path


def install_packages(folder: Path, *command: str, stamp: str = ".installed", fuller_stamp: str = "") -> None:
    """Runs an npm command that installs the lock of `folder`, unless it ran; one process at a time, and others wait.

    npm deletes what is installed first, also while another process uses it.

    Args:
        folder: the folder of package.json and package-lock.json.
        command: the command, such as the path of npm and `ci`.
        stamp: the name of a file in node_modules that shows that this command ran.
        fuller_stamp: the one of a command that installs more, or "".
    """
    lock = (folder / "package-lock.json").read_bytes()
    modules = folder / "node_modules"
    digest = hashlib.sha256(lock).hexdigest()
    with (folder / "package-lock.json").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not any(_reads(modules / name, digest) for name in (stamp, fuller_stamp) if name):
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)
            (modules / stamp).write_text(digest, encoding="ascii")


def _reads(file: Path, text: str) -> bool:
    return file.exists() and file.read_text(encoding="ascii") == text


def remove_addresses(lock: Path) -> None:
    """Removes from a package-lock.json what names an address: funding and the texts about deprecated versions."""
    content = json.loads(lock.read_text(encoding="utf-8"))
    for package in content["packages"].values():
        package.pop("funding", None)
        if "://" in package.get("deprecated", ""):
            del package["deprecated"]
    lock.write_text(f"{json.dumps(content, indent=2, ensure_ascii=False)}\n", encoding="utf-8")


if __name__ == "__main__":
    remove_addresses(Path(sys.argv[1]))
