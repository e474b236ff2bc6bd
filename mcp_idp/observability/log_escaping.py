"""Makes untrusted text safe to log: without control characters, and of bounded length.

Such text reaches a log as a value, in the message of another library's record, and in the message of an exception,
which is part of a traceback. One rule applies to all: `escape_unprintable`.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from mcp_idp.util.printable_text import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_TEXT = 2_000
"""Maximum characters of one text, such as a value or the message of an exception."""
_MAX_ITEMS = 100
_MAX_DEPTH = 4
_MAX_BITS = 256
_MAX_FRAMES = 20
_MAX_EXCEPTIONS = 8
_MAX_NOTES = 5
_INDENT = "  | "


def escape(text: str) -> str:
    """Returns at most `MAX_TEXT` characters of `text`, with those that are not printable escaped."""
    cut = escape_unprintable(text[:MAX_TEXT])[:MAX_TEXT]
    return cut if len(text) <= MAX_TEXT else f"{cut}… ({len(text)} characters)"


def escape_value(value: Any, clean: Callable[[str], str], depth: int = 0) -> Any:
    """Returns a value of a log event with every text in it escaped, and with a bounded size.

    Args:
        value: a JSON value, or any other object, which is logged as its `repr`.
        clean: applied to each text before it is escaped and shortened.
        depth: the number of lists and mappings around the value.
    """
    if isinstance(value, str):
        return escape(clean(value))
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _MAX_BITS else f"an integer of {value.bit_length()} bits"
    if isinstance(value, list | tuple | set | frozenset | Mapping):
        return _escape_collection(value, clean, depth + 1) if depth < _MAX_DEPTH else "…"
    try:
        return escape(clean(repr(value)))
    except Exception as error:  # noqa: BLE001 - whatever a representation raises, the event is logged
        return f"a {type(value).__name__} without a representation: {type(error).__name__}"


def _escape_collection(value: Any, clean: Callable[[str], str], depth: int) -> Any:
    if isinstance(value, Mapping):
        pairs = islice(value.items(), _MAX_ITEMS)
        return {str(escape_value(name, clean, depth)): escape_value(member, clean, depth) for name, member in pairs}
    items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
    more = [f"… {len(value)} in all"] if len(value) > _MAX_ITEMS else []
    return [*(escape_value(item, clean, depth) for item in items[:_MAX_ITEMS]), *more]


def format_exception(error: BaseException) -> str:
    """Returns the traceback of an exception and of those that caused it, with their messages escaped and bounded.

    Every line is indented, so that none looks like a separate log line.
    """
    return "\n".join(_INDENT + line for line in _traceback_lines(error))


def _traceback_lines(error: BaseException) -> Iterator[str]:
    waiting, seen = [(error, "")], {id(error)}
    for _ in range(_MAX_EXCEPTIONS):
        if not waiting:
            return
        current, relation = waiting.pop()
        if relation:
            yield relation
        yield from _lines_of(current)
        related = [each for each in _related(current) if id(each[0]) not in seen]
        seen |= {id(other) for other, _ in related}
        waiting += related
    if waiting:
        yield "… and further exceptions"


def _lines_of(error: BaseException) -> Iterator[str]:
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), limit=-_MAX_FRAMES)
    if frames:
        yield "Traceback (most recent call last):"
    for frame in frames:
        yield escape(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}')
        if frame.line:
            yield f"    {escape(frame.line)}"
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    yield escape(f"{name}: {_message(error)}")
    yield from (escape(str(note)) for note in getattr(error, "__notes__", ())[:_MAX_NOTES])


def _related(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    if isinstance(error, BaseExceptionGroup):
        yield from ((each, "which contains:") for each in reversed(error.exceptions))
    if error.__cause__ is not None:
        yield error.__cause__, "which was raised from:"
    elif error.__context__ is not None and not error.__suppress_context__:
        yield error.__context__, "which was raised while this was handled:"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - whatever a message raises, the exception is logged
        return f"no message: {type(broken).__name__}"
