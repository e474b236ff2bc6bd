"""Writes files, and replaces existing ones only if requested."""

from __future__ import annotations

import errno
import os
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(slots=True)
class Written:
    """The result of a run: the files by their path in the folder.

    Attributes:
        written: Files that were written, or would be.
        skipped: Files that exist and were left unchanged.
    """

    written: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def write_files(folder: Path, files: Mapping[str, bytes], *, replace: bool, dry_run: bool) -> Written:
    """Writes the files that do not exist yet. A link counts as a file and is never followed.

    Args:
        folder: Where to write; it is created.
        files: Content by path in the folder.
        replace: Whether to replace existing files, each atomically.
        dry_run: Whether to write nothing.

    Raises:
        OSError: Something cannot be written; the error names it.
    """
    done = Written()
    for name in files:
        path = folder / name
        if replace and path.is_dir() and not path.is_symlink():  # before anything is written
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    for name, content in files.items():
        path = folder / name
        exists = os.path.lexists(path)
        if exists and not replace:
            done.skipped.append(name)
            continue
        if not dry_run:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content, replace=exists)
        done.written.append(name)
    return done


def _write(path: Path, content: bytes, *, replace: bool) -> None:
    if not replace:
        with path.open("xb") as file:
            file.write(content)
        return
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
