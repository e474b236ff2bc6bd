"""Runs `scripts/bootstrap_idp.py` to check, probe and fix the provider through its admin API.

The bootstrap knows the desired state of the realm and its known weaknesses. It runs as a separate process; the results
are read from its `--json` output. `--fix` shows the plan, asks for confirmation, and applies it with the operator's own
credentials.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_idp.cli.common.trusted_issuer import own_issuer
from mcp_idp.config.settings import Settings
from mcp_idp.util import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ROOT = Path(__file__).parents[3]
_BOOTSTRAP = _ROOT / "scripts" / "bootstrap_idp.py"
_SECONDS = 120
_MAX_MESSAGE_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class AdminCheckResult:
    """The result of a check through the admin API.

    Attributes:
        drift: What differs from the access file, each as "object.member".
        weaknesses: Known weaknesses, each as (id, what an attacker can do, the fix).
        fault: Why the check failed, or "".
    """

    drift: tuple[str, ...] = ()
    weaknesses: tuple[tuple[str, str, str], ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of probing Keycloak's nine known weaknesses.

    Attributes:
        open: The exploitable weaknesses, each as (id, what was obtained).
        fault: Why the probe failed, or "".
    """

    open: tuple[tuple[str, str], ...] = ()
    fault: str = ""


async def run_admin_check(variables: Mapping[str, str], *, program: Path = _BOOTSTRAP) -> AdminCheckResult:
    """Runs `check` of the bootstrap.

    Args:
        variables: Its environment: KEYCLOAK_ADMIN_CLIENT_…, OAUTH_SERVER_URL, MCP_PUBLIC_URL.
        program: The bootstrap.
    """
    output, complaint = await _bootstrap("check", variables, program)
    try:
        return _read(strict_json.loads(output))
    except (strict_json.StrictJsonError, KeyError, TypeError):
        return AdminCheckResult(fault=complaint)


async def run_probe(variables: Mapping[str, str], issuer: str, *, program: Path = _BOOTSTRAP) -> ProbeResult:
    """Runs `probe` of the bootstrap, but only at the provider that the admin client belongs to.

    Args:
        variables: As for `run_admin_check`.
        issuer: The provider of the server under test. If it is another one, nothing is probed.
        program: The bootstrap.
    """
    try:
        own = own_issuer(None, variables)
    except ValueError as error:
        return ProbeResult(fault=str(error))
    if own != issuer:
        return ProbeResult(
            fault=f"the server's provider is {issuer}, but the admin client's is {own}: nothing was probed"
        )
    output, complaint = await _bootstrap("probe", variables, program, seconds=None)
    try:
        outcomes = strict_json.loads(output)["cases"]
        return ProbeResult(
            tuple((str(outcome["id"]), str(outcome["observed"])) for outcome in outcomes if outcome["open"])
        )
    except (strict_json.StrictJsonError, KeyError, TypeError):
        return ProbeResult(fault=complaint)


async def _bootstrap(
    command: str, variables: Mapping[str, str], program: Path, *, seconds: float | None = _SECONDS
) -> tuple[bytes, str]:
    """Runs a command with `--json`; returns its output, and the end of its standard error.

    With `seconds=None` there is no timeout: a command that has to clean up must not be killed.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        program,
        command,
        "--json",
        env=dict(variables),
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            output, complaint = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return b"", f"no answer within {seconds:g} s"
    return output, complaint.decode(errors="replace").strip()[-_MAX_MESSAGE_CHARACTERS:] or "it printed nothing"


def _read(document: Any) -> AdminCheckResult:
    """Parses the output of `check --json`: `drift` (objects and fields) and `weaknesses` (id, what, fix)."""
    drift: dict[str, None] = {}
    for change in document["drift"]:
        names = [f"{change['object']}.{field['name']}" for field in change["fields"]]
        drift.update(dict.fromkeys(names or [str(change["object"])]))
    weaknesses = tuple(
        (str(weakness["id"]), str(weakness["what"]), str(weakness["fix"])) for weakness in document["weaknesses"]
    )
    return AdminCheckResult(tuple(drift), weaknesses)


_NOTHING_TO_DO = "no changes"


def fix(variables: Mapping[str, str], url: str, confirm: Callable[[], bool], *, program: Path = _BOOTSTRAP) -> str:
    """Shows the plan of the bootstrap and, if it is confirmed, applies it. All output goes to standard error.

    Args:
        variables: The bootstrap's environment: KEYCLOAK_ADMIN_CLIENT_…, OAUTH_SERVER_URL, MCP_PUBLIC_URL.
        url: The server under test, which must be the one of these variables.
        confirm: Asks the operator.
        program: The bootstrap.

    Returns:
        Why nothing was fixed; "" if it was fixed or there was nothing to fix.
    """
    own = variables.get("MCP_PUBLIC_URL") or Settings().public_url
    if own != url:
        return f"the credentials here are for the server {own}, but {url} is a different one: nothing was written"
    planned = _run("plan", variables, program)
    sys.stderr.write(planned.stdout)
    if planned.returncode != 0:
        return "the bootstrap could not determine what to change: nothing was written"
    if planned.stdout.strip().endswith(_NOTHING_TO_DO):
        return ""
    if not confirm():
        return "not confirmed: nothing was written"
    applied = _run("apply", variables, program)
    sys.stderr.write(applied.stdout)
    return "" if applied.returncode == 0 else "the bootstrap did not finish; run it again"


def confirm_on_terminal() -> bool:
    """Asks for confirmation on the terminal; returns False without a terminal."""
    if not sys.stdin.isatty():
        sys.stderr.write("write these changes? There is no terminal to ask on: add --yes\n")
        return False
    sys.stderr.write("write these changes? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _run(command: str, variables: Mapping[str, str], program: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command and captures its standard output; standard error is passed through."""
    return subprocess.run(  # noqa: S603 - this interpreter and our own program
        [sys.executable, program, command],
        env=dict(variables),
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
