"""Reads and writes the rendered files, and describes their differences."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from mcp_idp.cli.bootstrap.changes import FieldDiff
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.output import field_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_NAMES = ("id", "email")  # members that identify the entries of a list
_SECRET = re.compile(r"secret|password|pw$|hash|key$|token|cadata|raw", re.IGNORECASE)
_HIDDEN = "<hidden>"
_MAX_PRINTED_CHARACTERS = 160
_PRIVATE, _PUBLIC = 0o600, 0o644


def read_files(folder: Path, names: Mapping[str, str] | tuple[str, ...], variable: str) -> dict[str, str]:
    """Reads the files that exist.

    Args:
        folder: The output folder.
        names: File paths relative to it.
        variable: The environment variable that sets the folder, for error messages.

    Returns:
        Relative path to content; files that do not exist are left out.

    Raises:
        ConfigError: A file exists but cannot be read.
    """
    found = {}
    for name in names:
        try:
            found[name] = (folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{folder / name}: cannot be read ({_reason(error)}); {variable} says where") from error
    return found


def write_files(folder: Path, desired: Mapping[str, str], current: Mapping[str, str], variable: str) -> None:
    """Writes the files that differ. Each is replaced atomically; files in `dex/` are readable by their owner only.

    Args:
        folder: The output folder.
        desired: Relative path to desired content.
        current: Relative path to current content.
        variable: The environment variable that sets the folder, for error messages.

    Raises:
        ConfigError: A file cannot be written.
    """
    for name, text in desired.items():
        if current.get(name) == text:
            continue
        try:
            _write(folder / name, text, _PRIVATE if name.startswith("dex/") else _PUBLIC)
        except OSError as error:
            raise ConfigError(
                f"{folder / name}: cannot be written ({_reason(error)}); {variable} says where"
            ) from error


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temp_path = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temp_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temp_path.chmod(mode)
        temp_path.replace(path)
    finally:
        temp_path.unlink(missing_ok=True)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else "not text"


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that would change.

    Attributes:
        name: Its path, relative to the output folder.
        action: `create` or `change`.
        fields: The fields that differ, for YAML and JSON; values of secret fields are hidden.
        lines: The removed and added lines of other files.
    """

    name: str
    action: str
    fields: tuple[FieldDiff, ...] = ()
    lines: tuple[str, ...] = ()

    def text_lines(self) -> Iterator[str]:
        """Yields a line for each field that would change."""
        if self.action == "create":
            yield f"{self.name}: create"
            return
        found = [*map(_field_line, self.fields), *self.lines] or ["rewritten, with the same meaning"]
        yield from (f"{self.name}: {line}" for line in found)


def file_changes(desired: Mapping[str, str], current: Mapping[str, str]) -> list[FileChange]:
    """Returns the files that would change.

    Args:
        desired: Relative path to desired content.
        current: Relative path to current content.
    """
    changes = []
    for name, text in desired.items():
        before = current.get(name)
        if before is None:
            changes.append(FileChange(name, "create"))
        elif before != text:
            old, new = _parsed(name, before), _parsed(name, text)
            if old is not None and new is not None:
                changes.append(FileChange(name, "change", tuple(_fields("", old, new))))
            else:
                changes.append(FileChange(name, "change", lines=tuple(_lines(before, text))))
    return changes


def text_lines(changes: Iterable[FileChange]) -> list[str]:
    """Returns a line for each field that would change."""
    return [line for change in changes for line in change.text_lines()]


def file_changes_json(changes: Iterable[FileChange]) -> list[dict[str, object]]:
    """Converts the changes to JSON-compatible data, in the shape of `output.change_json`.

    Returns:
        Objects with `object` (the file), `action`, `what` and `fields`.
    """
    return [
        {
            "object": change.name,
            "action": change.action,
            "what": "; ".join(line.removeprefix(f"{change.name}: ") for line in change.text_lines()),
            "fields": [field_json(field) for field in change.fields],
        }
        for change in changes
    ]


def _parsed(name: str, text: str) -> Any:
    try:
        if name.endswith(".yaml"):
            return yaml.safe_load(text)
        return json.loads(text) if name.endswith(".json") else None
    except (yaml.YAMLError, ValueError):
        return None


def _lines(before: str, after: str) -> Iterator[str]:
    old, new = before.splitlines(), after.splitlines()
    yield from (f"- {line.strip()}"[:_MAX_PRINTED_CHARACTERS] for line in old if line not in new)
    yield from (f"+ {line.strip()}"[:_MAX_PRINTED_CHARACTERS] for line in new if line not in old)


def _fields(place: str, old: Any, new: Any) -> Iterator[FieldDiff]:
    """Yields the fields below `place` that differ, with both values."""
    if _is_named(old) and _is_named(new):
        old, new = _by_name(old), _by_name(new)
    if isinstance(old, dict) and isinstance(new, dict):
        for member in dict.fromkeys([*old, *new]):
            inner = f"{place}.{member}" if place else str(member)
            yield from _fields(inner, old.get(member), new.get(member))
    elif old != new:
        name = place.rpartition(".")[2]
        yield FieldDiff(place, _hide_secrets(name, old), _hide_secrets(name, new))


def _hide_secrets(name: str, value: Any) -> Any:
    """Returns `value` with the values of secret fields replaced by `<hidden>`, at any depth."""
    if isinstance(value, dict):
        return {member: _hide_secrets(str(member), inner) for member, inner in value.items()}
    if isinstance(value, list):
        return [_hide_secrets(name, inner) for inner in value]
    return _HIDDEN if value is not None and _SECRET.search(name) else value


def _field_line(field: FieldDiff) -> str:
    old, new = field.old, field.new
    if isinstance(old, list) and isinstance(new, list):
        parts = [f"+{value}" for value in new if value not in old] + [f"-{value}" for value in old if value not in new]
        return f"{field.name}: {' '.join(parts) or 'another order'}"[:_MAX_PRINTED_CHARACTERS]
    return f"{field.name}: {_format_value(old)} → {_format_value(new)}"


def _is_named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) and _name(entry) for entry in value)


def _by_name(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {_name(entry): entry for entry in entries}


def _name(entry: dict[str, Any]) -> str:
    return next((str(entry[member]) for member in _NAMES if member in entry), "")


def _format_value(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a new one"
    return _HIDDEN if value == _HIDDEN else json.dumps(value, ensure_ascii=False)[:_MAX_PRINTED_CHARACTERS]
