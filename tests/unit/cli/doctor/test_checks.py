"""The doctor on misconfigurations of a server and its provider."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from mcp_idp.cli.common.safe_http import MAX_BYTES, HttpFailure, SafeHttpClient
from mcp_idp.cli.doctor import bootstrap_bridge as fixing
from mcp_idp.cli.doctor.bootstrap_bridge import AdminCheckResult, ProbeResult, fix, run_admin_check, run_probe
from mcp_idp.cli.doctor.challenge_header import read_challenge
from mcp_idp.cli.doctor.checks.access_token_rules import FIX_BY_REASON
from mcp_idp.cli.doctor.client_profiles import CLIENT_PROFILES
from mcp_idp.cli.doctor.context import CheckContext
from mcp_idp.cli.doctor.registry import CHECKS
from mcp_idp.cli.doctor.runner import all_findings, run_checks
from mcp_idp.errors import TokenErrorReason
from scripts.docs.doctor_table import PAGE, whole_page
from tests.support.doctor_testbed import DoctorTestbed, responding, rewriting_header
from tests.support.fake_issuer import NOW
from tests.support.misconfigurations import DOCUMENT, MISCONFIGURATIONS, Misconfiguration, behind_tls, open_registration

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_idp.cli.doctor.findings import Finding

pytestmark = pytest.mark.anyio


def follow(testbed: DoctorTestbed, misconfiguration: Misconfiguration, finding: Finding) -> None:
    """Applies the fix of a finding."""
    if misconfiguration.fix is not None:
        misconfiguration.fix(testbed)
    elif finding.url is not None:
        testbed.url = finding.url
    else:
        assert finding.settings, "the finding names nothing to set"
        testbed.env |= finding.settings


@pytest.mark.requirement("doctor.healthy")
async def test_a_healthy_server_has_no_finding() -> None:
    testbed = DoctorTestbed(register=True)
    testbed.token = testbed.provider.issuer.token()
    results = await testbed.results()
    assert all_findings(results) == []
    skipped = [result.check.name for result in results if result.skipped or result.blocked_by]
    assert skipped == ["inside", "probe"]  # these need an admin account


@pytest.mark.requirement("doctor.healthy")
async def test_a_healthy_public_server_has_no_finding() -> None:
    testbed = DoctorTestbed()
    behind_tls(testbed)
    open_registration(testbed)
    assert await testbed.findings() == []


@pytest.mark.requirement("doctor.cause_first", "doctor.advice_mends")
@pytest.mark.parametrize("misconfiguration", MISCONFIGURATIONS, ids=lambda misconfiguration: misconfiguration.name)
async def test_the_cause_comes_first_and_its_advice_mends(misconfiguration: Misconfiguration) -> None:
    testbed = DoctorTestbed()
    misconfiguration.apply(testbed)
    found = all_findings(await testbed.results())
    assert [finding.kind.name for finding in found][:1] == [misconfiguration.first]
    assert {finding.kind.name for finding in found} - misconfiguration.also == {misconfiguration.first}
    follow(testbed, misconfiguration, found[0])
    assert set(await testbed.findings()) <= misconfiguration.also


# Covered over sockets (test_cli.py), with an admin account, or below.
ELSEWHERE = {
    "certificate",
    "unreachable",
    "clear",
    "provider_drift",
    "provider_hole",
    "provider_not_seen",
    "provider_got_in",
    "provider_not_probed",
}
ELSEWHERE |= {"token_inactive", "token_not_judged", "login_failed"}


@pytest.mark.requirement("doctor.every_kind_staged")
def test_whatever_can_be_found_is_staged() -> None:
    kinds = [kind.name for check in CHECKS for kind in check.kinds]
    assert len(kinds) == len(set(kinds))
    covered = {misconfiguration.first for misconfiguration in MISCONFIGURATIONS}.union(
        *(misconfiguration.also for misconfiguration in MISCONFIGURATIONS)
    )
    assert set(kinds) - covered == ELSEWHERE


@pytest.mark.requirement("doctor.every_kind_staged")
def test_every_reason_of_the_server_has_advice() -> None:
    assert set(FIX_BY_REASON) == set(TokenErrorReason)


@pytest.mark.requirement("doctor.waits")
async def test_what_depends_on_a_fault_is_not_checked() -> None:
    testbed = DoctorTestbed(proxies=[responding(DOCUMENT, 200, authorization_servers=["no url"])])
    results = await testbed.results()
    waiting = {result.check.name: result.blocked_by for result in results if result.blocked_by}
    assert waiting["discovery"] == waiting["trial"] == waiting["pkce"] == "provider"
    assert "foreign origin" not in waiting


@pytest.mark.requirement("doctor.waits")
def test_every_check_waits_for_one_before_it() -> None:
    names = [check.name for check in CHECKS]
    for number, check in enumerate(CHECKS):
        assert set(check.depends_on) <= set(names[:number])


@pytest.mark.requirement("doctor.cause_first")
async def test_http_off_this_machine_is_a_fault() -> None:
    testbed = DoctorTestbed(url="http://mcp.example.com/mcp")
    testbed.names = {"mcp.example.com"}
    testbed.env = {"ALLOWED_HOSTS": "mcp.example.com"}
    found = all_findings(await testbed.results())
    assert (found[0].kind.name, found[0].url) == ("clear", "https://mcp.example.com/mcp")


@pytest.mark.requirement("doctor.other_servers")
async def test_a_server_without_a_login_is_spared_all_that_is_about_logins() -> None:
    testbed = DoctorTestbed(env={"DISABLE_AUTH": "true"})
    results = await testbed.results()
    assert {result.skipped for result in results if result.check.name in {"challenge", "pkce", "token"}} == {
        "the server requires no login"
    }
    assert [result.check.name for result in results if result.blocked_by] == []


@pytest.mark.requirement("doctor.other_servers")
async def test_dns_rebinding_is_no_matter_of_a_public_server() -> None:
    testbed = DoctorTestbed()
    behind_tls(testbed)
    (host,) = (result for result in await testbed.results() if result.check.name == "foreign host")
    assert host.skipped.startswith("DNS rebinding")


@pytest.mark.requirement("doctor.writes_nothing")
async def test_without_register_nothing_is_written() -> None:
    testbed = DoctorTestbed()
    assert await testbed.findings() == []
    written = [line for line in testbed.provider.requests if line.split()[0] not in {"GET", "OPTIONS"}]
    assert written == []


@pytest.mark.requirement("doctor.writes_nothing")
async def test_each_trial_registration_is_taken_back() -> None:
    testbed = DoctorTestbed(register=True)
    assert await testbed.findings() == []
    assert testbed.provider.registered == set()
    assert len([line for line in testbed.provider.requests if line.startswith("DELETE")]) == len(CLIENT_PROFILES)


@pytest.mark.requirement("doctor.writes_nothing", "doctor.hostile")
async def test_the_registration_token_goes_nowhere_else() -> None:
    testbed = DoctorTestbed(register=True)
    elsewhere = {"registration_client_uri": "http://localhost:3000/steal"}
    testbed.provider.registers = lambda _: (201, elsewhere)
    stolen: list[str] = []
    testbed.proxies.append(lambda request, _: stolen.append(request.url.path) if "steal" in request.url.path else None)
    found = all_findings(await testbed.results())
    assert {finding.kind.name for finding in found} == {"left_behind"}
    assert "is not at" in found[0].observed
    assert stolen == []


@pytest.mark.requirement("doctor.hostile")
@pytest.mark.parametrize(
    "inside",
    ["http://169.254.169.254/latest", "https://10.0.0.1/realms/x", "https://keycloak/realms/x", "http://[::1]/"],
)
async def test_a_public_server_cannot_make_the_doctor_knock_inside(inside: str) -> None:
    testbed = DoctorTestbed(proxies=[responding(DOCUMENT, 200, authorization_servers=[inside])])
    testbed.proxies.append(rewriting_header("www-authenticate", "https://mcp.example.com", inside.rstrip("/")))
    requests: list[str] = []
    behind_tls(testbed)
    results = await _watched(testbed, requests)
    assert "hidden_issuer" in {finding.kind.name for finding in all_findings(results)}
    assert {url.host for url in map(httpx2.URL, requests)} == {"mcp.example.com"}


async def _watched(testbed: DoctorTestbed, requests: list[str]) -> Any:
    """Runs the doctor and records the URL of every request, including failed ones."""
    route = testbed.route

    async def watching(request: httpx2.Request, server: Any) -> httpx2.Response:
        requests.append(str(request.url))
        return await route(request, server)

    object.__setattr__(testbed, "route", watching)
    return await testbed.results()


async def _reply(handler: Any, url: str = "http://localhost:3000/mcp") -> Any:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handler)) as http:
        return await SafeHttpClient(http, url, now=lambda: NOW).get(url)


@pytest.mark.requirement("doctor.hostile")
async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    sent = 0

    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            nonlocal sent
            while True:
                sent += 1
                yield b"x" * 65536

    reply = await _reply(lambda _: httpx2.Response(200, stream=Endless()))
    assert reply.fault is HttpFailure.BROKEN
    assert sent <= MAX_BYTES / 65536 + 1


@pytest.mark.requirement("doctor.hostile")
async def test_a_redirect_is_not_followed() -> None:
    requests: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        requests.append(str(request.url))
        return httpx2.Response(302, headers={"location": "http://localhost:1/"}, stream=httpx2.ByteStream(b""))

    reply = await _reply(handler)
    assert (reply.status, requests) == (302, ["http://localhost:3000/mcp"])


@pytest.mark.requirement("doctor.hostile")
@pytest.mark.parametrize("body", [b"[]", b"{", b'{"a":1,"a":2}', b"\xff", b"[" * 100_000, b"9" * 5000, b"null"])
async def test_junk_in_place_of_json_is_an_empty_document(body: bytes) -> None:
    reply = await _reply(lambda _: httpx2.Response(200, stream=httpx2.ByteStream(body)))
    assert reply.document == {}


@pytest.mark.requirement("doctor.hostile")
@pytest.mark.parametrize(
    "junk", [None, 7, "x", [], {}, [None], ["\x1b[31m"], "javascript:alert(1)", "http://[", {"a": []}]
)
@pytest.mark.parametrize("member", ["resource", "authorization_servers", "scopes_supported"])
async def test_no_metadata_of_a_server_breaks_the_doctor(member: str, junk: Any) -> None:
    testbed = DoctorTestbed(proxies=[responding(DOCUMENT, 200, **{member: junk})])
    await testbed.results()


@pytest.mark.requirement("doctor.hostile")
@pytest.mark.parametrize("location", ["http://[", "javascript:alert(1)", "", "\\\\x", "//", "a b"])
async def test_no_redirect_of_a_server_breaks_the_doctor(location: str) -> None:
    def redirecting(_: Any, response: Any) -> None:
        response.status, response.headers["location"] = 307, location

    testbed = DoctorTestbed(proxies=[redirecting])
    assert (await testbed.findings())[0] == "redirected"


@pytest.mark.requirement("doctor.hostile")
@pytest.mark.parametrize("junk", [None, 7, "http://[", "\x1b", {}, "javascript:alert(1)"])
async def test_no_registration_answer_breaks_the_doctor(junk: Any) -> None:
    testbed = DoctorTestbed(register=True)
    response = {"registration_client_uri": junk, "registration_access_token": junk, "client_id": junk}
    testbed.provider.registers = lambda _: (201, response)
    assert set(await testbed.findings()) == {"left_behind"}


PROVIDER_MEMBERS = ("issuer", "token_endpoint", "registration_endpoint", "jwks_uri", "scopes_supported")


@pytest.mark.requirement("doctor.hostile")
@pytest.mark.parametrize(
    "junk", [7, "x", [], ["\x1b[31m"], "javascript:alert(1)", "http://[", "http://localhost:8080/\x1b"]
)
async def test_no_metadata_of_a_provider_breaks_the_doctor(junk: Any) -> None:
    for member in PROVIDER_MEMBERS:
        testbed = DoctorTestbed(register=True)
        testbed.provider.document[member] = junk
        await testbed.results()


@pytest.mark.requirement("doctor.cause_first")
@pytest.mark.parametrize(
    ("header", "parameters"),
    [
        ('Bearer resource_metadata="https://a/b", scope="x y"', {"resource_metadata": "https://a/b", "scope": "x y"}),
        ('bearer realm=a, error="q\\"uoted"', {"realm": "a", "error": 'q"uoted'}),
        ('Basic realm="x", Bearer scope="a"', {"scope": "a"}),
        ("Bearer", {}),
        ('Bearer scope="a", scope="b"', {"scope": "a"}),
        ('Bearer scope="never closed', {}),
    ],
)
def test_a_challenge_is_read_as_it_may_be_written(header: str, parameters: dict[str, str]) -> None:
    challenge = read_challenge(header)
    assert challenge is not None
    assert challenge.parameters == parameters


@pytest.mark.requirement("doctor.cause_first")
@pytest.mark.parametrize("header", ["", 'Basic realm="Bearer"', "Bearertoken", 'DPoP algs="ES256"'])
def test_what_is_no_bearer_challenge_is_none(header: str) -> None:
    assert read_challenge(header) is None


@pytest.mark.requirement("doctor.cause_first")
async def test_a_token_that_the_provider_withdrew_is_named_so() -> None:
    testbed = DoctorTestbed(env={"AUTH_TOKEN_MODE": "introspection", "OAUTH_CLIENT_SECRET": "s3cret-of-ours"})
    testbed.provider.document["introspection_endpoint"] = f"{testbed.provider.issuer.url}/introspect"
    testbed.provider.message_inactive = True
    testbed.token = testbed.provider.issuer.token()
    assert await testbed.findings() == ["token_inactive"]


@pytest.mark.requirement("doctor.cause_first")
async def test_a_token_is_not_judged_without_keys() -> None:
    testbed = DoctorTestbed()
    testbed.token = testbed.provider.issuer.token()
    testbed.provider.issuer.keys = []
    assert "token_not_judged" in await testbed.findings()


def _inside(seen: AdminCheckResult) -> Any:
    async def look() -> AdminCheckResult:
        return seen

    return look


@pytest.mark.requirement("doctor.cause_first")
async def test_what_an_administrator_sees_comes_before_what_it_leads_to() -> None:
    weakness = ("S1", "anybody gets a token without a login", "bind the scopes to roles")
    seen = AdminCheckResult(("client scope mcp:tools.mapper",), (weakness,))
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(500))) as http:
        case = CheckContext(
            "http://localhost:3000/mcp", SafeHttpClient(http, "http://localhost:3000/mcp"), look_inside=_inside(seen)
        )
        (check,) = (check for check in CHECKS if check.name == "inside")
        results = await run_checks(case, [replace(check, depends_on=())])
    drift, open_weakness = all_findings(results)
    assert (drift.kind.name, open_weakness.kind.name) == ("provider_drift", "provider_hole")
    assert "client scope mcp:tools.mapper" in drift.observed
    assert open_weakness.fix == "bind the scopes to roles"


FOUND = (
    '{"clean": false, "drift": [{"object": "realm", "fields": [{"name": "sslRequired"}]}], '
    '"weaknesses": [], "warnings": []}'
)


@pytest.mark.requirement("doctor.cause_first")
@pytest.mark.parametrize(
    ("program", "seen"),
    [
        (f"print({FOUND!r}); raise SystemExit(1)", AdminCheckResult(("realm.sslRequired",))),
        (
            'print(\'{"drift": [], "weaknesses": [{"id": "S5", "what": "w", "fix": "m"}]}\')',
            AdminCheckResult((), (("S5", "w", "m"),)),
        ),
        ('raise SystemExit("no admin client")', AdminCheckResult(fault="no admin client")),
        ("print('{}')", AdminCheckResult(fault="it printed nothing")),
    ],
)
async def test_the_bootstraps_words_are_read(program: str, seen: AdminCheckResult, tmp_path: Path) -> None:
    script = tmp_path / "bootstrap.py"
    script.write_text(program)
    assert await asyncio.wait_for(run_admin_check({}, program=script), 30) == seen


CASES = '{"cases": [{"id": "S1", "open": true, "observed": "a token"}, {"id": "S2", "open": false, "observed": "404"}]}'
OWN = "https://login.example.com/realms/mcp"


@pytest.mark.requirement("doctor.probe")
@pytest.mark.parametrize(
    ("program", "issuer", "kinds"),
    [
        (f"print({CASES!r}); raise SystemExit(1)", OWN, ["provider_got_in"]),
        ("print('{\"cases\": []}')", OWN, []),
        ('raise SystemExit("no admin client")', OWN, ["provider_not_probed"]),
        # A third-party provider: no command runs.
        ("open('ran', 'w')", "https://other.example.com/realms/mcp", ["provider_not_probed"]),
    ],
)
async def test_what_the_probe_got_is_told(program: str, issuer: str, kinds: list[str], tmp_path: Path) -> None:
    script = tmp_path / "bootstrap.py"
    script.write_text(program.replace("'ran'", f"{str(tmp_path / 'ran')!r}"))

    async def probe(named: str) -> ProbeResult:
        return await run_probe({"OAUTH_SERVER_URL": OWN}, named, program=script)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(500))) as http:
        case = CheckContext(
            "http://localhost:3000/mcp", SafeHttpClient(http, "http://localhost:3000/mcp"), probe=probe, issuer=issuer
        )
        (check,) = (check for check in CHECKS if check.name == "probe")
        found = all_findings(await run_checks(case, [replace(check, depends_on=())]))
    assert [finding.kind.name for finding in found] == kinds
    assert not (tmp_path / "ran").exists()
    if kinds == ["provider_got_in"]:
        assert found[0].observed == "S1: a token"


FIXING = """
import sys
from pathlib import Path
verbs = Path(sys.argv[0]).with_name("verbs")
verbs.write_text(verbs.read_text() + sys.argv[1] + " ")
print("~ realm: set x" if sys.argv[1] == "plan" and {changes} else "no changes")
raise SystemExit({code} if sys.argv[1] == {fails!r} else 0)
"""
URL = "http://localhost:3000/mcp"


@dataclass(frozen=True)
class Fixing:
    """A run with --fix: the findings, the commands that ran, and the output."""

    ran: str
    message: str = ""
    url: str = URL
    agreed: bool = True
    changes: bool = True
    fails: str = ""


@pytest.mark.requirement("doctor.fix")
@pytest.mark.parametrize(
    "run",
    [
        Fixing("plan apply "),
        Fixing("plan ", changes=False),
        Fixing("plan ", "not confirmed", agreed=False),
        Fixing("plan ", "could not determine", fails="plan"),
        Fixing("plan apply ", "run it again", fails="apply"),
        Fixing("", "a different one", url="https://other.example.com/mcp"),
    ],
)
def test_a_fix_is_shown_asked_for_and_only_then_written(
    run: Fixing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script, commands = tmp_path / "bootstrap.py", tmp_path / "verbs"
    script.write_text(FIXING.format(changes=run.changes, code=1, fails=run.fails))
    commands.write_text("")
    reported: list[str] = []

    def ask() -> bool:
        reported.append(capsys.readouterr().err)
        assert commands.read_text() == "plan "
        return run.agreed

    reason = fix({}, run.url, ask, program=script)
    assert commands.read_text() == run.ran
    assert bool(reason) == bool(run.message)
    assert run.message in reason
    assert reported in ([], ["~ realm: set x\n"])


@pytest.mark.requirement("doctor.fix")
def test_without_a_terminal_nobody_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert fixing.confirm_on_terminal() is False


@pytest.mark.requirement("doctor.documented")
def test_the_page_lists_what_the_doctor_can_find() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert whole_page(page) == page, "run: python -m scripts.docs.doctor_table"


@pytest.mark.requirement("doctor.no_token_shown")
async def test_a_token_goes_to_the_server_only() -> None:
    testbed = DoctorTestbed(register=True)
    testbed.token = token = testbed.provider.issuer.token()
    seen: list[str] = []
    testbed.proxies.append(lambda request, _: seen.append(request.headers.get("authorization", "")))
    assert await testbed.findings() == []
    assert seen.count(f"Bearer {token}") == 1
    assert token not in "".join(testbed.provider.sent)
