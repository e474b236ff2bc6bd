"""Finds the wheel from which this distribution was installed, so that images can install the same one."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mcp_idp import __version__

WHEEL_NAME = f"mcp_idp-{__version__}-py3-none-any.whl"


def installed_wheel(record: str | None = None) -> bytes | None:
    """Returns the content of the wheel from which pip installed this version; None if it is not on this machine.

    Args:
        record: Replaces the `direct_url.json` that the installer wrote (PEP 610).
    """
    try:
        text = record if record is not None else distribution("mcp-idp").read_text("direct_url.json")
        document: Any = json.loads(text or "{}")
        url = urlsplit(document["url"])
        path = Path(unquote(url.path))
        if url.scheme != "file" or path.name != WHEEL_NAME:
            return None
        content = path.read_bytes()
        expected = document.get("archive_info", {}).get("hashes", {}).get("sha256")
    except (PackageNotFoundError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    # Another file of the same name may have taken its place since.
    return content if expected in {None, hashlib.sha256(content).hexdigest()} else None
