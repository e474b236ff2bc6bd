"""What the control groups of a process allow it, read from files as the kernel writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_idp.util.container_memory import container_memory_limit

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
V1_NO_LIMIT = "9223372036854771712"


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("", {}, None),
        ("0::/\n", {"memory.max": "268435456\n"}, 256 * MIB),  # in a container of cgroup v2
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/a/b.service\n", {"a/memory.max": "max\n", "a/b.service/memory.max": f"{300 * MIB}\n"}, 300 * MIB),
        ("0::/a/b\n", {"a/memory.max": f"{200 * MIB}\n", "a/b/memory.max": "max\n"}, 200 * MIB),
        ("0::/a/b\n", {"a/memory.max": f"{200 * MIB}\n", "a/b/memory.max": f"{300 * MIB}\n"}, 200 * MIB),
        ("0::/../../docker/1234\n", {"memory.max": f"{256 * MIB}\n"}, 256 * MIB),
        ("5:memory:/\n", {"memory/memory.limit_in_bytes": f"{256 * MIB}\n"}, 256 * MIB),
        # In a container of cgroup v1, the group is that of the host, and what is mounted is the container's own.
        ("9:cpu:/docker/1\n8:memory:/docker/1\n", {"memory/memory.limit_in_bytes": f"{128 * MIB}\n"}, 128 * MIB),
        ("8:memory,cpu:/a\n", {"memory/a/memory.limit_in_bytes": f"{99 * MIB}\n"}, 99 * MIB),
        ("8:memory:/\n", {"memory/memory.limit_in_bytes": V1_NO_LIMIT}, None),
        ("8:cpu:/a\n", {"cpu/a/memory.limit_in_bytes": "1000\n"}, None),
        ("nonsense\n\n7:memory\n", {"memory.max": "many\n", "memory/memory.limit_in_bytes": ""}, None),
        ("0::/\n", {"memory.max": "0\n"}, None),
    ],
)
def test_the_smallest_limit_of_all_groups_around_the_process(
    groups: str, files: dict[str, str], limit: int | None, tmp_path: Path
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups, encoding="utf-8")
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert container_memory_limit(tmp_path) == limit


def test_where_there_are_no_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert container_memory_limit(tmp_path) is None
