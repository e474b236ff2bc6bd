"""`scripts/inspect` and `scripts/token`."""

from __future__ import annotations

import io
import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx2
import jwt
import pytest

from mcp_idp.access.policy import load_access
from mcp_idp.cli.common.console import StepReporter
from mcp_idp.cli.common.errors import LoginError
from mcp_idp.cli.common.redaction import Redactor
from mcp_idp.cli.common.safe_http import SafeHttpClient
from mcp_idp.cli.common.server_env import read_dotenv, server_environment
from mcp_idp.cli.common.stdin_token import TokenInputError, read_token
from mcp_idp.cli.common.token_summary import decode_unverified_claims
from mcp_idp.cli.doctor.context import CheckContext
from mcp_idp.cli.inspect.evaluation import JWT_RULES, RULE_DESCRIPTIONS, evaluate_token
from mcp_idp.cli.inspect.offline_verifier import StaticJwksTransport, open_verifiers
from mcp_idp.cli.subcommands import run
from mcp_idp.cli.token.grants import DEVICE_GRANT, DeviceFlowUnavailable, GrantRunner
from mcp_idp.config.client_signing_key import ClientSigningKey
from mcp_idp.config.settings import Settings
from mcp_idp.errors import TokenErrorReason
from mcp_idp.testing.issuer import NOW, Issuer, rsa_key
from tests.support.app import FakeClock
from tests.support.fake_mcp_server import PASSWORD, Fake, fake_login

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mcp_idp.cli.inspect.evaluation import TokenEvaluation


async def evaluation_of(token: str, issuer: Issuer | None = None, **settings: Any) -> TokenEvaluation:
    server_settings = Settings(**settings)
    keys = StaticJwksTransport(json.dumps({"keys": (issuer or Issuer()).keys}).encode())
    access, clock = load_access(server_settings.access_file), FakeClock().clock
    async with open_verifiers(server_settings, access, clock, transport=keys) as trusted:
        return await evaluate_token(token, trusted, access, clock)


def rules(evaluation: TokenEvaluation) -> list[str]:
    return [failure.rule for failure in evaluation.failures]


@pytest.mark.anyio
async def test_a_good_token_passes_every_rule() -> None:
    evaluation = await evaluation_of(Issuer().token())
    assert evaluation.accepted
    assert evaluation.passed == set(JWT_RULES)
    assert evaluation.principal is not None
    assert evaluation.principal.subject == "4f0c"


@pytest.mark.anyio
async def test_all_that_is_wrong_shows_at_once_and_in_the_servers_order() -> None:
    bad: dict[str, Any] = {
        "iss": "http://keycloak:8080/realms/mcp",
        "aud": "account",
        "typ": "ID",
        "sid": ...,
        "iat": NOW - 900,
    }
    evaluation = await evaluation_of(Issuer().token(exp=NOW - 600, **bad))
    assert rules(evaluation) == ["issuer", "audience", "expired", "token_type", "no_end_user"]
    first = evaluation.failures[0]
    assert (first.expected, first.got) == ("http://localhost:8080/realms/mcp", "http://keycloak:8080/realms/mcp")
    assert TokenErrorReason.SIGNATURE in evaluation.passed
    assert TokenErrorReason.LIFETIME in evaluation.passed
    assert not evaluation.passed & {TokenErrorReason(rule) for rule in rules(evaluation)}


@pytest.mark.anyio
async def test_a_forged_token_is_explained_and_not_trusted() -> None:
    evaluation = await evaluation_of(Issuer().token(key=rsa_key("stranger"), aud="account"))
    assert rules(evaluation) == ["signature", "audience"]
    assert not evaluation.accepted
    assert evaluation.principal is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("token", "rule"),
    [("opaque", "not_a_jwt"), ("a.b.c.d.e", "encrypted"), ("x" * 20000, "too_long"), ("e30.e30.e30", "algorithm")],
)
async def test_of_what_cannot_be_read_one_rule_is_named_and_the_rest_stays_open(token: str, rule: str) -> None:
    evaluation = await evaluation_of(token)
    assert rules(evaluation) == [rule]
    assert evaluation.passed == set(JWT_RULES[: JWT_RULES.index(TokenErrorReason(rule))])


@pytest.mark.anyio
async def test_a_token_without_the_base_scope_is_not_accepted() -> None:
    evaluation = await evaluation_of(Issuer().token(scope="openid"))
    assert not evaluation.accepted
    assert evaluation.missing_scope is not None
    assert "mcp:tools" in evaluation.missing_scope


@pytest.mark.anyio
@pytest.mark.parametrize("claims", [{"exp": NOW - 100, "nbf": NOW + 9000}, {"iat": "x"}, {"aud": [1]}, {"cnf": {}}])
async def test_evaluation_after_a_rejection_terminates(claims: dict[str, Any]) -> None:
    assert rules(await evaluation_of(Issuer().token(**claims)))


def test_every_rule_of_the_server_has_a_title() -> None:
    assert set(RULE_DESCRIPTIONS) == set(TokenErrorReason)
    assert list(RULE_DESCRIPTIONS)[: len(JWT_RULES)] == list(JWT_RULES)


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("OAUTH_SERVER_URL", "MCP_PUBLIC_URL", "MCP_PORT", "KEYCLOAK_PORT", "AUTH_TOKEN_MODE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": Issuer().keys}))
    return path


def inspect(monkeypatch: pytest.MonkeyPatch, text: str, *arguments: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    return run(["inspect", "--env-file", "there-is-none", *arguments])


FRESH: dict[str, Any] = {
    "iat": 0,
    "exp": 2**40,
}  # for a running clock; only the lifetime is rejected


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_rejected_token_is_explained_and_not_printed(
    key_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    token = Issuer().token(**FRESH, aud="account")
    assert inspect(monkeypatch, token, "--jwks", str(key_file), *options) == 1
    output = "".join(capsys.readouterr())
    assert "http://localhost:3000/mcp" in output
    assert "account" in output
    assert [part for part in token.split(".") if part in output] == []


def test_nothing_in_a_token_steers_the_terminal(
    key_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd: dict[str, Any] = {"\x1b[2J": "\x1b]0;owned\x07", "azp": "\u202e[bold]", "note": "x" * 9000}
    token = Issuer().token(**FRESH, **odd)
    assert inspect(monkeypatch, token, "--jwks", str(key_file)) == 1
    output = capsys.readouterr().out
    assert [c for c in output if c != "\n" and not c.isprintable()] == []
    assert "[bold]" in output
    assert max(map(len, output.splitlines())) < 2100


def test_a_token_as_an_argument_is_rejected(key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "eyJ.a.b"]) == 2
    output = "".join(capsys.readouterr())
    assert "process list" in output
    assert "eyJ.a.b" not in output


@pytest.mark.parametrize(("text", "code"), [("", 2), ("x" * 70000, 2), ('{"error": "x"}', 2), ("{", 2), ("opaque", 1)])
def test_the_exit_code_distinguishes_usage_from_rejection(
    key_file: Path, monkeypatch: pytest.MonkeyPatch, text: str, code: int
) -> None:
    assert inspect(monkeypatch, text, "--jwks", str(key_file)) == code


def test_a_token_that_the_server_would_accept_is_exit_code_0(
    key_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAX_TOKEN_LIFETIME", "1000000d")
    response = json.dumps({"access_token": Issuer().token(iat=0, exp=2**33), "token_type": "Bearer"})
    assert inspect(monkeypatch, response, "--jwks", str(key_file)) == 0
    assert "ACCEPTED: subject 4f0c" in capsys.readouterr().out


def test_without_keys_the_exit_code_is_3(
    key_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OAUTH_SERVER_URL", "http://localhost:1/realms/mcp")
    assert inspect(monkeypatch, Issuer().token()) == 3
    assert "UNKNOWN" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["x", "Bearer x", " bearer  x\n", '{"access_token": "x"}'])
def test_a_token_is_read_however_it_is_wrapped(text: str) -> None:
    assert read_token(io.StringIO(text)) == "x"


def test_an_unreadable_key_set_is_reported(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert inspect(monkeypatch, "x", "--jwks", str(key_file.with_name("missing.json"))) == 2
    key_file.write_bytes(b" " * (600 * 1024))
    assert inspect(monkeypatch, "x", "--jwks", str(key_file)) == 2
    with pytest.raises(TokenInputError):
        read_token(io.StringIO("Bearer "))


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(
        "# a comment\n"
        "export OAUTH_SERVER_URL='https://login.example.com/' # quoted\n"
        'JWT_AUDIENCE="api://mcp"\n'
        "CLOCK_LEEWAY=10 # seconds\n"
        "OAUTH_INTERNAL_URL=http://keycloak:8080/realms/mcp\n"
        "MCP_PORT=3100\n"
        "no line of this kind\n"
    )
    assert server_environment({"CLOCK_LEEWAY": "20"}, dotenv) == {
        "OAUTH_SERVER_URL": "https://login.example.com/",
        "JWT_AUDIENCE": "api://mcp",
        "CLOCK_LEEWAY": "20",
        "MCP_PORT": "3100",
        "MCP_PUBLIC_URL": "http://localhost:3100/mcp",  # as docker-compose.yml derives it
    }
    assert read_dotenv(tmp_path / "missing") == {}
    keycloak = "http://localhost:8180/realms/mcp"
    assert server_environment({"KEYCLOAK_PORT": "8180"}, tmp_path)["OAUTH_SERVER_URL"] == keycloak
    assert server_environment({"KEYCLOAK_PORT": "8180", "DEX_PORT": "5600"}, tmp_path)["OAUTH_SERVER_URL"] == keycloak
    assert server_environment({"DEX_PORT": "5600"}, tmp_path)["OAUTH_SERVER_URL"] == "http://localhost:5600"
    both = {"DEX_PORT": "5600", "OAUTH_SERVER_URL": "https://x"}
    assert server_environment(both, tmp_path)["OAUTH_SERVER_URL"] == "https://x"


def test_the_access_file_of_env_is_the_containers_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    dotenv = tmp_path / ".env"
    dotenv.write_text("ACCESS_FILE=idp-config/team.yaml\n")
    assert server_environment({}, dotenv) == {"ACCESS_FILE": str(tmp_path / "idp-config" / "team.yaml")}
    assert server_environment({"ACCESS_FILE": "mine.yaml"}, dotenv) == {"ACCESS_FILE": "mine.yaml"}
    dotenv.write_text("ACCESS_FILE=\n")
    assert server_environment({}, dotenv) == {"ACCESS_FILE": ""}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setenv("MCP_PASSWORD", PASSWORD)
    for name in ("CONNECT_TO", "ACCESS_FILE", "MCP_PUBLIC_URL", "MCP_PORT", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with fake_login() as running:
        monkeypatch.setenv("OAUTH_SERVER_URL", running.url)
        running.management = {"registration_client_uri": f"{running.url}/c/1", "registration_access_token": "the-rat"}
        yield running


@pytest.mark.requirement("token.deregistration")
@pytest.mark.parametrize("accepted", [True, False])
def test_the_token_stands_alone_on_standard_output(
    fake: Fake, capsys: pytest.CaptureFixture[str], *, accepted: bool
) -> None:
    fake.accepts_token = accepted  # irrelevant here
    assert run(["token", "--url", fake.resource, "--headless", "--user", "ada"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{fake.token}\n"
    assert "STEP 7" in captured.err
    assert [secret for secret in (*fake.secrets(), "the-rat") if secret in captured.err] == []
    assert fake.removals == [("/c/1", "Bearer the-rat")]


def test_json_holds_the_token_and_its_claims(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["token", "--url", fake.resource, "--headless", "--user", "ada", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "url": fake.resource,
        "access_token": fake.token,
        "token_type": "Bearer",
        "claims": decode_unverified_claims(fake.token),
    }
    assert fake.token not in captured.err


def test_the_registration_is_kept_on_request(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["token", "--url", fake.resource, "--headless", "--user", "ada", "--keep"]) == 0
    assert fake.removals == []


def test_without_a_login_there_is_no_token(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.requires_login = False
    assert run(["token", "--url", fake.resource, "--headless", "--user", "ada"]) == 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "requires no login" in captured.err


def test_a_fault_during_the_login_is_reported_as_a_finding(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.responses["/.well-known/oauth-authorization-server"] = (200, {"issuer": "http://other.example/"})
    assert run(["token", "--url", fake.resource, "--flow", "device"]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "issuer differs" in captured.err
    assert "mcp-idp doctor" in captured.err


@pytest.mark.requirement("token.client_credentials")
@pytest.mark.parametrize("content", ["", None])
def test_a_secret_that_is_not_there_is_a_wrong_command_line(fake: Fake, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
    for arguments in (["--client-id", "x"], []):
        assert run(["token", "--url", fake.resource, "--client-secret-file", str(path), *arguments]) == 2


@pytest.mark.requirement("token.client_credentials")
def test_a_server_does_not_choose_who_sees_a_secret(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "secret"
    path.write_text("s3cret-of-ours\n")
    arguments = ["--url", fake.resource, "--client-id", "nightly", "--client-secret-file", str(path)]
    fake.responses["/token"] = (200, {"access_token": "the-token"})
    monkeypatch.setenv("OAUTH_SERVER_URL", "https://login.example.com/")
    assert run(["token", *arguments]) == 4
    assert "nothing was sent" in capsys.readouterr().err
    monkeypatch.setenv("OAUTH_SERVER_URL", fake.url)
    assert run(["token", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.out == "the-token\n"
    assert "s3cret-of-ours" not in captured.err


class Device:
    """The endpoints of RFC 8628 at a provider; `responses` are those of the token endpoint, in order."""

    def __init__(self, *responses: dict[str, Any]) -> None:
        self.responses = list(responses)
        self.forms: list[dict[str, list[str]]] = []
        self.headers: list[httpx2.Headers] = []
        self.slept: list[float] = []
        self.begun: dict[str, Any] = {
            "device_code": "the-device-code",
            "user_code": "WDJB-MJHT",
            "verification_uri": "https://login.example.com/device",
            "interval": 7,
        }

    async def respond(self, request: httpx2.Request) -> httpx2.Response:
        self.headers.append(request.headers)
        if request.url.path == "/register":
            return self._json(201, {"client_id": "made-here", "registration_access_token": "rat"})
        self.forms.append(parse_qs((await request.aread()).decode()))
        if request.url.path == "/device":
            return self._json(200, self.begun)
        response = self.responses.pop(0)
        return self._json(200 if "access_token" in response else 400, response)

    def _json(self, status: int, document: dict[str, Any]) -> httpx2.Response:
        return httpx2.Response(status, stream=httpx2.ByteStream(json.dumps(document).encode()))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def flow(self, http: httpx2.AsyncClient) -> GrantRunner:
        url = "https://mcp.example.com/mcp"
        case = CheckContext(url, SafeHttpClient(http, url))
        case.provider = {
            "device_authorization_endpoint": "https://login.example.com/device",
            "token_endpoint": "https://login.example.com/token",
            "registration_endpoint": "https://login.example.com/register",
        }
        return GrantRunner(case, StepReporter(None, Redactor()), "mcp:tools", sleep=self.sleep)

    def http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self.respond))


PENDING = {"error": "authorization_pending"}


@pytest.mark.anyio
@pytest.mark.requirement("token.device_flow")
async def test_the_device_flow_polls_at_the_requested_interval() -> None:
    device = Device(PENDING, PENDING, {"error": "slow_down"}, PENDING, {"access_token": "the-token"})
    async with device.http() as http:
        flow = device.flow(http)
        assert await flow.device_authorization(None, 60) == "the-token"
    assert device.slept == [7, 7, 12, 12]
    begun, *polls = device.forms
    assert begun["client_id"] == ["made-here"]
    assert (begun["scope"], begun["resource"]) == (["mcp:tools"], ["https://mcp.example.com/mcp"])
    assert {poll["grant_type"][0] for poll in polls} == {DEVICE_GRANT}
    assert len({poll["code_verifier"][0] for poll in polls}) == 1
    assert flow.narrator.secrets.redact("the-token the-device-code rat") == "<hidden> <hidden> <hidden>"


@pytest.mark.anyio
@pytest.mark.requirement("token.device_flow")
@pytest.mark.parametrize("error", ["access_denied", "expired_token", "invalid_grant", ""])
async def test_the_device_flow_ends_with_the_reason(error: str) -> None:
    device = Device(PENDING, {"error": error})
    async with device.http() as http:
        with pytest.raises(LoginError) as failed:
            await device.flow(http).device_authorization("known", 60)
    assert error in failed.value.message


@pytest.mark.anyio
@pytest.mark.requirement("token.device_flow")
async def test_no_code_is_printed_where_the_provider_rejects_the_flow() -> None:
    device = Device({"error": "unauthorized_client"})
    async with device.http() as http:
        with pytest.raises(DeviceFlowUnavailable):
            await device.flow(http).device_authorization("known", 60)
    assert device.slept == []


@pytest.mark.anyio
@pytest.mark.requirement("token.device_flow")
@pytest.mark.parametrize(
    "junk", [{"device_code": 7}, {"verification_uri": "javascript:alert(1)"}, {"verification_uri": None}]
)
async def test_a_verification_uri_that_is_no_web_page_is_rejected(junk: dict[str, Any]) -> None:
    device = Device()
    device.begun |= junk
    async with device.http() as http:
        with pytest.raises(DeviceFlowUnavailable):
            await device.flow(http).device_authorization("known", 60)


@pytest.mark.anyio
@pytest.mark.requirement("token.device_flow")
@pytest.mark.parametrize(("interval", "waits"), [(-1, 5), (0, 5), ("9", 5), (True, 5), (10**9, 5), (1, 1), (None, 5)])
async def test_an_invalid_interval_is_ignored(interval: object, waits: float) -> None:
    device = Device(PENDING, {"access_token": "t"})
    device.begun["interval"] = interval
    async with device.http() as http:
        await device.flow(http).device_authorization("known", 60)
    assert device.slept == [waits]


@pytest.mark.anyio
@pytest.mark.requirement("token.client_credentials")
@pytest.mark.parametrize("methods", [["client_secret_basic"], ["client_secret_post"], None])
async def test_a_secret_obtains_the_clients_own_token(methods: list[str] | None) -> None:
    device = Device({"access_token": "the-token"})
    async with device.http() as http:
        flow = device.flow(http)
        flow.case.provider["token_endpoint_auth_methods_supported"] = methods
        assert await flow.client_credentials("https://a client", "s:ecret") == "the-token"
    (form,) = device.forms
    assert form["grant_type"] == ["client_credentials"]
    if methods == ["client_secret_post"]:
        assert form["client_secret"] == ["s:ecret"]
    else:
        scheme, _, pair = device.headers[0]["authorization"].partition(" ")
        assert (scheme, b64decode(pair)) == ("Basic", b"https%3A%2F%2Fa+client:s%3Aecret")
        assert "client_secret" not in form
    assert flow.narrator.secrets.redact("s:ecret") == "<hidden>"


@pytest.mark.anyio
@pytest.mark.requirement("token.client_credentials")
async def test_a_rejected_secret_is_reported_in_the_providers_words() -> None:
    device = Device({"error": "invalid_client", "error_description": "wrong: s3cret-words"})
    async with device.http() as http:
        with pytest.raises(LoginError) as failed:
            await device.flow(http).client_credentials("x", "s3cret-words")
    assert "invalid_client" in failed.value.message or "wrong" in failed.value.message


@pytest.mark.anyio
@pytest.mark.requirement("token.client_credentials")
async def test_a_key_obtains_the_clients_own_token_and_is_never_sent() -> None:
    key = ClientSigningKey("RS256", rsa_key("machine"))
    device = Device({"access_token": "the-token"})
    async with device.http() as http:
        flow = device.flow(http)
        flow.case.issuer = "https://login.example.com/"
        assert await flow.client_credentials("importer", key) == "the-token"
    (form,) = device.forms
    (assertion,) = form["client_assertion"]
    claims = jwt.decode(assertion, key.private.public_key(), algorithms=["RS256"], audience=flow.case.issuer)
    assert (claims["iss"], claims["sub"]) == ("importer", "importer")
    assert "client_secret" not in form
    assert flow.narrator.secrets.redact(assertion) == "<hidden>"


@pytest.mark.requirement("token.client_credentials")
def test_a_key_and_a_secret_at_once_or_no_key_are_a_wrong_command_line(fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no key")
    one = ["--client-key-file", str(tmp_path / "file")]
    for arguments in (one, [*one, "--client-id", "x"], [*one, "--client-id", "x", "--client-secret-file", one[1]]):
        assert run(["token", "--url", fake.resource, *arguments]) == 2
