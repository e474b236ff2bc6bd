"""Formats changes as lines, in color on a terminal, and as JSON. `FieldDiff` already hides secret values."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import IO, TYPE_CHECKING, cast

from rich.console import Console
from rich.text import Text

from mcp_idp.cli.common.console import json_text, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mcp_idp.cli.bootstrap.changes import Action, Change, FieldDiff

ACTION_SYMBOLS: dict[Action, str] = {"create": "+", "change": "~", "remove": "-", "step": "·"}
_STYLES = {"+": "green", "~": "yellow", "-": "red", "·": "dim", "    ": "dim"}
_LABEL_STYLES = {
    "VERIFICATION FAILED": "bold red",
    "drift": "yellow",
    "weakness": "bold red",
    "warning": "yellow",
    "note": "cyan",
    "verified": "green",
}
_LONGEST_VALUE = 160
_MAX_NAMES = 5
# The consent page isolates a client's name from the text around it (UAX #9 section 2.4.2). Output escapes isolates.
_ISOLATED = "\u2068{0}\u2069"


def change_lines(change: Change, *, members: bool = False) -> Iterator[str]:
    """Yields the change, then each field as "old → new".

    Args:
        change: The change.
        members: Also list the fields of a created object.
    """
    owner = f" [{printable(change.owner)}]" if change.owner else ""
    yield f"{ACTION_SYMBOLS[change.action]} {printable(change.text)}{owner}"
    if change.action == "create" and not members:
        return
    for field in change.displayed_fields:
        name = printable(field.name)
        if change.action == "create":
            yield f"    {name}: {format_value(field.new)}"
        else:
            yield f"    {name}: {format_value(field.old)} → {format_value(field.new)}"


def unbatched(changes: Sequence[Change]) -> Iterator[Change]:
    """Yields the changes to list: one for each batch, which says how many requests it stands for."""
    sizes = Counter(change.batch for change in changes)
    for change in changes:
        if not change.batch:
            yield change
        elif size := sizes.pop(change.batch, 0):
            yield replace(
                change, object_label="clients", what=f"{change.batch} ({count_noun(size, 'request')})", fields=()
            )


def difference_lines(changes: Iterable[Change]) -> Iterator[str]:
    """Yields how settings that another resource owns differ from the files; an apply leaves them to the owner."""
    for change in changes:
        fields = change.fields or (None,)
        for field in fields:
            name = printable(f"{change.object_label}.{field.name}" if field else change.object_label)
            values = f" is {format_value(field.old)}, not {format_value(field.new)}" if field else ": is missing"
            yield f"note: {name}{values}; {printable(change.owner)} owns it, so it is not changed here"


def count_line(changes: Iterable[Change]) -> str:
    """Returns a line with the number of objects to create, change and remove."""
    actions = [change.action for change in changes]
    if not any(action != "step" for action in actions):
        return "no changes"
    words: tuple[tuple[Action, str], ...] = (("create", "create"), ("change", "change"), ("remove", "remove"))
    return "plan: " + ", ".join(f"{actions.count(action)} to {word}" for action, word in words)


def change_json(changes: Iterable[Change]) -> list[dict[str, object]]:
    """Converts the changes to JSON-compatible data, in their order.

    Returns:
        Objects with `object`, `action`, `what` and `fields`; see `field_json`.
    """
    return [
        {
            "object": change.object_label,
            "action": change.action,
            "what": change.what,
            "fields": [field_json(field) for field in change.displayed_fields],
            **({"owner": change.owner} if change.owner else {}),
        }
        for change in changes
    ]


def field_json(field: FieldDiff) -> dict[str, object]:
    """Returns a field as JSON-compatible data: `name`, `old` and `new`."""
    return {"name": field.name, "old": field.old, "new": field.new}


def format_value(value: object) -> str:
    """Returns a value as one line of printable characters, truncated to 160 characters."""
    text = printable(_plain_text(value).replace(_ISOLATED, "{0}"))
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _plain_text(value: object, *, nested: bool = False) -> str:
    """Returns a value without the syntax of JSON; an executor or condition of a client policy as "name (settings)"."""
    match value:
        case _ if value in (None, [], {}):
            return "(none)"
        case str():
            return value or '""'
        case list():
            text = ", ".join(_plain_text(part, nested=True) for part in value)
            return f"[{text}]" if nested else text
        case {"executor": str(name), **rest} | {"condition": str(name), **rest}:
            settings = rest.get("configuration", rest)
            return f"{name} ({_plain_text(settings)})" if settings else name
        case dict():
            text = ", ".join(f"{name}: {_plain_text(member, nested=True)}" for name, member in value.items())
            return f"({text})" if nested else text
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


def count_noun(count: int, noun: str, plural: str = "") -> str:
    """The number and its noun, such as "1 change" or "2 changes"; `plural` where it is not the noun and an s."""
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"


def join_first(names: Sequence[str]) -> str:
    """Returns the first five of `names`, separated by commas."""
    return ", ".join(names[:_MAX_NAMES]) + (" …" if len(names) > _MAX_NAMES else "")


@contextmanager
def waiting(what: str) -> Iterator[Callable[[str], None]]:
    """Shows a spinner on standard error during the `with` block, where that is a terminal.

    Args:
        what: What is being done.

    Yields:
        A function that prints a line on standard error, above the spinner.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with console.status(Text(what)) if console.is_terminal else nullcontext():
        yield lambda line: console.print(Text(printable(line), style=_style(line)))


def line_printer(stream: IO[str]) -> Callable[[str], None]:
    """Returns a function that prints a line at once, in color if `stream` is a terminal and NO_COLOR is not set."""
    console = Console(file=stream, highlight=False, soft_wrap=True)

    def print_line(line: str) -> None:
        console.print(Text(printable(line), style=_style(line)))

    return print_line


def print_json(document: object, stream: IO[str]) -> None:
    """Prints `document` as JSON; sets become sorted lists."""
    stream.write(json_text(document, default=_plain) + "\n")
    stream.flush()


def _plain(value: object) -> object:
    return sorted(cast("Iterable[str]", value)) if isinstance(value, (set, frozenset)) else str(value)


def _style(line: str) -> str:
    label = line.partition(":")[0]
    for start, style in _STYLES.items():
        if line.startswith(f"{start} ") or line[:4] == start:
            return style
    return _LABEL_STYLES.get(label, "")
