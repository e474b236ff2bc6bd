"""A strict YAML parser: safe types only, and no duplicate keys, of which PyYAML would silently use the last."""

from __future__ import annotations

from collections.abc import Hashable

import yaml


class StrictYamlError(ValueError):
    """The text is not YAML, or is ambiguous; the message says where."""


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:  # noqa: FBT001, FBT002 - PyYAML's own signature
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise StrictYamlError(f"line {key_node.start_mark.line + 1}: a name is a mapping or a list")
            if key in seen:
                raise StrictYamlError(f"line {key_node.start_mark.line + 1}: '{key}' is there twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def loads(text: str) -> object:
    """Parses a YAML document.

    Raises:
        StrictYamlError: the text is not YAML, has a duplicate key, or has a mapping or list as a key.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.YAMLError as error:
        raise StrictYamlError(" ".join(str(error).replace('in "<unicode string>", ', "at ").split())) from error
