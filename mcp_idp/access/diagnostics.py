"""Error messages for `access.yaml`: each names the line and the member, and says what to write instead."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

import yaml
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_MISSPELT = "extra_forbidden"
_MESSAGES = {
    "string_type": "must be a string: put it in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list, such as [one, other]",
    "dict_type": "must be a mapping: names with values",
    "model_type": "must be a mapping: names with values",
    "model_attributes_type": "must be a mapping: names with values",
    "missing": "is missing",
}


def suggest(name: str, known: Iterable[str]) -> str:
    """Returns a suffix for an error message about an unknown `name`.

    Args:
        name: the unknown name.
        known: the names that are allowed.

    Returns:
        The closest known name (": did you mean 'x'?"), or all known names (": x, y") if none is close.
    """
    names = list(known)
    close = get_close_matches(name, names, 1)
    return f": did you mean '{close[0]}'?" if close else f": {', '.join(names)}"


def format_validation_error(found: ValidationError, model: type[BaseModel], text: str) -> str:
    """Formats the most useful error of a pydantic validation as one line.

    An unknown member is reported before all other errors: a misspelled name also causes the error that the right one is
    missing.

    Args:
        found: the validation errors.
        model: the model that the file was validated against.
        text: the YAML text of the file, for the line number.

    Returns:
        The message, such as "line 3: resource.name: must not be empty".
    """
    errors = found.errors()
    error = next((error for error in errors if error["type"] == _MISSPELT), errors[0])
    path = error["loc"]
    place = ".".join(str(part) for part in path)
    line = _line_of(text, path)
    where = f"line {line}: " if line else ""
    return f"{where}{place + ': ' if place else ''}{_describe_error(error, model)}"


def _describe_error(error: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context, path = error["type"], error.get("ctx", {}), error["loc"]
    if kind == _MISSPELT:
        return "is not a known key" + suggest(str(path[-1]), _allowed_fields(model, path[:-1]))
    if kind == "literal_error":
        return f"write {context['expected']}"
    if kind == "string_pattern_mismatch":
        # The value is not repeated: it may be a secret that was written in place of the name of its variable.
        return f"must match {context['pattern']}"
    if kind in {"string_too_short", "too_short"}:
        return "must not be empty"
    if kind in {"string_too_long", "too_long"}:
        return f"must not be longer than {context['max_length']}"
    return _MESSAGES.get(kind, error["msg"].removeprefix("Value error, "))


def _allowed_fields(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """Returns the names of the members allowed at `path` below `model`."""
    kind: Any = model
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        else:  # a mapping or a list: continue with the type of its entries
            kind = next((inner for inner in reversed(get_args(kind)) if inner is not Ellipsis), None)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _line_of(text: str, path: Sequence[int | str]) -> int | None:
    """Returns the line, counted from 1, of the innermost member of `path` that exists; None if none exists."""
    node, found = yaml.compose(text, yaml.SafeLoader), None
    for part in path:
        step = _child_node(node, part)
        if step is None:
            break
        found, node = step
    return found


def _child_node(node: yaml.Node | None, part: int | str) -> tuple[int, yaml.Node] | None:
    """Returns the line, counted from 1, and the value of the member `part` of `node`; None if it does not exist."""
    if isinstance(node, yaml.MappingNode):
        return next(((k.start_mark.line + 1, v) for k, v in node.value if k.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None
