"""Reads how much memory the control groups of this process allow: cgroup v2 or v1 (Linux cgroups(7))."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Without a limit the kernel reports the largest 63-bit multiple of the page size, which is more than this.
_NO_LIMIT = 1 << 62
_V2, _V1 = "memory.max", "memory.limit_in_bytes"


def container_memory_limit(root: Path = Path("/")) -> int | None:
    """Returns the smallest limit of the process's control group and of those that enclose it.

    Args:
        root: the root of the file system.

    Returns:
        Bytes; None if there is no limit or it cannot be read.
    """
    limits = [limit for path in _limit_files(root) if (limit := _read_limit(path)) is not None]
    return min(limits, default=None)


def _limit_files(root: Path) -> Iterator[Path]:
    """Yields the files that may have a limit. In a container, /proc names a group that exists outside only."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    mounts = root / "sys/fs/cgroup"
    for line in ["0::/", ":memory:/", *lines]:
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        mount, name = (mounts / "memory", _V1) if controllers else (mounts, _V2)
        parts = [part for part in group.split("/") if part not in {"", ".."}]
        for depth in range(len(parts) + 1):
            yield mount.joinpath(*parts[:depth], name)


def _read_limit(path: Path) -> int | None:
    try:
        limit = int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such group, or "max"
        return None
    return limit if 0 < limit < _NO_LIMIT else None
