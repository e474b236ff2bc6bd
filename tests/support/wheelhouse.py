"""Test distributions: wheels with a name, a version and requirements."""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def add_wheel(folder: Path, name: str, version: str, requirements: Iterable[str] = ()) -> Path:
    """Writes a wheel of this name with one empty module to `folder`.

    Args:
        folder: the folder in which pip looks for distributions (`--find-links`).
        name: the name of the distribution.
        version: its version.
        requirements: its requirements, as in `Requires-Dist`. The extras in them are provided.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    extras = sorted({found for requirement in requirements for found in re.findall(r'extra == "(.+?)"', requirement)})
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {requirement}" for requirement in requirements),
        *(f"Provides-Extra: {extra}" for extra in extras),
    ]
    wheel = ["Wheel-Version: 1.0", "Generator: tests", "Root-Is-Purelib: true", "Tag: py3-none-any"]
    files = {
        f"{name.replace('-', '_')}_module.py": "",
        f"{stem}.dist-info/METADATA": "\n".join(metadata) + "\n",
        f"{stem}.dist-info/WHEEL": "\n".join(wheel) + "\n",
    }
    record = [f"{path},{_digest(text.encode())},{len(text.encode())}" for path, text in files.items()]
    files[f"{stem}.dist-info/RECORD"] = "\n".join([*record, f"{stem}.dist-info/RECORD,,"]) + "\n"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name_, text in files.items():
            archive.writestr(name_, text)
    return path


def lock_of(*wheels: Path) -> str:
    """Returns a lock for these wheels, in the format of scripts/lock."""
    lines = []
    for wheel in wheels:
        name, version = wheel.name.split("-")[:2]
        lines += [f"{name.replace('_', '-')}=={version} \\", f"    --hash=sha256:{_hex(wheel)}"]
    return "\n".join(lines) + "\n"


def _hex(wheel: Path) -> str:
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
