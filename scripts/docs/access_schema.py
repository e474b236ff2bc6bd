"""Writes idp-config/access.schema.json from the models of the access file: `python -m scripts.docs.access_schema`.

Editors use the schema to complete and check `access.yaml`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mcp_idp.access.policy import AccessPolicy

SCHEMA = Path(__file__).parents[2] / "idp-config" / "access.schema.json"
_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)


def render_schema() -> str:
    """Returns the JSON Schema (draft 2020-12) of the access file as text.

    The descriptions of the members come from the `Attributes` sections of the models' docstrings.
    """
    schema = AccessPolicy.model_json_schema()
    for model in (schema, *schema["$defs"].values()):
        _describe_members(model)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "access.yaml"}
    return json.dumps(head | {"$defs": schema.pop("$defs")} | schema | head, indent=2, ensure_ascii=False) + "\n"


def _describe_members(model: dict[str, Any]) -> None:
    """Moves the descriptions of a model's members from its own description to the members."""
    summary, _, attributes = model.get("description", "").partition("\n\nAttributes:\n")
    model["description"] = " ".join(summary.split())
    texts = {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(attributes)}
    for name, member in model["properties"].items():
        member.pop("title", None)
        member["description"] = texts[name][0].upper() + texts[name][1:]


if __name__ == "__main__":
    SCHEMA.write_text(render_schema(), encoding="utf-8")
