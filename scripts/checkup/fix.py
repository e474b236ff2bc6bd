"""`--fix`: what the bootstrap can mend, shown first, asked for, then written with the operator's own credentials."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ROOT = Path(__file__).parents[2]
_BOOTSTRAP = _ROOT / "scripts" / "bootstrap_idp.py"
_NOTHING_TO_DO = "no changes"


def fix(variables: Mapping[str, str], url: str, agreed: Callable[[], bool], *, program: Path = _BOOTSTRAP) -> str:
    """Show what an apply would change and, if that is `agreed`, apply it. All of it is told on standard error.

    Args:
        variables: the bootstrap's environment: KEYCLOAK_ADMIN_CLIENT_…, OAUTH_SERVER_URL, MCP_PUBLIC_URL.
        url: the server under examination, which has to be the one of those variables.
        agreed: asks the operator.
        program: the bootstrap.

    Returns:
        Why nothing was mended, or "" where it was or there was nothing to mend.
    """
    own = variables.get("MCP_PUBLIC_URL") or Settings().public_url
    if own != url:
        return f"the credentials here are for the server {own}, and {url} is another: nothing was written"
    planned = _run("plan", variables, program)
    sys.stderr.write(planned.stdout)
    if planned.returncode != 0:
        return "the bootstrap could not say what to change: nothing was written"
    if planned.stdout.strip().endswith(_NOTHING_TO_DO):
        return ""
    if not agreed():
        return "not agreed: nothing was written"
    applied = _run("apply", variables, program)
    sys.stderr.write(applied.stdout)
    return "" if applied.returncode == 0 else "the bootstrap did not come to its end; run it again"


def ask() -> bool:
    """Ask on the terminal; without one, nobody agrees."""
    if not sys.stdin.isatty():
        sys.stderr.write("write this? There is no terminal to ask on: add --yes\n")
        return False
    sys.stderr.write("write this? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _run(verb: str, variables: Mapping[str, str], program: Path) -> subprocess.CompletedProcess[str]:
    """Its complaints go to standard error as they come."""
    return subprocess.run(  # noqa: S603 - this interpreter and our own program
        [sys.executable, program, verb], env=dict(variables), cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
