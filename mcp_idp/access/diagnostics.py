"""Error messages for `access.yaml`: each names the line and the member, and says what to write instead."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from operator import itemgetter
from typing import TYPE_CHECKING, Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic_core import ErrorDetails

CONTRADICTION = "contradiction"
"""The type of the errors that a model finds between its blocks; `find_schema_problems` leaves them out."""
_MISSPELLED = "extra_forbidden"
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


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a file.

    Attributes:
        path: the keys and list indexes that lead to the problem.
        message: what is wrong and what to write instead.
        line: the line, counted from 1, if `path` does not lead there.
    """

    path: tuple[int | str, ...]
    message: str
    line: int | None = None


def find_schema_problems(data: object, model: type[BaseModel]) -> tuple[list[Problem], object]:
    """Validates `data` against `model` and returns all problems.

    A misspelled name also causes the error that the right one is missing, and hides errors below it. It is therefore
    reported, corrected, and the data validated again.

    Args:
        data: the parsed document.
        model: the model that describes it.

    Returns:
        The problems, each place once, and the data with the misspelled names corrected.
    """
    problems: dict[tuple[int | str, ...], Problem] = {}
    data = deepcopy(data)
    while errors := _validation_errors(data, model):
        corrected = [error for error in errors if error["type"] == _MISSPELLED and _correct_name(data, error, model)]
        for error in corrected or errors:
            path = error["loc"] if error["type"] in {_MISSPELLED, "missing"} else _existing_path(data, error["loc"])
            problems.setdefault(path, Problem(path, _describe_error(error, model)))
        if not corrected:
            break
    return list(problems.values()), data


def _validation_errors(data: object, model: type[BaseModel]) -> list[ErrorDetails]:
    try:
        model.model_validate(data)
    except ValidationError as error:
        return [found for found in error.errors() if found["type"] != CONTRADICTION]
    return []


def _correct_name(data: object, error: ErrorDetails, model: type[BaseModel]) -> bool:
    """Renames a misspelled member in `data`. Returns False if no known name is close or the right one exists too."""
    *path, name = error["loc"]
    parent: Any = data
    for part in path:
        parent = parent[part]
    close = get_close_matches(str(name), _allowed_fields(model, path), 1)
    if not close or close[0] in parent:
        return False
    parent[close[0]] = parent.pop(name)
    return True


def _existing_path(value: Any, path: Sequence[int | str]) -> tuple[int | str, ...]:
    """Returns the part of `path` that exists in `data`: pydantic appends the alternatives of a union."""
    for depth, part in enumerate(path):
        is_index = isinstance(value, list) and isinstance(part, int)
        if not is_index and not (isinstance(value, dict) and part in value):
            return tuple(path[:depth])
        value = value[part]
    return tuple(path)


def format_problems(problems: Iterable[Problem], text: str) -> list[str]:
    """Returns a line of text for each problem, in the order of the file.

    Args:
        problems: the problems.
        text: the YAML text of the file, for the line numbers.

    Returns:
        Messages such as "line 3: resource.name: must not be empty", each once.
    """
    root = yaml.compose(text, yaml.SafeLoader)
    numbered = sorted(((each.line or _line_of(root, each.path) or 0, each) for each in problems), key=itemgetter(0))
    lines = (
        f"{f'line {line}: ' if line else ''}{'.'.join(map(str, each.path))}{': ' if each.path else ''}{each.message}"
        for line, each in numbered
    )
    return list(dict.fromkeys(lines))


def format_validation_error(data: object, model: type[BaseModel], text: str) -> str:
    """Returns all problems of `data` in one line."""
    return "; ".join(format_problems(find_schema_problems(data, model)[0], text))


def _describe_error(error: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context, path = error["type"], error.get("ctx", {}), error["loc"]
    if kind == _MISSPELLED:
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


def _line_of(node: yaml.Node | None, path: Sequence[int | str]) -> int | None:
    """Returns the line, counted from 1, of the innermost member of `path` that exists; None if none exists."""
    found = None
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
