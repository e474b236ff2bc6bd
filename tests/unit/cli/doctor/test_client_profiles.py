"""Acting as a known client: what it sends, and that nothing remains registered."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from mcp_idp.cli.common.safe_http import SafeHttpClient
from mcp_idp.cli.doctor.client_profiles import CLIENT_PROFILES, find_profile
from mcp_idp.cli.doctor.client_requests import Evidence
from mcp_idp.cli.doctor.context import CheckContext
from mcp_idp.cli.doctor.runner import all_findings
from mcp_idp.cli.doctor.trial_registration import trial_registration
from tests.client_compat.index import PROFILES
from tests.client_compat.profile import SCOPES, filled
from tests.support.doctor_testbed import DoctorTestbed, HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

ISSUER = "https://login.example.com/realms/mcp"
NAMES = {
    "codex": "Codex",
    "claude-code": "Claude Code",
    "vscode": "VS Code",
    "cursor": "Cursor",
    "inspector": "MCP Inspector CLI",
    "inspector-0": "MCP Inspector 0.x",
    "mcp-remote": "mcp-remote",
    "goose": "Goose",
    "python-sdk": "Python SDK",
    "typescript-sdk": "TypeScript SDK 2.x",
    "typescript-sdk-1": "TypeScript SDK 1.x",
    "claude-ai": "Claude.ai",
    "chatgpt": "ChatGPT",
}
# As Keycloak lists them: without "none".
KEYCLOAK = {
    "grant_types_supported": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
}


def without_varying_parts(document: dict[str, Any]) -> dict[str, Any]:
    """Returns a registration without what differs between runs: names, random ports and random paths."""
    uris = [re.sub(r":\d{4,5}(/callback)(/\w+)?$", r":0\1", uri) for uri in document["redirect_uris"]]
    uris = [re.sub(r"(localhost):\d{5}/oauth", r"\1:0/oauth", uri) for uri in uris]
    return {**document, "redirect_uris": uris, "client_name": ""}


@pytest.mark.parametrize("key", NAMES)
def test_a_client_registers_here_as_in_the_replays(key: str) -> None:
    expected = filled(PROFILES[NAMES[key]].registration, scopes="a b", resource="")
    sent = find_profile(key).registration(("a", "b"), KEYCLOAK)
    assert without_varying_parts(sent) == without_varying_parts(expected)
    assert ("scope" in sent) == (SCOPES in str(PROFILES[NAMES[key]].registration.get("scope")))


@pytest.mark.parametrize("profile", CLIENT_PROFILES, ids=lambda profile: profile.key)
def test_each_profile_says_how_it_is_known(profile: Any) -> None:
    assert find_profile(f" {profile.key.upper()} ") is profile
    assert re.fullmatch(r"(ran|read), \d+ November 2026", str(profile.basis))
    assert profile.version or profile.hosted
    assert profile.basis.evidence is Evidence.READ or re.search(r"\d+\.\d+\.\d+$", profile.version)


def test_scopes_are_those_of_the_challenge_or_all_or_none() -> None:
    provider = {"scopes_supported": ["openid", "a", "offline_access", 7]}
    assert find_profile("cline").registration(("a", "b"), provider)["scope"] == "a b"
    assert find_profile("codex").authorization_scope(("a", "b"), provider) == "a b offline_access"
    assert find_profile("codex").authorization_scope(("a", "b"), {}) == "a b"
    assert find_profile("gemini").authorization_scope(("a",), provider) == "openid a offline_access"
    assert "scope" not in find_profile("copilot").registration(("a",), provider)
    assert find_profile("mcpjam").authorization_scope(("a",), provider) == ""


@pytest.mark.parametrize("value", [None, "x", {}, [None]])
def test_metadata_of_the_wrong_kind_counts_as_absent(value: Any) -> None:
    names = ("scopes_supported", "grant_types_supported", "token_endpoint_auth_methods_supported")
    for profile in CLIENT_PROFILES:
        document = profile.registration(("a",), dict.fromkeys(names, value))
        assert document == profile.registration(("a",), {})


def test_a_client_looks_for_metadata_where_it_looks() -> None:
    assert find_profile("codex").metadata_urls(ISSUER)[0].endswith("/.well-known/oauth-authorization-server/realms/mcp")
    assert find_profile("qwen").metadata_urls(ISSUER) == (
        "https://login.example.com/.well-known/oauth-authorization-server",
        "https://login.example.com/.well-known/openid-configuration",
    )


async def findings_as(client: str, change: Callable[[DoctorTestbed], None] = lambda _: None) -> list[Any]:
    testbed = DoctorTestbed(client=client)
    testbed.provider.document["authorization_response_iss_parameter_supported"] = True
    change(testbed)
    found = all_findings(await testbed.results())
    assert testbed.provider.registered == set()
    return found


@pytest.mark.parametrize(
    "profile", [p for p in CLIENT_PROFILES if not p.hosted and p.key != "qwen"], ids=lambda p: p.key
)
async def test_every_client_gets_the_login_page_and_leaves_nothing(profile: Any) -> None:
    testbed = DoctorTestbed(client=profile.key)
    testbed.token = testbed.provider.issuer.token()
    testbed.provider.document["authorization_response_iss_parameter_supported"] = True
    testbed.provider.document["scopes_supported"] += ["openid"]
    assert await testbed.findings() == []
    assert testbed.provider.registered == set()
    (document,) = testbed.provider.clients.values()
    assert document["client_name"] == profile.client_name
    logins = [line for line in testbed.provider.requests if "/auth?" in line]
    assert len(logins) == len(profile.login_redirects or (1,))


async def test_a_finding_names_the_client_its_version_and_what_it_sent() -> None:
    def refuse(_: Any, __: Any) -> HttpResponse:
        return HttpResponse(400, {}, b"<p class=alert-error>Invalid parameter: redirect_uri</p>")

    (found,) = await findings_as("codex", lambda testbed: setattr(testbed.provider, "authorizes", refuse))
    assert found.kind.name == "client_login_rejected"
    assert found.observed == (
        "Codex 0.171.0: with redirect_uri=http://127.0.0.1:35855/callback/N8QRaRvORX7F and "
        "scope=mcp:tools mcp:notes.read mcp:notes.write offline_access: 400 Invalid parameter: redirect_uri"
    )
    assert "any port of a loopback redirect URI" in found.fix


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (HttpResponse(500), "500"),
        (HttpResponse(302), "302"),
        (HttpResponse(303, {"location": "http://localhost:8787/callback?error=invalid_scope"}), "invalid_scope"),
        (HttpResponse(302, {"location": "http://localhost:8787/callback?error=x&error_description=why"}), "x why"),
        (HttpResponse(400, {}, b'{"error": "x", "error_description": "a reason"}'), "400 a reason"),
        (HttpResponse(403, {}, b"<title>Not you</title>"), "403 Not you"),
        (HttpResponse(400, {}, b"\xff\xfe<" + b"<p class=error>" * 5000), "400"),
    ],
)
async def test_a_response_that_leads_to_no_login_page_is_a_finding(response: HttpResponse, reason: str) -> None:
    found = await findings_as("cursor", lambda testbed: setattr(testbed.provider, "authorizes", lambda *_: response))
    assert [finding.kind.name for finding in found] == ["client_login_rejected"]
    assert found[0].observed.rpartition("offline_access: ")[2] in {reason, found[0].observed}
    assert found[0].observed.endswith(reason)


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse(200),
        HttpResponse(302, {"location": "/login"}),
        HttpResponse(303, {"location": "https://upstream.example.com/authorize?x=1"}),
    ],
)
async def test_a_page_or_the_way_to_one_is_a_login_page(response: HttpResponse) -> None:
    change = lambda testbed: setattr(testbed.provider, "authorizes", lambda *_: response)  # noqa: E731 - one use
    assert await findings_as("codex", change) == []


async def test_a_registration_without_a_client_id_is_removed_too() -> None:
    found = await findings_as(
        "codex", lambda testbed: setattr(testbed.provider, "registers", lambda _: (201, {"client_id": 7}))
    )
    assert [(finding.kind.name, finding.observed) for finding in found] == [
        ("client_cannot_register", "Codex 0.171.0: 201 without a client_id")
    ]


class SlowProvider:
    """A provider that holds its response to a registration until it is released, and records deletions."""

    def __init__(self) -> None:
        self.asked, self.released = asyncio.Event(), asyncio.Event()
        self.deleted: list[str] = []
        self.refuses_deletion = False

    async def respond(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "DELETE":
            self.deleted.append(str(request.url))
            return httpx2.Response(500 if self.refuses_deletion else 204, stream=httpx2.ByteStream(b""))
        self.asked.set()
        await self.released.wait()
        body = (
            b'{"client_id": "c1", "registration_access_token": "rat", '
            b'"registration_client_uri": "https://login.example.com/register/c1"}'
        )
        return httpx2.Response(201, stream=httpx2.ByteStream(body))


@pytest.mark.parametrize("moment", ["while the provider responds", "during the trial"])
@pytest.mark.parametrize("refuses_deletion", [False, True])
async def test_an_interruption_deletes_the_registration_or_says_that_it_remains(
    moment: str, *, refuses_deletion: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    provider, in_trial = SlowProvider(), asyncio.Event()
    provider.refuses_deletion = refuses_deletion
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(provider.respond)) as http:
        case = CheckContext("https://mcp.example.com/mcp", SafeHttpClient(http, "https://mcp.example.com/mcp"))
        case.provider = {"registration_endpoint": "https://login.example.com/register"}

        async def run() -> None:
            async with trial_registration(case, find_profile("codex"), "Codex"):
                in_trial.set()
                await asyncio.Event().wait()

        task = asyncio.ensure_future(run())
        await provider.asked.wait()
        if moment == "during the trial":
            provider.released.set()
            await in_trial.wait()
        task.cancel()
        provider.released.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert provider.deleted == ["https://login.example.com/register/c1"]
    output = capsys.readouterr().err
    assert ("could not be removed: Codex, client c1: 500" in output) == refuses_deletion


async def test_a_lost_response_is_said_to_leave_a_client_perhaps() -> None:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lost)) as http:
        case = CheckContext("https://mcp.example.com/mcp", SafeHttpClient(http, "https://mcp.example.com/mcp"))
        case.provider = {"registration_endpoint": "https://login.example.com/register"}
        async with trial_registration(case, find_profile("codex"), "Codex") as trial:
            assert not trial.succeeded
    (finding,) = trial.remaining
    assert "may have registered a client 'Codex'" in finding.observed


def lost(_: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadTimeout("too slow")
