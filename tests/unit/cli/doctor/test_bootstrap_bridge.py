"""The doctor's checks, probes and fixes through the bootstrap, with and without the provider's admin API."""

from __future__ import annotations

import asyncio
import io
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import httpx2
import pytest

from mcp_idp.cli.bootstrap.changes import Change, FieldDiff
from mcp_idp.cli.bootstrap.errors import BootstrapError, ProviderUnreachable
from mcp_idp.cli.bootstrap.keycloak.compliance.realm_check import AuditReport
from mcp_idp.cli.bootstrap.keycloak.compliance.weaknesses import Weakness
from mcp_idp.cli.bootstrap.keycloak.probe.runner import ProbeOutcome
from mcp_idp.cli.common.safe_http import SafeHttpClient
from mcp_idp.cli.doctor.all_checks import CHECKS
from mcp_idp.cli.doctor.bootstrap_bridge import (
    AdminCheckResult,
    Fixer,
    ProbeResult,
    confirm_on_terminal,
    fix,
    run_admin_check,
    run_probe,
)
from mcp_idp.cli.doctor.context import CheckContext
from mcp_idp.cli.doctor.runner import all_findings, run_checks
from tests.support.desired_state import environment
from tests.support.fake_admin_api import TOKEN, keycloak

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

OWN = "https://login.example.com/realms/mcp"
URL = "http://localhost:3000/mcp"
DAY = 86_400  # seconds
CLEAN = AuditReport((), (), ())


class Leaping(asyncio.SelectorEventLoop):
    """A loop whose clock can be put ahead, in seconds."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


@pytest.mark.anyio
async def test_drift_and_weaknesses_of_an_audit_are_reported() -> None:
    change = Change("realm", "set sslRequired", "PUT", (), fields=(FieldDiff("sslRequired", "none", "external"),))
    report = AuditReport((change, change), (Weakness("S5", "w", "f"),), ("a warning",))
    assert await run_admin_check({}, check=lambda _: report) == AdminCheckResult(
        ("realm.sslRequired",), (("S5", "w", "f"),)
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("variables", "statuses", "fault"),
    [
        ({}, {TOKEN: 401}, "rejects the secret of its admin client 'bootstrap'"),
        ({}, {TOKEN: 200, "/admin": 403}, "the admin client 'bootstrap' may not "),
        ({"KEYCLOAK_ADMIN_CLIENT_SECRET": ""}, {}, "KEYCLOAK_ADMIN_CLIENT_SECRET_FILE: set it to the file"),
        ({"ACCESS_FILE": "nowhere.yaml"}, {}, "nowhere.yaml: cannot be read"),
        ({"OAUTH_PROVIDER": "dex"}, {}, "needs Keycloak's admin API, and OAUTH_PROVIDER is dex"),
        ({"OAUTH_PROVIDER": "entra"}, {}, "needs Keycloak's admin API, and OAUTH_PROVIDER is entra"),
    ],
)
async def test_the_bootstraps_error_is_why_nothing_was_checked_or_probed(
    variables: dict[str, str], statuses: dict[str, int], fault: str
) -> None:
    with keycloak(statuses) as running:
        issuer = f"{running}/realms/mcp"
        known = environment(OAUTH_SERVER_URL=issuer, **{"KEYCLOAK_ADMIN_CLIENT_SECRET": "k" * 43, **variables})
        results = (await run_admin_check(known), await run_probe(known, issuer))
    for result in results:
        assert fault in result.fault
        assert len(result.fault) <= 300
        assert "k" * 43 not in result.fault


def test_a_check_that_takes_a_day_times_out_and_does_not_keep_the_process_alive() -> None:
    """The loop's clock is put ahead while the check stands still, so nobody waits."""
    started, end = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def check(_: Mapping[str, str]) -> AuditReport:
        threads.append(threading.current_thread())
        started.set()
        end.wait()
        return CLEAN

    async def wait() -> AdminCheckResult:
        checking = asyncio.ensure_future(run_admin_check({}, check=check))
        await asyncio.to_thread(started.wait)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Leaping)
        loop.ahead = DAY
        return await checking

    with asyncio.Runner(loop_factory=Leaping) as runner:
        assert runner.run(wait()) == AdminCheckResult(fault="no response within 120 s")
    assert threads[0].daemon
    end.set()
    threads[0].join()


def test_a_probe_that_takes_a_day_is_waited_for() -> None:
    started, end = threading.Event(), threading.Event()

    def probe(_: Mapping[str, str], stop: threading.Event) -> list[ProbeOutcome]:
        started.set()
        end.wait()
        assert not stop.is_set()
        return []

    async def wait() -> ProbeResult:
        probing = asyncio.ensure_future(run_probe({"OAUTH_SERVER_URL": OWN}, OWN, probe_provider=probe))
        await asyncio.to_thread(started.wait)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Leaping)
        loop.ahead = DAY
        await asyncio.sleep(0)  # what is due now begins
        end.set()
        return await probing

    with asyncio.Runner(loop_factory=Leaping) as runner:
        assert runner.run(wait()) == ProbeResult()


@pytest.mark.anyio
async def test_an_interrupted_probe_begins_no_further_case_and_cleans_up_first() -> None:
    started = threading.Event()
    done: list[str] = []

    def probe(_: Mapping[str, str], stop: threading.Event) -> list[ProbeOutcome]:
        started.set()
        stop.wait()
        done.append("cleaned up")
        return []

    probing = asyncio.ensure_future(run_probe({"OAUTH_SERVER_URL": OWN}, OWN, probe_provider=probe))
    await asyncio.to_thread(started.wait)
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    assert done == ["cleaned up"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("outcome", "issuer", "kinds"),
    [
        ([ProbeOutcome("S1", True, "a token"), ProbeOutcome("S2", False, "404")], OWN, ["provider_exploitable"]),
        ([], OWN, []),
        (ProviderUnreachable("no response"), OWN, ["provider_not_probed"]),
        # Somebody else's provider: nothing is run, so nothing is tried.
        (AssertionError("it was probed"), "https://other.example.com/realms/mcp", ["provider_not_probed"]),
        (AssertionError("it was probed"), f"{OWN}/", ["provider_not_probed"]),
    ],
)
async def test_what_the_probe_obtained_is_reported(
    outcome: list[ProbeOutcome] | Exception, issuer: str, kinds: list[str]
) -> None:
    def probe_provider(*_: object) -> list[ProbeOutcome]:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def probe(named: str) -> ProbeResult:
        return await run_probe({"OAUTH_SERVER_URL": OWN}, named, probe_provider=probe_provider)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(500))) as http:
        case = CheckContext(URL, SafeHttpClient(http, URL), probe=probe, issuer=issuer)
        (check,) = (check for check in CHECKS if check.name == "probe")
        found = all_findings(await run_checks(case, [replace(check, depends_on=())]))
    assert [finding.kind.name for finding in found] == kinds
    if kinds == ["provider_exploitable"]:
        assert found[0].observed == "S1: a token"


@dataclass(frozen=True)
class FixRun:
    """One run: what it meets, which steps ran in the end, and what it returns."""

    ran: str
    message: str = ""
    url: str = URL
    agreed: bool = True
    changes: bool = True
    fails: str = ""


@pytest.mark.parametrize(
    "run",
    [
        FixRun("plan apply "),
        FixRun("plan ", changes=False),
        FixRun("plan ", "not confirmed", agreed=False),
        FixRun("plan ", "could not determine what to change: nothing was written: rejected", fails="plan"),
        FixRun("plan apply ", "did not finish; run it again: rejected", fails="apply"),
        FixRun("", "a different one", url="https://other.example.com/mcp"),
    ],
)
def test_a_fix_is_written_only_after_it_was_shown_and_confirmed(
    run: FixRun, capsys: pytest.CaptureFixture[str]
) -> None:
    steps: list[str] = []
    outputs: list[str] = []

    def step(name: str) -> None:
        steps.append(name)
        if name == run.fails:
            raise BootstrapError("rejected")

    def plan(_: Mapping[str, str], log: Callable[[str], None]) -> bool:
        step("plan")
        log("~ realm: set x")
        return run.changes

    def apply(*_: object) -> None:
        step("apply")

    def confirm() -> bool:
        outputs.append(capsys.readouterr().err)
        assert steps == ["plan"]
        return run.agreed

    reason = fix({}, run.url, confirm, fixer=Fixer(plan, apply))
    assert "".join(f"{name} " for name in steps) == run.ran
    assert bool(reason) == bool(run.message)
    assert run.message in reason
    assert outputs in ([], ["~ realm: set x\n"])


def test_a_misspelled_setting_is_named_before_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    fixer = Fixer(lambda *_: False, lambda *_: None)
    assert fix({"KEYCLOAK_ADMIN_CLIENT_SECRETT": "x" * 9}, URL, lambda: False, fixer=fixer) == ""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: KEYCLOAK_ADMIN_CLIENT_SECRETT")
    assert "x" * 9 not in line


def test_dex_is_fixed_by_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "dex"
    known = environment(OAUTH_PROVIDER="dex", OAUTH_SERVER_URL="http://localhost:5556", DEX_FILES=str(folder))
    assert fix(known, URL, lambda: False) == "not confirmed: nothing was written"
    assert "config.yaml" in capsys.readouterr().err
    assert not folder.exists()


def test_a_fix_at_another_provider_reports_why_it_does_nothing() -> None:
    reason = fix(environment(OAUTH_PROVIDER="auth0"), URL, lambda: True)
    assert "OAUTH_PROVIDER is auth0" in reason


def test_without_a_terminal_nothing_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert confirm_on_terminal() is False
