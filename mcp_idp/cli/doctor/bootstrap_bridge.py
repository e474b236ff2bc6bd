"""What an administrator sees of the provider: the one place where the doctor calls `scripts/bootstrap_idp.py`.

The bootstrap knows how the realm must be and which ways in there are; nothing of that is repeated here. It runs as a
process of its own, and what it says is read from its `--json`.

`--fix`: what the bootstrap can mend, shown first, asked for, then written with the operator's own credentials.
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
    """What came of the look.

    Attributes:
        drift: what of the provider is not as the access file says, each as "object.member".
        weaknesses: the ways in, each as (id, what somebody can do, what closes it).
        fault: why nothing can be said, or "".
    """

    drift: tuple[str, ...] = ()
    weaknesses: tuple[tuple[str, str, str], ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What came of trying the nine holes.

    Attributes:
        open: those that let the doctor in, each as (id, what it got).
        fault: why nothing can be said, or "".
    """

    open: tuple[tuple[str, str], ...] = ()
    fault: str = ""


async def run_admin_check(variables: Mapping[str, str], *, program: Path = _BOOTSTRAP) -> AdminCheckResult:
    """Let the bootstrap check the provider.

    Args:
        variables: its environment: KEYCLOAK_ADMIN_CLIENT_…, OAUTH_SERVER_URL, MCP_PUBLIC_URL.
        program: the bootstrap.
    """
    output, complaint = await _bootstrap("check", variables, program)
    try:
        return _read(strict_json.loads(output))
    except (strict_json.StrictJsonError, KeyError, TypeError):
        return AdminCheckResult(fault=complaint)


async def run_probe(variables: Mapping[str, str], issuer: str, *, program: Path = _BOOTSTRAP) -> ProbeResult:
    """Let the bootstrap try the nine holes, at the provider that the admin client is for and nowhere else.

    Args:
        variables: as for `run_admin_check`.
        issuer: the provider of the server under examination; nothing is tried if it is another one.
        program: the bootstrap.
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
    """What a verb prints with --json, and the end of its complaint.

    With None for `seconds` it takes what it takes: one that has to clean up is not killed.
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
    """The bootstrap's `--json`: `drift` of objects and fields, `weaknesses` of id, what and mend."""
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
    """Show what an apply would change and, if that is `confirm`, apply it. All of it is told on standard error.

    Args:
        variables: the bootstrap's environment: KEYCLOAK_ADMIN_CLIENT_…, OAUTH_SERVER_URL, MCP_PUBLIC_URL.
        url: the server under examination, which has to be the one of those variables.
        confirm: asks the operator.
        program: the bootstrap.

    Returns:
        Why nothing was mended, or "" where it was or there was nothing to mend.
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
    """Ask on the terminal; without one, nobody agrees."""
    if not sys.stdin.isatty():
        sys.stderr.write("write these changes? There is no terminal to ask on: add --yes\n")
        return False
    sys.stderr.write("write these changes? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _run(command: str, variables: Mapping[str, str], program: Path) -> subprocess.CompletedProcess[str]:
    """Its complaints go to standard error as they come."""
    return subprocess.run(  # noqa: S603 - this interpreter and our own program
        [sys.executable, program, command],
        env=dict(variables),
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
