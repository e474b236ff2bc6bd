"""The name under which users start a subcommand: `mcp-idp login`, or in a checkout of the stack `./scripts/login`."""

from __future__ import annotations

import os
import re

_VARIABLE = "MCP_IDP_LAUNCHER"  # the stack's scripts/* and images set it to "scripts"
_NAMES = re.compile(r"\bmcp-idp (login|token|inspect|doctor|demo|bootstrap)\b")


def as_launched(text: str) -> str:
    """Replaces each `mcp-idp NAME` with the name of the stack's script, if a script started the command."""
    return _NAMES.sub(lambda found: _script(found[1]), text) if os.environ.get(_VARIABLE) == "scripts" else text


def _script(name: str) -> str:
    return "./scripts/bootstrap_idp.py" if name == "bootstrap" else f"./scripts/{name}"
