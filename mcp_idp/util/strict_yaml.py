"""A strict YAML parser: safe types only, and no duplicate keys, of which PyYAML would silently use the last."""

from __future__ import annotations

from collections.abc import Hashable

import yaml


class StrictYamlError(ValueError):
    """The text is not YAML, or is ambiguous; the message says where."""


class _Loader(yaml.SafeLoader):
    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.duplicates: list[tuple[int, str]] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:  # noqa: FBT001, FBT002 - PyYAML's own signature
        seen: set[object] = set()
        for pair in list(node.value):
            key_node = pair[0]
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                raise StrictYamlError(f"line {line}: a name is a mapping or a list")
            if key in seen:
                self.duplicates.append((line, f"'{key}' occurs twice"))
                node.value.remove(pair)
            seen.add(key)
        return super().construct_mapping(node, deep)


def loads(text: str) -> object:
    """Parses a YAML document.

    Raises:
        StrictYamlError: the text is not YAML, has a duplicate key, or has a mapping or list as a key.
    """
    document, duplicates = loads_with_duplicates(text)
    for line, message in duplicates:
        raise StrictYamlError(f"line {line}: {message}")
    return document


def loads_with_duplicates(text: str) -> tuple[object, list[tuple[int, str]]]:
    """Parses a YAML document and lists its duplicate keys.

    Returns:
        The document, with the first value of each duplicate key, and for each duplicate its line, counted from 1, and a
        message.

    Raises:
        StrictYamlError: the text is not YAML, or has a mapping or list as a key.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data(), loader.duplicates
    except yaml.YAMLError as error:
        raise StrictYamlError(" ".join(str(error).replace('in "<unicode string>", ', "at ").split())) from error
    finally:
        loader.dispose()
