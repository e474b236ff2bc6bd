"""Gives the identity provider the realm, scopes, roles, clients and registration policy that MCP clients need.

What it shall be stands in idp-config/access.yaml (and, for what only Keycloak knows, in idp-config/keycloak).
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

_NOT_INSTALLED = (
    "bootstrap: {} is not installed: run `scripts/venv requirements-tools.lock` and use .venv/bin/python, or Docker"
)

try:
    from mcp_idp.cli.bootstrap.cli import parse
    from mcp_idp.cli.bootstrap.errors import Failure, SettingsFailure
    from mcp_idp.cli.bootstrap.known_variables import misspelt
except ModuleNotFoundError as missing:
    sys.exit(_NOT_INSTALLED.format(missing.name))

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping

    Verb = Callable[[Namespace, Mapping[str, str]], int]


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; the exit code."""
    options = parse(__doc__ or "", arguments, os.environ.get("OAUTH_PROVIDER"))
    for line in misspelt(os.environ):
        print(f"bootstrap: warning: {line}", file=sys.stderr, flush=True)
    try:
        return _verb(options.provider, options.verb)(options, os.environ)
    except Failure as failure:
        sys.stdout.flush()
        print(f"bootstrap: {failure}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        print("bootstrap: stopped; run it again to go on from here", file=sys.stderr)
        return 130


def _verb(provider: str, name: str) -> Verb:
    """What the provider's own package has for this verb.

    Raises:
        SettingsFailure: this provider has no such verb.
    """
    try:
        verbs: Mapping[str, Verb] = importlib.import_module(f"mcp_idp.cli.bootstrap.{provider}.commands").VERBS
    except ModuleNotFoundError as missing:
        sys.exit(_NOT_INSTALLED.format(missing.name))
    if name not in verbs:
        raise SettingsFailure(f"--provider {provider} has no verb {name}; it has {', '.join(verbs)}")
    return verbs[name]


if __name__ == "__main__":
    sys.exit(main())
