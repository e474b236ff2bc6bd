"""What an administrator sees of the provider: the one place where the doctor calls `scripts/bootstrap_idp.py`.

The bootstrap knows how the realm must be and which ways in there are; nothing of that is repeated here. It runs as a
process of its own, and what it says is read from its `--json`.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_server import strict_json
from scripts.client.issuer import own_issuer

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT = Path(__file__).parents[2]
_BOOTSTRAP = _ROOT / "scripts" / "bootstrap_idp.py"
_SECONDS = 120
_MOST_WORDS = 300


@dataclass(frozen=True, slots=True)
class Inside:
    """What came of the look.

    Attributes:
        drift: what of the provider is not as the access file says, each as "object.member".
        holes: the ways in, each as (id, what somebody can do, what closes it).
        fault: why nothing can be said, or "".
    """

    drift: tuple[str, ...] = ()
    holes: tuple[tuple[str, str, str], ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of trying the nine holes.

    Attributes:
        open: those that let the doctor in, each as (id, what it got).
        fault: why nothing can be said, or "".
    """

    open: tuple[tuple[str, str], ...] = ()
    fault: str = ""


async def look_inside(variables: Mapping[str, str], *, program: Path = _BOOTSTRAP) -> Inside:
    """Let the bootstrap check the provider.

    Args:
        variables: its environment: KEYCLOAK_ADMIN_CLIENT_…, OAUTH_SERVER_URL, MCP_PUBLIC_URL.
        program: the bootstrap.
    """
    said, complaint = await _bootstrap("check", variables, program)
    try:
        return _read(strict_json.loads(said))
    except (strict_json.NotStrictJson, KeyError, TypeError):
        return Inside(fault=complaint)


async def probe_holes(variables: Mapping[str, str], issuer: str, *, program: Path = _BOOTSTRAP) -> Probed:
    """Let the bootstrap try the nine holes, at the provider that the admin client is for and nowhere else.

    Args:
        variables: as for `look_inside`.
        issuer: the provider of the server under examination; nothing is tried if it is another one.
        program: the bootstrap.
    """
    try:
        own = own_issuer(None, variables)
    except ValueError as error:
        return Probed(fault=str(error))
    if own != issuer:
        return Probed(fault=f"the server's provider is {issuer}, and the admin client's is {own}: nothing was tried")
    said, complaint = await _bootstrap("probe", variables, program, seconds=None)
    try:
        trials = strict_json.loads(said)["trials"]
        return Probed(tuple((str(trial["id"]), str(trial["seen"])) for trial in trials if trial["open"]))
    except (strict_json.NotStrictJson, KeyError, TypeError):
        return Probed(fault=complaint)


async def _bootstrap(
    verb: str, variables: Mapping[str, str], program: Path, *, seconds: float | None = _SECONDS
) -> tuple[bytes, str]:
    """What a verb prints with --json, and the end of its complaint.

    With None for `seconds` it takes what it takes: one that has to clean up is not killed.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        program,
        verb,
        "--json",
        env=dict(variables),
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            said, complaint = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return b"", f"no answer within {seconds:g} s"
    return said, complaint.decode(errors="replace").strip()[-_MOST_WORDS:] or "it said nothing"


def _read(document: Any) -> Inside:
    """The bootstrap's `--json`: `drift` of objects and fields, `holes` of id, what and mend."""
    drift: dict[str, None] = {}
    for change in document["drift"]:
        names = [f"{change['object']}.{field['name']}" for field in change["fields"]]
        drift.update(dict.fromkeys(names or [str(change["object"])]))
    holes = tuple((str(hole["id"]), str(hole["what"]), str(hole["mend"])) for hole in document["holes"])
    return Inside(tuple(drift), holes)
