"""Checks, probes and fixes the provider through its admin API, with the bootstrap as a library.

The bootstrap knows the desired state of the realm and its known weaknesses. Its functions block, so they run in threads
beside the doctor's event loop. `--fix` shows the plan, asks for confirmation, and applies it with the operator's own
credentials.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mcp_idp.cli.bootstrap.bounded_http import usable_responses
from mcp_idp.cli.bootstrap.dex.commands import DexRun
from mcp_idp.cli.bootstrap.errors import BootstrapError, ConfigError
from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
from mcp_idp.cli.bootstrap.keycloak.compliance.realm_check import audit
from mcp_idp.cli.bootstrap.keycloak.probe.runner import PATIENCE, probe
from mcp_idp.cli.bootstrap.keycloak.runner import compute_plan, plan_lines, run_apply
from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings
from mcp_idp.cli.bootstrap.known_variables import find_typos
from mcp_idp.cli.bootstrap.output import line_printer
from mcp_idp.cli.bootstrap.verification import create_client
from mcp_idp.cli.common.trusted_issuer import configured_issuer
from mcp_idp.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcp_idp.cli.bootstrap.keycloak.compliance.realm_check import AuditReport
    from mcp_idp.cli.bootstrap.keycloak.probe.runner import ProbeOutcome

    Log = Callable[[str], None]

_T = TypeVar("_T")
_CHECK_SECONDS = 120
_START_SECONDS = 30  # for a provider that responded a moment ago
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


@usable_responses()
def _audit(variables: Mapping[str, str]) -> AuditReport:
    return audit(_keycloak_settings(variables, "check"), wait=_START_SECONDS, log=_ignore)


@usable_responses()
def _probe(variables: Mapping[str, str], stop: threading.Event) -> list[ProbeOutcome]:
    settings = _keycloak_settings(variables, "apply")
    session = AdminClient(settings, _ignore)
    session.log_in(_START_SECONDS)
    with create_client(PATIENCE) as http:
        return probe(session, settings, http, is_stopped=stop.is_set)


async def run_admin_check(
    variables: Mapping[str, str], *, check: Callable[[Mapping[str, str]], AuditReport] = _audit
) -> AdminCheckResult:
    """Runs the bootstrap's audit, which only reads; gives up after 120 s.

    Args:
        variables: The bootstrap's environment: KEYCLOAK_ADMIN_CLIENT_…, OAUTH_SERVER_URL, MCP_PUBLIC_URL.
        check: Audits the provider; it blocks.
    """
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            report = await _in_daemon_thread(partial(check, variables))
    except TimeoutError:
        return AdminCheckResult(fault=f"no response within {_CHECK_SECONDS} s")
    except BootstrapError as error:
        return AdminCheckResult(fault=_fault(error))
    weaknesses = tuple((weakness.id, weakness.what, weakness.fix) for weakness in report.weaknesses)
    return AdminCheckResult(tuple(report.names), weaknesses)


async def run_probe(
    variables: Mapping[str, str],
    issuer: str,
    *,
    probe_provider: Callable[[Mapping[str, str], threading.Event], list[ProbeOutcome]] = _probe,
) -> ProbeResult:
    """Runs the bootstrap's probe, but only at the provider that the admin client belongs to.

    There is no timeout, because the probe has to remove what it registered. If the doctor is interrupted, no further
    case is begun, and the interruption waits until the probe has cleaned up.

    Args:
        variables: As for `run_admin_check`.
        issuer: The provider of the server under test. If it is another one, nothing is probed.
        probe_provider: Probes the provider; it blocks, and ends early once the event is set.
    """
    try:
        own = configured_issuer(None, variables)
    except ValueError as error:
        return ProbeResult(fault=str(error))
    if own != issuer:
        return ProbeResult(
            fault=f"the server's provider is {issuer}, but the admin client's is {own}: nothing was probed"
        )
    stop = threading.Event()
    probing = asyncio.ensure_future(asyncio.to_thread(probe_provider, variables, stop))
    try:
        outcomes = await asyncio.shield(probing)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([probing])
        raise
    except BootstrapError as error:
        return ProbeResult(fault=_fault(error))
    return ProbeResult(tuple((outcome.id, outcome.observed) for outcome in outcomes if outcome.open))


@dataclass(frozen=True, slots=True)
class Fixer:
    """What the bootstrap does for one provider.

    Attributes:
        plan: Logs what `apply` would change, and returns whether that is anything.
        apply: Writes the changes, and verifies them.
    """

    plan: Callable[[Mapping[str, str], Log], bool]
    apply: Callable[[Mapping[str, str], Log], None]


def fix(variables: Mapping[str, str], url: str, confirm: Callable[[], bool], *, fixer: Fixer | None = None) -> str:
    """Shows the plan of the bootstrap and, if it is confirmed, applies it. All output goes to standard error.

    Args:
        variables: The bootstrap's environment: KEYCLOAK_ADMIN_CLIENT_…, OAUTH_SERVER_URL, MCP_PUBLIC_URL.
        url: The server under test, which must be the one of these variables.
        confirm: Asks the operator.
        fixer: The provider's; by default that of OAUTH_PROVIDER.

    Returns:
        Why nothing was fixed; "" if it was fixed or there was nothing to fix.
    """
    own = variables.get("MCP_PUBLIC_URL") or Settings().public_url
    if own != url:
        return f"the credentials here are for the server {own}, but {url} is a different one: nothing was written"
    log = line_printer(sys.stderr)
    for line in find_typos(variables):
        log(f"warning: {line}")
    fixer = fixer or (_DEX if variables.get("OAUTH_PROVIDER") == "dex" else _KEYCLOAK)
    try:
        has_changes = fixer.plan(variables, log)
    except BootstrapError as error:
        return f"the bootstrap could not determine what to change: nothing was written: {_fault(error)}"
    if not has_changes:
        return ""
    if not confirm():
        return "not confirmed: nothing was written"
    try:
        fixer.apply(variables, log)
    except BootstrapError as error:
        return f"the bootstrap did not finish; run it again: {_fault(error)}"
    return ""


def confirm_on_terminal() -> bool:
    """Asks for confirmation on the terminal; returns False without a terminal."""
    if not sys.stdin.isatty():
        sys.stderr.write("write these changes? There is no terminal to ask on: add --yes\n")
        return False
    sys.stderr.write("write these changes? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


@usable_responses()
def _plan(variables: Mapping[str, str], log: Log) -> bool:
    """Logs what `apply` would change at Keycloak, and returns whether that is anything."""
    settings = _keycloak_settings(variables, "check")
    changes = compute_plan(settings, wait=_START_SECONDS, log=log)
    for line in plan_lines(settings, changes):
        log(line)
    return any(change.action != "step" for change in changes)


@usable_responses()
def _apply(variables: Mapping[str, str], log: Log) -> None:
    run_apply(_keycloak_settings(variables, "apply"), wait=_START_SECONDS, log=log)


def _plan_dex(variables: Mapping[str, str], log: Log) -> bool:
    """Logs what `apply` would change in Dex's files, and returns whether that is anything."""
    run = DexRun(variables, log)
    run.print_changes()
    return bool(run.changes)


def _apply_dex(variables: Mapping[str, str], log: Log) -> None:
    DexRun(variables, log).apply(_START_SECONDS)


_KEYCLOAK = Fixer(_plan, _apply)
_DEX = Fixer(_plan_dex, _apply_dex)


def _keycloak_settings(variables: Mapping[str, str], account: str) -> KeycloakSettings:
    """Loads the settings of a run as `account`.

    Raises:
        ConfigError: A setting cannot work, or the stack's provider has no admin API that the bootstrap uses.
    """
    provider = variables.get("OAUTH_PROVIDER")
    if provider in {"dex", "auth0", "entra"}:
        raise ConfigError(f"this needs Keycloak's admin API, and OAUTH_PROVIDER is {provider}")
    return KeycloakSettings.load(variables, account)


def _fault(error: BootstrapError) -> str:
    return str(error)[:_MAX_MESSAGE_CHARACTERS]


def _ignore(_: str) -> None:
    """Drops a progress line: the report shows the result only."""


async def _in_daemon_thread(work: Callable[[], _T]) -> _T:
    """Runs `work` in a thread that does not keep the process alive once the caller has given up on it."""
    outcome: Future[_T] = Future()
    outcome.set_running_or_notify_cancel()  # from now on a cancelled caller does not cancel it

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(outcome)
