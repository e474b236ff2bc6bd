"""The name under which users start a subcommand.

It is `mcp-idp login`, in a checkout of the stack `./scripts/login`, and for the bootstrap of a compose stack, whose
admin secret never leaves its volume, `docker compose run --rm bootstrap`.
"""

from __future__ import annotations

import os
import re

_VARIABLE = "MCP_IDP_LAUNCHER"  # the stack's scripts/* set it to "scripts", its image to "compose"
_NAMES = re.compile(r"\bmcp-idp (login|token|inspect|doctor|demo|bootstrap)\b")


_BOOTSTRAP = re.compile(r"\bmcp-idp bootstrap\b|\./scripts/bootstrap_idp\.py\b")
_IN_STACK = "docker compose run --rm bootstrap"
# For texts whose reader may or may not have the compose stack: only there is the stack's admin secret.
BOOTSTRAP_CHECK = f"mcp-idp bootstrap check (in the compose stack: {_IN_STACK} check)"


def as_launched(text: str) -> str:
    """Replaces each `mcp-idp NAME` with what starts it in the stack, if a script or the stack started this command."""
    launcher = os.environ.get(_VARIABLE)
    if launcher == "compose":
        text = for_stack(text)
    return _NAMES.sub(lambda found: _script(found[1]), text) if launcher in {"scripts", "compose"} else text


def for_stack(text: str) -> str:
    """Replaces the names of the bootstrap with the command that runs it in the compose stack."""
    return _BOOTSTRAP.sub(_IN_STACK, text)


def _script(name: str) -> str:
    return "./scripts/bootstrap_idp.py" if name == "bootstrap" else f"./scripts/{name}"
