"""The doctor on misconfigurations of a server and its provider."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from mcp_idp.cli.common.safe_http import MAX_BYTES, HttpFailure, SafeHttpClient
from mcp_idp.cli.common.server_settings import ServerSettings
from mcp_idp.cli.doctor.all_checks import CHECKS
from mcp_idp.cli.doctor.bootstrap_bridge import AdminCheckResult
from mcp_idp.cli.doctor.challenge_header import read_challenge
from mcp_idp.cli.doctor.checks.access_token_rules import FIX_BY_REASON
from mcp_idp.cli.doctor.client_profiles import REGISTERED_PROFILES
from mcp_idp.cli.doctor.context import CheckContext
from mcp_idp.cli.doctor.findings import Severity
from mcp_idp.cli.doctor.runner import all_findings, run_checks
from mcp_idp.errors import TokenErrorReason
from mcp_idp.testing.issuer import ISSUER, NOW
from scripts.docs.doctor_table import PAGE, whole_page
from tests.support.doctor_testbed import DoctorTestbed, responding, rewriting_header
from tests.support.misconfigurations import DOCUMENT, MISCONFIGURATIONS, Misconfiguration, behind_tls, open_registration

if TYPE_CHECKING:
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


async def test_a_healthy_server_has_no_finding() -> None:
    testbed = DoctorTestbed(register=True)
    testbed.token = testbed.provider.issuer.token()
    results = await testbed.results()
    assert all_findings(results) == []
    skipped = [result.check.name for result in results if result.skipped or result.blocked_by]
    # These need the server's settings, an admin account, a flag, or a client to act as.
    assert skipped == ["settings", "inside", "probe", "client connection", "client login", "client session", "quirks"]


async def test_a_healthy_public_server_has_no_finding() -> None:
    testbed = DoctorTestbed()
    behind_tls(testbed)
    open_registration(testbed)
    assert await testbed.findings() == []


async def _quirks(testbed: DoctorTestbed) -> dict[str, Finding]:
    found = all_findings(await testbed.results())
    assert {finding.kind.severity for finding in found} <= {Severity.INFO}
    return {finding.kind.name: finding for finding in found}


async def test_a_quirk_that_is_off_is_reported_with_its_setting_which_turns_it_on() -> None:
    testbed = DoctorTestbed(quirks=True)
    off = await _quirks(testbed)
    assert set(off) == {"quirk_authorize_redirect", "quirk_legacy_discovery", "quirk_origin_metadata"}
    for name, finding in off.items():
        assert f"{name.removeprefix('quirk_')} is off" in finding.observed
        (setting,) = finding.settings
        assert f"{setting}=true" in finding.fix
    for name in ("quirk_authorize_redirect", "quirk_legacy_discovery"):  # the third is that of a proxy
        testbed.env |= off[name].settings
    testbed.provider.forms = (*testbed.provider.forms, "origin")
    on = await _quirks(testbed)
    assert set(on) == set(off)
    for name, finding in on.items():
        assert f"{name.removeprefix('quirk_')} is on" in finding.observed
        assert f"unset {next(iter(off[name].settings))}" in finding.fix


async def test_a_redirect_to_elsewhere_is_not_the_quirk() -> None:
    location = "https://elsewhere.example/authorize?response_type=code"
    testbed = DoctorTestbed(quirks=True)

    def redirect(request: Any, message: Any) -> None:
        if request.url.path == "/authorize":
            message.status = 302
            message.headers["location"] = location

    testbed.proxies.append(redirect)
    assert "is off" in (await _quirks(testbed))["quirk_authorize_redirect"].observed


async def test_headers_with_parameters_that_a_preflight_does_not_allow_are_reported() -> None:
    testbed = DoctorTestbed(quirks=True)
    testbed.proxies.append(rewriting_header("access-control-allow-headers", "mcp-param-region", "x"))
    assert "parameter_headers" in await _quirks(testbed)


@pytest.mark.parametrize("misconfiguration", MISCONFIGURATIONS, ids=lambda misconfiguration: misconfiguration.name)
async def test_the_cause_comes_first_and_its_advice_fixes_it(misconfiguration: Misconfiguration) -> None:
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
    "cleartext",
    "provider_drift",
    "provider_weakness",
    "provider_not_checked",
    "provider_exploitable",
    "provider_not_probed",
}
ELSEWHERE |= {"quirk_authorize_redirect", "quirk_legacy_discovery", "quirk_origin_metadata", "parameter_headers"}
ELSEWHERE |= {"token_inactive", "token_unchecked", "login_failed"}


def test_every_finding_has_a_misconfiguration() -> None:
    rules = {kind for check in CHECKS for kind in check.kinds}  # two checks may share one
    kinds = [kind.name for kind in rules]
    assert len(kinds) == len(set(kinds))
    covered = {misconfiguration.first for misconfiguration in MISCONFIGURATIONS}.union(
        *(misconfiguration.also for misconfiguration in MISCONFIGURATIONS)
    )
    assert set(kinds) - covered == ELSEWHERE


def test_every_reason_of_the_server_has_advice() -> None:
    assert set(FIX_BY_REASON) == set(TokenErrorReason)


async def test_what_depends_on_a_fault_is_not_checked() -> None:
    testbed = DoctorTestbed(proxies=[responding(DOCUMENT, 200, authorization_servers=["no url"])])
    results = await testbed.results()
    waiting = {result.check.name: result.blocked_by for result in results if result.blocked_by}
    assert waiting["discovery"] == waiting["test registration"] == waiting["pkce"] == "provider"
    assert "untrusted origin" not in waiting


def test_every_check_waits_for_one_before_it() -> None:
    names = [check.name for check in CHECKS]
    for number, check in enumerate(CHECKS):
        assert set(check.depends_on) <= set(names[:number])


async def test_http_to_another_host_is_a_finding() -> None:
    testbed = DoctorTestbed(url="http://mcp.example.com/mcp")
    testbed.names = {"mcp.example.com"}
    testbed.env = {"ALLOWED_HOSTS": "mcp.example.com"}
    found = all_findings(await testbed.results())
    assert (found[0].kind.name, found[0].url) == ("cleartext", "https://mcp.example.com/mcp")


async def test_a_server_without_a_login_skips_the_login_checks() -> None:
    testbed = DoctorTestbed(env={"DISABLE_AUTH": "true"})
    results = await testbed.results()
    assert {result.skipped for result in results if result.check.name in {"challenge", "pkce", "token"}} == {
        "the server requires no login"
    }
    assert [result.check.name for result in results if result.blocked_by] == []


async def test_dns_rebinding_does_not_concern_a_public_server() -> None:
    testbed = DoctorTestbed()
    behind_tls(testbed)
    (host,) = (result for result in await testbed.results() if result.check.name == "untrusted host")
    assert host.skipped.startswith("DNS rebinding")


async def test_without_register_nothing_is_written() -> None:
    testbed = DoctorTestbed()
    assert await testbed.findings() == []
    written = [line for line in testbed.provider.requests if line.split()[0] not in {"GET", "OPTIONS"}]
    assert written == []


async def test_each_test_registration_is_removed() -> None:
    testbed = DoctorTestbed(register=True)
    assert await testbed.findings() == []
    assert testbed.provider.registered == set()
    assert len([line for line in testbed.provider.requests if line.startswith("DELETE")]) == len(REGISTERED_PROFILES)


@pytest.mark.parametrize(
    "description",
    [
        "Failed decode token",  # Keycloak 26.7.5, of an expired one and of a made-up one
        "No remaining count on initial access token",  # Keycloak 26.7.5, of one that is used up
        "The initial access token has expired, is used up, or is not one of this provider: ask …",  # the registrar
    ],
)
async def test_an_invitation_that_is_over_is_named(description: str) -> None:
    testbed = DoctorTestbed(register=True, initial_access_tokens={ISSUER: "iat"})
    testbed.provider.registers = lambda _: (401, {"error": "invalid_token", "error_description": description})
    found = all_findings(await testbed.results())
    assert [finding.kind.name for finding in found] == ["registration_rejected"]
    assert "the invitation is over" in found[0].fix


@pytest.mark.parametrize(("issuer", "is_sent"), [(ISSUER, True), ("https://other.example", False)])
async def test_the_initial_access_token_is_sent_to_its_provider_only(issuer: str, is_sent: bool) -> None:  # noqa: FBT001 - a row
    testbed = DoctorTestbed(register=True, initial_access_tokens={issuer: "iat"})
    to_server: list[str] = []
    testbed.proxies.append(lambda request, _: to_server.append(str(request.headers)))
    await testbed.results()
    with_token = [line for line in testbed.provider.sent if "Bearer iat" in line]
    assert len(with_token) == len(REGISTERED_PROFILES) * is_sent
    assert "Bearer iat" not in str(to_server)


async def test_the_registration_token_goes_nowhere_else() -> None:
    testbed = DoctorTestbed(register=True)
    elsewhere = {"registration_client_uri": "http://localhost:3000/steal"}
    testbed.provider.registers = lambda _: (201, elsewhere)
    stolen: list[str] = []
    testbed.proxies.append(lambda request, _: stolen.append(request.url.path) if "steal" in request.url.path else None)
    found = all_findings(await testbed.results())
    assert {finding.kind.name for finding in found} == {"registration_not_removed"}
    assert "is not at" in found[0].observed
    assert stolen == []


@pytest.mark.parametrize(
    "inside",
    ["http://169.254.169.254/latest", "https://10.0.0.1/realms/x", "https://keycloak/realms/x", "http://[::1]/"],
)
async def test_a_public_server_cannot_make_the_doctor_connect_to_an_internal_address(inside: str) -> None:
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


async def test_an_endless_response_is_not_read_to_its_end() -> None:
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


async def test_a_redirect_is_not_followed() -> None:
    requests: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        requests.append(str(request.url))
        return httpx2.Response(302, headers={"location": "http://localhost:1/"}, stream=httpx2.ByteStream(b""))

    reply = await _reply(handler)
    assert (reply.status, requests) == (302, ["http://localhost:3000/mcp"])


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"a":1,"a":2}', b"\xff", b"[" * 100_000, b"9" * 5000, b"null"])
async def test_junk_in_place_of_json_is_an_empty_document(body: bytes) -> None:
    reply = await _reply(lambda _: httpx2.Response(200, stream=httpx2.ByteStream(body)))
    assert reply.document == {}


@pytest.mark.parametrize(
    "value", [None, 7, "x", [], {}, [None], ["\x1b[31m"], "javascript:alert(1)", "http://[", {"a": []}]
)
@pytest.mark.parametrize("member", ["resource", "authorization_servers", "scopes_supported"])
async def test_no_metadata_of_a_server_breaks_the_doctor(member: str, value: Any) -> None:
    testbed = DoctorTestbed(proxies=[responding(DOCUMENT, 200, **{member: value})])
    await testbed.results()


@pytest.mark.parametrize("location", ["http://[", "javascript:alert(1)", "", "\\\\x", "//", "a b"])
async def test_no_redirect_of_a_server_breaks_the_doctor(location: str) -> None:
    def redirecting(_: Any, response: Any) -> None:
        response.status, response.headers["location"] = 307, location

    testbed = DoctorTestbed(proxies=[redirecting])
    assert (await testbed.findings())[0] == "redirected"


@pytest.mark.parametrize("value", [None, 7, "http://[", "\x1b", {}, "javascript:alert(1)"])
async def test_no_registration_response_breaks_the_doctor(value: Any) -> None:
    testbed = DoctorTestbed(register=True)
    response = {"registration_client_uri": value, "registration_access_token": value, "client_id": value}
    testbed.provider.registers = lambda _: (201, response)
    assert set(await testbed.findings()) == {"registration_not_removed"}


PROVIDER_MEMBERS = ("issuer", "token_endpoint", "registration_endpoint", "jwks_uri", "scopes_supported")


@pytest.mark.parametrize(
    "value", [7, "x", [], ["\x1b[31m"], "javascript:alert(1)", "http://[", "http://localhost:8080/\x1b"]
)
async def test_no_metadata_of_a_provider_breaks_the_doctor(value: Any) -> None:
    for member in PROVIDER_MEMBERS:
        testbed = DoctorTestbed(register=True)
        testbed.provider.document[member] = value
        await testbed.results()


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


@pytest.mark.parametrize("header", ["", 'Basic realm="Bearer"', "Bearertoken", 'DPoP algs="ES256"'])
def test_what_is_no_bearer_challenge_is_none(header: str) -> None:
    assert read_challenge(header) is None


async def test_a_token_that_the_provider_withdrew_is_named_so() -> None:
    testbed = DoctorTestbed(env={"AUTH_TOKEN_MODE": "introspection", "OAUTH_CLIENT_SECRET": "s3cret-of-ours"})
    testbed.provider.document["introspection_endpoint"] = f"{testbed.provider.issuer.url}/introspect"
    testbed.provider.message_inactive = True
    testbed.token = testbed.provider.issuer.token()
    assert await testbed.findings() == ["token_inactive"]


async def test_a_token_is_not_evaluated_without_keys() -> None:
    testbed = DoctorTestbed()
    testbed.token = testbed.provider.issuer.token()
    testbed.provider.issuer.keys = []
    assert "token_unchecked" in await testbed.findings()


def _inside(seen: AdminCheckResult) -> Any:
    async def look() -> AdminCheckResult:
        return seen

    return look


async def test_what_an_administrator_sees_comes_before_what_it_leads_to() -> None:
    weakness = ("S1", "anyone gets a token without a login", "bind the scopes to roles")
    seen = AdminCheckResult(("client scope mcp:tools.mapper",), (weakness,))
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(500))) as http:
        case = CheckContext(
            "http://localhost:3000/mcp", SafeHttpClient(http, "http://localhost:3000/mcp"), look_inside=_inside(seen)
        )
        (check,) = (check for check in CHECKS if check.name == "inside")
        results = await run_checks(case, [replace(check, depends_on=())])
    drift, open_weakness = all_findings(results)
    assert (drift.kind.name, open_weakness.kind.name) == ("provider_drift", "provider_weakness")
    assert "client scope mcp:tools.mapper" in drift.observed
    assert open_weakness.fix == "bind the scopes to roles"


OVERRIDDEN = {
    "JWT_AUDIENCE": {"JWT_AUDIENCE": "https://wrong.example/mcp"},
    "JWT_ISSUER": {"JWT_ISSUER": "http://localhost:8080/realms/other"},
    "JWT_JWKS_URL": {"JWT_JWKS_URL": "http://localhost:8080/other/certs"},
}


@pytest.mark.parametrize("name", OVERRIDDEN)
async def test_a_setting_that_overrides_what_the_token_has_is_named_in_the_fix(name: str) -> None:
    testbed = DoctorTestbed(env=dict(OVERRIDDEN[name]), knows_settings=True)
    testbed.token = testbed.provider.issuer.token()
    found = all_findings(await testbed.results())
    assert any(finding.fix.startswith(f"unset {name} (from the environment)") for finding in found)
    assert not any("audience mapper" in finding.fix or "KC_HOSTNAME" in finding.fix for finding in found)


async def test_a_token_for_something_else_is_not_blamed_on_a_setting() -> None:
    testbed = DoctorTestbed(env={"JWT_AUDIENCE": "https://wrong.example/mcp"}, knows_settings=True)
    testbed.token = testbed.provider.issuer.token(aud="account")
    (found,) = all_findings(await testbed.results())
    assert "audience mapper" in found.fix


async def test_a_provider_that_writes_its_own_identifier_may_have_a_setting_for_it() -> None:
    testbed = DoctorTestbed(env={"JWT_AUDIENCE": "api://mcp"}, knows_settings=True)
    testbed.token = testbed.provider.issuer.token(aud="api://mcp")
    assert await testbed.findings() == []


async def test_a_server_that_rejects_a_good_token_is_said_to_have_another_setting() -> None:
    testbed = DoctorTestbed(env={"JWT_AUDIENCE": "https://wrong.example/mcp"})
    testbed.token = testbed.provider.issuer.token()
    issuer = testbed.provider.issuer
    settings = {"OAUTH_SERVER_URL": issuer.url}  # what the doctor sees
    testbed.evaluated_with = settings
    (found,) = all_findings(await testbed.results())
    assert found.kind.name == "token_rejected"
    assert "JWT_AUDIENCE, JWT_ISSUER, JWT_JWKS_URL, AUTH_TOKEN_MODE" in found.fix


@pytest.mark.parametrize("in_stack", [False, True])
async def test_in_the_stack_no_fix_needs_an_administrator_or_the_admin_secret(*, in_stack: bool) -> None:
    testbed = DoctorTestbed(in_stack=in_stack, register=True, client="opencode")
    testbed.provider.registers = lambda _: (403, {"error_description": "Policy 'Trusted Hosts' … Host not trusted"})
    testbed.token = testbed.provider.issuer.token(scope="")
    fixes = {finding.kind.name: finding.fix for finding in all_findings(await testbed.results())}
    assert set(fixes) == {"registration_rejected", "client_cannot_register", "token_scope"}
    for name in ("registration_rejected", "client_cannot_register"):
        assert ("turn 'Host Sending" in fixes[name]) != in_stack
        assert "mcp-idp bootstrap" in fixes[name]
    assert ("give the demo user" in fixes["token_scope"]) == in_stack
    assert fixes["token_scope"].index("bootstrap check") < fixes["token_scope"].index(
        "roles to the user" if not in_stack else "demo user"
    )


@pytest.mark.parametrize("in_stack", [False, True])
async def test_without_the_admin_secret_the_stack_is_named_where_it_is(*, in_stack: bool) -> None:
    seen = AdminCheckResult(fault="KEYCLOAK_ADMIN_CLIENT_SECRET_FILE: set it")
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(500))) as http:
        url = "http://localhost:3000/mcp"
        settings = ServerSettings({}, "its container", in_stack=True) if in_stack else ServerSettings()
        case = CheckContext(url, SafeHttpClient(http, url), look_inside=_inside(seen), settings=settings)
        (check,) = (check for check in CHECKS if check.name == "inside")
        (found,) = all_findings(await run_checks(case, [replace(check, depends_on=())]))
    assert ("KEYCLOAK_ADMIN_CLIENT_SECRET_FILE" in found.fix) != in_stack
    assert "mcp-idp bootstrap check" in found.fix


def test_the_page_lists_what_the_doctor_can_find() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert whole_page(page) == page, "run: python -m scripts.docs.doctor_table"


async def test_a_token_goes_to_the_server_only() -> None:
    testbed = DoctorTestbed(register=True)
    testbed.token = token = testbed.provider.issuer.token()
    seen: list[str] = []
    testbed.proxies.append(lambda request, _: seen.append(request.headers.get("authorization", "")))
    assert await testbed.findings() == []
    assert seen.count(f"Bearer {token}") == 1
    assert token not in "".join(testbed.provider.sent)
