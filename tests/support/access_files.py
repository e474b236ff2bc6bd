"""Access files that differ from that of the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from mcp_idp.config.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def access_file(folder: Path, **members: Any) -> Path:
    content = yaml.safe_load(Settings().access_file.read_text(encoding="utf-8"))
    path = folder / "access.yaml"
    path.write_text(yaml.safe_dump({**content, **members}), encoding="utf-8")
    return path
