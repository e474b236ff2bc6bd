"""Values as HCL, the language of Terraform's files: data, whatever is in it, and never an expression.

https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md, "Template Expressions": in a quoted string `${` starts an
interpolation and `%{` a directive; doubling the first character takes that meaning away.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Value = str | bool | int | None | list["Value"] | dict[str, "Value"]

_INDENT = "  "
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BEYOND_16_BITS = 0xFFFF


def text(value: str) -> str:
    """`value` as a quoted string that stands for exactly `value`."""
    escaped = "".join(_ESCAPES.get(c) or (c if c.isprintable() else _by_number(c)) for c in value)
    return '"' + re.sub(r"([$%])(?=\{)", r"\1\1", escaped) + '"'


def locals_block(values: Mapping[str, Value]) -> str:
    """A `locals` block; the names in `values` are ours and fit as they are."""
    lines = [f"{_INDENT}{name} = {_value(value, _INDENT)}" for name, value in values.items()]
    return "\n".join(["locals {", *lines, "}"]) + "\n"


def _value(value: Value, indent: str) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return "[" + ", ".join(_value(part, indent) for part in value) + "]"
    return "\n".join(["{", *_members(value, indent + _INDENT), indent + "}"]) if value else "{}"


def _members(value: Mapping[str, Value], indent: str) -> Iterator[str]:
    """The members of an object, one a line, the equals signs below each other as `terraform fmt` has them."""
    width = max(len(text(name)) for name in value)
    for name, member in value.items():
        # Only values of one line stand in one column.
        padded = text(name) if isinstance(member, dict) and member else text(name).ljust(width)
        yield f"{indent}{padded} = {_value(member, indent)}"


def _by_number(character: str) -> str:
    number = ord(character)
    return f"\\U{number:08x}" if number > _BEYOND_16_BITS else f"\\u{number:04x}"
