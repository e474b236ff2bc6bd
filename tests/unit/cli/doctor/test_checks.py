"""The doctor, on broken setups of one server and its provider."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from mcp_idp.cli.common.safe_http import MAX_BYTES, Asker, Fault
from mcp_idp.cli.doctor import bootstrap_bridge as fixing
from mcp_idp.cli.doctor.bootstrap_bridge import Inside, Probed, fix, look_inside, probe_holes
from mcp_idp.cli.doctor.challenge_header import read_challenge
from mcp_idp.cli.doctor.checks.access_token_rules import ADVICE
from mcp_idp.cli.doctor.client_profiles import PERSONAS
from mcp_idp.cli.doctor.context import Case
from mcp_idp.cli.doctor.registry import CHECKS
from mcp_idp.cli.doctor.runner import all_findings, examine
from mcp_idp.errors import Reason
from scripts.docs.doctor_table import PAGE, whole_page
from tests.support.doctor_testbed import Clinic, answering, rewriting_header
from tests.support.fake_issuer import NOW
from tests.support.misconfigurations import DOCUMENT, SETUPS, Setup, behind_tls, everybody

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_idp.cli.doctor.findings import Finding

pytestmark = pytest.mark.anyio


def follow(clinic: Clinic, setup: Setup, finding: Finding) -> None:
    """Do what the finding says."""
    if setup.mend is not None:
        setup.mend(clinic)
    elif finding.url is not None:
        clinic.url = finding.url
    else:
        assert finding.settings, "the finding names nothing to set"
        clinic.env |= finding.settings


@pytest.mark.requirement("doctor.healthy")
async def test_a_healthy_server_has_no_finding() -> None:
    clinic = Clinic(register=True)
    clinic.token = clinic.provider.issuer.token()
    results = await clinic.results()
    assert all_findings(results) == []
    skipped = [result.check.name for result in results if result.does_not_apply or result.not_checked]
    assert skipped == ["inside", "probe"]  # it takes an administrator


@pytest.mark.requirement("doctor.healthy")
async def test_a_healthy_public_server_has_no_finding() -> None:
    clinic = Clinic()
    behind_tls(clinic)
    everybody(clinic)
    assert await clinic.findings() == []


@pytest.mark.requirement("doctor.cause_first", "doctor.advice_mends")
@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
async def test_the_cause_comes_first_and_its_advice_mends(setup: Setup) -> None:
    clinic = Clinic()
    setup.breaks(clinic)
    found = all_findings(await clinic.results())
    assert [finding.kind.name for finding in found][:1] == [setup.first]
    assert {finding.kind.name for finding in found} - setup.also == {setup.first}
    follow(clinic, setup, found[0])
    assert set(await clinic.findings()) <= setup.also


# By sockets (test_doctor_cli.py), by an administrator's eyes, or below.
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
    staged = {setup.first for setup in SETUPS}.union(*(setup.also for setup in SETUPS))
    assert set(kinds) - staged == ELSEWHERE


@pytest.mark.requirement("doctor.every_kind_staged")
def test_every_reason_of_the_server_has_advice() -> None:
    assert set(ADVICE) == set(Reason)


@pytest.mark.requirement("doctor.waits")
async def test_what_depends_on_a_fault_is_not_checked() -> None:
    clinic = Clinic(proxies=[answering(DOCUMENT, 200, authorization_servers=["no url"])])
    results = await clinic.results()
    waiting = {result.check.name: result.not_checked for result in results if result.not_checked}
    assert waiting["discovery"] == waiting["trial"] == waiting["pkce"] == "provider"
    assert "foreign origin" not in waiting


@pytest.mark.requirement("doctor.waits")
def test_every_check_waits_for_one_before_it() -> None:
    names = [check.name for check in CHECKS]
    for number, check in enumerate(CHECKS):
        assert set(check.needs) <= set(names[:number])


@pytest.mark.requirement("doctor.cause_first")
async def test_http_off_this_machine_is_a_fault() -> None:
    clinic = Clinic(url="http://mcp.example.com/mcp")
    clinic.names = {"mcp.example.com"}
    clinic.env = {"ALLOWED_HOSTS": "mcp.example.com"}
    found = all_findings(await clinic.results())
    assert (found[0].kind.name, found[0].url) == ("clear", "https://mcp.example.com/mcp")


@pytest.mark.requirement("doctor.other_servers")
async def test_a_server_without_a_login_is_spared_all_that_is_about_logins() -> None:
    clinic = Clinic(env={"DISABLE_AUTH": "true"})
    results = await clinic.results()
    assert {result.does_not_apply for result in results if result.check.name in {"challenge", "pkce", "token"}} == {
        "the server asks for no login"
    }
    assert [result.check.name for result in results if result.not_checked] == []


@pytest.mark.requirement("doctor.other_servers")
async def test_dns_rebinding_is_no_matter_of_a_public_server() -> None:
    clinic = Clinic()
    behind_tls(clinic)
    (host,) = (result for result in await clinic.results() if result.check.name == "foreign host")
    assert host.does_not_apply.startswith("DNS rebinding")


@pytest.mark.requirement("doctor.writes_nothing")
async def test_without_register_nothing_is_written() -> None:
    clinic = Clinic()
    assert await clinic.findings() == []
    written = [line for line in clinic.provider.asked if line.split()[0] not in {"GET", "OPTIONS"}]
    assert written == []


@pytest.mark.requirement("doctor.writes_nothing")
async def test_each_trial_registration_is_taken_back() -> None:
    clinic = Clinic(register=True)
    assert await clinic.findings() == []
    assert clinic.provider.registered == set()
    assert len([line for line in clinic.provider.asked if line.startswith("DELETE")]) == len(PERSONAS)


@pytest.mark.requirement("doctor.writes_nothing", "doctor.hostile")
async def test_the_registration_token_goes_nowhere_else() -> None:
    clinic = Clinic(register=True)
    elsewhere = {"registration_client_uri": "http://localhost:3000/steal"}
    clinic.provider.registers = lambda _: (201, elsewhere)
    stolen: list[str] = []
    clinic.proxies.append(lambda request, _: stolen.append(request.url.path) if "steal" in request.url.path else None)
    found = all_findings(await clinic.results())
    assert {finding.kind.name for finding in found} == {"left_behind"}
    assert "is not at" in found[0].what
    assert stolen == []


@pytest.mark.requirement("doctor.hostile")
@pytest.mark.parametrize(
    "inside",
    ["http://169.254.169.254/latest", "https://10.0.0.1/realms/x", "https://keycloak/realms/x", "http://[::1]/"],
)
async def test_a_public_server_cannot_make_the_doctor_knock_inside(inside: str) -> None:
    clinic = Clinic(proxies=[answering(DOCUMENT, 200, authorization_servers=[inside])])
    clinic.proxies.append(rewriting_header("www-authenticate", "https://mcp.example.com", inside.rstrip("/")))
    asked: list[str] = []
    behind_tls(clinic)
    results = await _watched(clinic, asked)
    assert "hidden_issuer" in {finding.kind.name for finding in all_findings(results)}
    assert {url.host for url in map(httpx2.URL, asked)} == {"mcp.example.com"}


async def _watched(clinic: Clinic, asked: list[str]) -> Any:
    """The results, with the URL of each request noted, also of those that lead nowhere."""
    route = clinic.route

    async def watching(request: httpx2.Request, server: Any) -> httpx2.Response:
        asked.append(str(request.url))
        return await route(request, server)

    object.__setattr__(clinic, "route", watching)
    return await clinic.results()


async def _reply(handler: Any, url: str = "http://localhost:3000/mcp") -> Any:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handler)) as http:
        return await Asker(http, url, now=lambda: NOW).get(url)


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
    assert reply.fault is Fault.BROKEN
    assert sent <= MAX_BYTES / 65536 + 1


@pytest.mark.requirement("doctor.hostile")
async def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(302, headers={"location": "http://localhost:1/"}, stream=httpx2.ByteStream(b""))

    reply = await _reply(handler)
    assert (reply.status, asked) == (302, ["http://localhost:3000/mcp"])


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
    clinic = Clinic(proxies=[answering(DOCUMENT, 200, **{member: junk})])
    await clinic.results()


@pytest.mark.requirement("doctor.hostile")
@pytest.mark.parametrize("location", ["http://[", "javascript:alert(1)", "", "\\\\x", "//", "a b"])
async def test_no_redirect_of_a_server_breaks_the_doctor(location: str) -> None:
    def redirecting(_: Any, said: Any) -> None:
        said.status, said.headers["location"] = 307, location

    clinic = Clinic(proxies=[redirecting])
    assert (await clinic.findings())[0] == "redirected"


@pytest.mark.requirement("doctor.hostile")
@pytest.mark.parametrize("junk", [None, 7, "http://[", "\x1b", {}, "javascript:alert(1)"])
async def test_no_registration_answer_breaks_the_doctor(junk: Any) -> None:
    clinic = Clinic(register=True)
    answer = {"registration_client_uri": junk, "registration_access_token": junk, "client_id": junk}
    clinic.provider.registers = lambda _: (201, answer)
    assert set(await clinic.findings()) == {"left_behind"}


PROVIDER_MEMBERS = ("issuer", "token_endpoint", "registration_endpoint", "jwks_uri", "scopes_supported")


@pytest.mark.requirement("doctor.hostile")
@pytest.mark.parametrize(
    "junk", [7, "x", [], ["\x1b[31m"], "javascript:alert(1)", "http://[", "http://localhost:8080/\x1b"]
)
async def test_no_metadata_of_a_provider_breaks_the_doctor(junk: Any) -> None:
    for member in PROVIDER_MEMBERS:
        clinic = Clinic(register=True)
        clinic.provider.document[member] = junk
        await clinic.results()


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
    clinic = Clinic(env={"AUTH_TOKEN_MODE": "introspection", "OAUTH_CLIENT_SECRET": "s3cret-of-ours"})
    clinic.provider.document["introspection_endpoint"] = f"{clinic.provider.issuer.url}/introspect"
    clinic.provider.says_inactive = True
    clinic.token = clinic.provider.issuer.token()
    assert await clinic.findings() == ["token_inactive"]


@pytest.mark.requirement("doctor.cause_first")
async def test_a_token_is_not_judged_without_keys() -> None:
    clinic = Clinic()
    clinic.token = clinic.provider.issuer.token()
    clinic.provider.issuer.keys = []
    assert "token_not_judged" in await clinic.findings()


def _inside(seen: Inside) -> Any:
    async def look() -> Inside:
        return seen

    return look


@pytest.mark.requirement("doctor.cause_first")
async def test_what_an_administrator_sees_comes_before_what_it_leads_to() -> None:
    hole = ("S1", "anybody gets a token without a login", "bind the scopes to roles")
    seen = Inside(("client scope mcp:tools.mapper",), (hole,))
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(500))) as http:
        case = Case("http://localhost:3000/mcp", Asker(http, "http://localhost:3000/mcp"), look_inside=_inside(seen))
        (check,) = (check for check in CHECKS if check.name == "inside")
        results = await examine(case, [replace(check, needs=())])
    drift, open_hole = all_findings(results)
    assert (drift.kind.name, open_hole.kind.name) == ("provider_drift", "provider_hole")
    assert "client scope mcp:tools.mapper" in drift.what
    assert open_hole.mend == "bind the scopes to roles"


FOUND = (
    '{"clean": false, "drift": [{"object": "realm", "fields": [{"name": "sslRequired"}]}], "holes": [], "warnings": []}'
)


@pytest.mark.requirement("doctor.cause_first")
@pytest.mark.parametrize(
    ("program", "seen"),
    [
        (f"print({FOUND!r}); raise SystemExit(1)", Inside(("realm.sslRequired",))),
        (
            'print(\'{"drift": [], "holes": [{"id": "S5", "what": "w", "mend": "m"}]}\')',
            Inside((), (("S5", "w", "m"),)),
        ),
        ('raise SystemExit("no admin client")', Inside(fault="no admin client")),
        ("print('{}')", Inside(fault="it said nothing")),
    ],
)
async def test_the_bootstraps_words_are_read(program: str, seen: Inside, tmp_path: Path) -> None:
    script = tmp_path / "bootstrap.py"
    script.write_text(program)
    assert await asyncio.wait_for(look_inside({}, program=script), 30) == seen


TRIALS = '{"trials": [{"id": "S1", "open": true, "seen": "a token"}, {"id": "S2", "open": false, "seen": "404"}]}'
OWN = "https://login.example.com/realms/mcp"


@pytest.mark.requirement("doctor.probe")
@pytest.mark.parametrize(
    ("program", "issuer", "kinds"),
    [
        (f"print({TRIALS!r}); raise SystemExit(1)", OWN, ["provider_got_in"]),
        ("print('{\"trials\": []}')", OWN, []),
        ('raise SystemExit("no admin client")', OWN, ["provider_not_probed"]),
        # Somebody else's provider: nothing is run, so nothing is tried.
        ("open('ran', 'w')", "https://other.example.com/realms/mcp", ["provider_not_probed"]),
    ],
)
async def test_what_the_probe_got_is_told(program: str, issuer: str, kinds: list[str], tmp_path: Path) -> None:
    script = tmp_path / "bootstrap.py"
    script.write_text(program.replace("'ran'", f"{str(tmp_path / 'ran')!r}"))

    async def probe(named: str) -> Probed:
        return await probe_holes({"OAUTH_SERVER_URL": OWN}, named, program=script)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(500))) as http:
        case = Case("http://localhost:3000/mcp", Asker(http, "http://localhost:3000/mcp"), probe=probe, issuer=issuer)
        (check,) = (check for check in CHECKS if check.name == "probe")
        found = all_findings(await examine(case, [replace(check, needs=())]))
    assert [finding.kind.name for finding in found] == kinds
    assert not (tmp_path / "ran").exists()
    if kinds == ["provider_got_in"]:
        assert found[0].what == "S1: a token"


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
    """One run: what it meets, which verbs ran in the end, and what it says."""

    ran: str
    says: str = ""
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
        Fixing("plan ", "not agreed", agreed=False),
        Fixing("plan ", "could not say", fails="plan"),
        Fixing("plan apply ", "run it again", fails="apply"),
        Fixing("", "another", url="https://other.example.com/mcp"),
    ],
)
def test_a_fix_is_shown_asked_for_and_only_then_written(
    run: Fixing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script, verbs = tmp_path / "bootstrap.py", tmp_path / "verbs"
    script.write_text(FIXING.format(changes=run.changes, code=1, fails=run.fails))
    verbs.write_text("")
    shown_before: list[str] = []

    def ask() -> bool:
        shown_before.append(capsys.readouterr().err)
        assert verbs.read_text() == "plan "
        return run.agreed

    reason = fix({}, run.url, ask, program=script)
    assert verbs.read_text() == run.ran
    assert bool(reason) == bool(run.says)
    assert run.says in reason
    assert shown_before in ([], ["~ realm: set x\n"])


@pytest.mark.requirement("doctor.fix")
def test_without_a_terminal_nobody_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert fixing.ask() is False


@pytest.mark.requirement("doctor.documented")
def test_the_page_lists_what_the_doctor_can_find() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert whole_page(page) == page, "run: python -m scripts.docs.doctor_table"


@pytest.mark.requirement("doctor.no_token_shown")
async def test_a_token_goes_to_the_server_only() -> None:
    clinic = Clinic(register=True)
    clinic.token = token = clinic.provider.issuer.token()
    seen: list[str] = []
    clinic.proxies.append(lambda request, _: seen.append(request.headers.get("authorization", "")))
    assert await clinic.findings() == []
    assert seen.count(f"Bearer {token}") == 1
    assert token not in "".join(clinic.provider.sent)
