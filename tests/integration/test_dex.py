"""Dex and its registration proxy: registrations, login pages and rejected requests."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.dex import PUBLIC_URL, REDIRECT, REQUESTED_SCOPES, Dex, running_dex
from tests.support.in_process import serving
from tests.support.keycloak.realm import claims

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.containers

# Redirect URIs that programs register according to their documentation, and the client id that each gets.
PROFILES = {
    "Claude Code": ["http://localhost:52341/callback"],
    "MCP Inspector": ["http://localhost:6274/oauth/callback"],
    "MCP Inspector, debugging": ["http://localhost:6274/oauth/callback/debug"],
    "Codex": ["http://127.0.0.1:1455/auth/callback"],
    "a program on IPv6": ["http://[::1]:4711/cb"],
    "Cursor": ["cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost:8787/callback"],
    "Claude.ai": ["https://claude.ai/api/mcp/auth_callback"],
    "VS Code": [
        "https://insiders.vscode.dev/redirect",
        "https://vscode.dev/redirect",
        "http://127.0.0.1/",
        "http://127.0.0.1:33418/",
    ],
}
# Every endpoint of Dex v2.45.1 (server/server.go) that the proxy does not forward, and the proxy's own files.
UNLISTED = [
    "/",
    "/device",
    "/device/auth/verify_code",
    "/device/code",
    "/device/token",
    "/device/callback",
    "/token/introspect",
    "/callback",
    "/callback/local",
    "/callback/x",
    "/auth/other",
    "/auth/other/login",
    "/healthz",
    "/healthz/live",
    "/healthz/ready",
    "/metrics",
    "/debug/pprof/",
    "/api",
    "/api.Dex/ListClients",
    "/policy.json",
    "/register.json",
    "/metadata.json",
    "/Caddyfile",
    "/config.yaml",
    "/.well-known/",
    "/theme/",
    "/static/",
]
# The same in other spellings, to bypass the path check.
DISGUISED = [
    r"//device/code",
    r"/./device/code",
    r"/static/../device/code",
    r"/static/%2e%2e/device/code",
    r"/static/..%2fdevice/code",
    r"/static//../device/code",
    r"/keys/../device/code",
    r"/keys%2f..%2fdevice",
    r"/%64evice/code",
    r"/DEVICE/code",
    r"/TOKEN",
    r"/token/",
    r"/token;x",
    r"/token%00",
    r"/token%20",
    r"/auth/",
    r"/auth//local",
    r"/auth/%6cocal",
    r"/%61uth",
    r"/keys\..\device",
    r"/.well-known/openid-configuration/",
    r"/.well-known%2fopenid-configuration",
]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def dex(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dex]:
    # At the highest level, because some tests assert that something is not logged.
    logger = {"level": "info", "format": "json"}
    with running_dex(tmp_path_factory.mktemp("dex"), dex={"logger": logger}) as server:
        yield server


@pytest.fixture(scope="module")
def native(dex: Dex) -> str:
    """Registers; returns the id of a client of the pool."""
    return str(dex.register(redirect_uris=[REDIRECT])["client_id"])


@pytest.mark.requirement("dex.registration", "dex.login")
@pytest.mark.parametrize("profile", PROFILES)
def test_a_client_registers_and_logs_a_user_in(dex: Dex, profile: str) -> None:
    for uri in PROFILES[profile]:
        client = dex.register(redirect_uris=PROFILES[profile], client_name=profile)
        assert (client["status"], client["redirect_uris"]) == (201, PROFILES[profile])
        assert client["client_name"] == profile
        tokens = dex.log_in("reader", client["client_id"], redirect_uri=uri)
        message = claims(tokens["access_token"])
        assert (message["aud"][0], message["azp"], message["groups"]) == (
            PUBLIC_URL,
            client["client_id"],
            ["mcp-reader"],
        )
        assert "email" not in message
        assert "refresh_token" in tokens


@pytest.mark.requirement("dex.registration")
def test_a_program_may_come_back_on_another_port(dex: Dex, native: str) -> None:
    assert "access_token" in dex.log_in("reader", native, redirect_uri="http://localhost:50001/elsewhere")


@pytest.mark.requirement("dex.registration_response")
def test_the_registration_response_names_what_the_client_gets(dex: Dex) -> None:
    requests = {"token_endpoint_auth_method": "client_secret_basic", "grant_types": ["client_credentials"]}
    got = dex.register(redirect_uris=[REDIRECT], scope="openid everything", jwks_uri="http://a.example/", **requests)
    assert got["status"] == 201
    assert got["token_endpoint_auth_method"] == "none"
    assert got["grant_types"] == ["authorization_code", "refresh_token"]
    assert set(got) & {"client_secret", "scope", "jwks_uri", "registration_access_token"} == set()


@pytest.mark.requirement("dex.registration_rejected")
@pytest.mark.parametrize(
    "uri",
    [
        "https://attacker.example/callback",
        "http://attacker.example/callback",
        "http://localhost.attacker.example/",
        "http://localhost@attacker.example/",
        "http://127.0.0.1.attacker.example/",
        "http://127.0.0.1:1@attacker.example/",
        "http://127.0.0.1:1\\@attacker.example/",
        "http://0x7f.1/",
        "https://localhost/callback",
        "http://localhost:1/#fragment",
        "http://localhost:1/?next=https://attacker.example",
        "http://localhost:1/%2e%2e",
        "http://localhost:1/\r\nLocation: https://attacker.example",
        "http://localhost:1/\n",
        " http://localhost:1/",
        "HTTP://localhost:1/",
        "javascript:alert(1)",
        "data:text/html,x",
        "urn:ietf:wg:oauth:2.0:oob",
        "https://vscode.dev/redirect?x",
        "https://vscode.dev/redirect/../x",
        "cursor://anysphere.cursor-mcp/oauth/callback2",
        "{{.Host}}",
        "",
        None,
        1,
        ["http://localhost:1/"],
        {"uri": "http://localhost:1/"},
    ],
)
def test_a_redirect_that_is_not_listed_is_rejected(dex: Dex, uri: object) -> None:
    for uris in ([uri], [REDIRECT, uri], [uri, REDIRECT]):
        got = dex.register(redirect_uris=uris)
        assert (got["status"], got["error"]) == (400, "invalid_redirect_uri")
        assert "vscode" in got["error_description"]


@pytest.mark.requirement("dex.registration_rejected")
@pytest.mark.parametrize(
    "uris", [[], None, REDIRECT, 1, {}, [REDIRECT] * 11, ["https://vscode.dev/redirect", PROFILES["Cursor"][0]]]
)
def test_redirects_that_are_none_too_many_or_of_two_vendors_are_rejected(dex: Dex, uris: object) -> None:
    got = dex.register(redirect_uris=uris)
    assert (got["status"], got["error"]) == (400, "invalid_redirect_uri")


@pytest.mark.requirement("dex.registration_rejected")
@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"x"', b"1", b"{", b'{"redirect_uris"', b"{} {}", b"\xff\xfe", b"\x00",
        b"redirect_uris=http://127.0.0.1:1/", b"[" * 60_000, b'{"a":' * 10_000,
        json.dumps({"redirect_uris": [REDIRECT], "client_name": "x" * 70_000}).encode(),
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_an_invalid_registration_is_rejected(dex: Dex, body: bytes) -> None:
    def in_chunks() -> Iterator[bytes]:
        yield body

    for content in (body, in_chunks()):
        got = httpx.post(f"{dex.issuer}/register", content=content, headers=JSON)
        assert (got.status_code, got.json()["error"]) == (400, "invalid_client_metadata")
        assert "server" not in got.headers


@pytest.mark.parametrize(
    "name",
    [
        '{{env "PATH"}}', "{{.Req.Host}}", '{{readFile "/Caddyfile"}}', "{env.PATH}", "{http.request.host}", "{$PATH}",
        '"}{{httpError 500}}', "</script><script>", "a\x00b", "\u202e",
        '\\u0022,"client_id":"x"', "é" * 200, "\U0001f600" * 60,
    ],
)  # fmt: skip
def test_text_of_a_registration_is_data(dex: Dex, name: str) -> None:
    got = dex.register(redirect_uris=[REDIRECT], client_name=name)
    assert got["status"] == 201
    assert name.startswith(got["client_name"].rstrip("\ufffd"))
    assert got["client_id"].startswith("mcp-native-")


def test_the_members_that_are_validated_are_those_that_are_returned(dex: Dex) -> None:
    good, evil = (f'"redirect_uris":["{uri}"]' for uri in (REDIRECT, "https://attacker.example/"))
    body = f'{{{evil},{good},"client_name":{{"a":1}}}}'
    got = httpx.post(f"{dex.issuer}/register", content=body, headers=JSON).json()
    assert (got["redirect_uris"], got["client_name"]) == ([REDIRECT], "MCP client")
    assert httpx.post(f"{dex.issuer}/register", content=f"{{{good},{evil}}}", headers=JSON).status_code == 400


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 201),
        ("Application/JSON; charset=utf-8", 201),
        ('application/json;charset="UTF-8"', 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/plain; x=application/json", 415),
        ("application/json, text/plain", 415),
        ("application/json; charset=utf-16", 415),
        ("", 415),
        (None, 415),
    ],
)
def test_a_registration_of_a_type_that_any_page_can_send_is_rejected(dex: Dex, kind: str | None, status: int) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    got = httpx.post(f"{dex.issuer}/register", content=json.dumps({"redirect_uris": [REDIRECT]}), headers=headers)
    assert got.status_code == status
    assert status == 201 or got.json()["error"] == "invalid_client_metadata"


@pytest.mark.requirement("dex.metadata")
def test_both_metadata_documents_are_identical_and_name_the_issuer(dex: Dex) -> None:
    one, other = (
        httpx.get(f"{dex.issuer}/.well-known/{name}") for name in ("oauth-authorization-server", "openid-configuration")
    )
    document = one.json()
    assert one.content == other.content
    assert one.headers["content-type"] == "application/json"
    assert document["issuer"] == dex.issuer
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["registration_endpoint"] == f"{dex.issuer}/register"
    assert {"mcp:tools", "mcp:admin", "offline_access"} <= set(document["scopes_supported"])
    for name, value in document.items():
        if name.endswith(("_endpoint", "_uri")):
            assert httpx.get(value).status_code != 404, name


@pytest.mark.parametrize("path", [*UNLISTED, *DISGUISED])
def test_what_is_not_listed_is_not_there(dex: Dex, path: str) -> None:
    for method in ("GET", "POST", "PUT", "OPTIONS", "CONNECT"):
        status, _ = raw(dex, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert status in {400, 404}, method


def test_dex_itself_counts_no_request_for_what_is_not_listed(dex: Dex) -> None:
    before = counted(dex)
    for path in (*UNLISTED, *DISGUISED):
        for method in ("GET", "POST"):
            raw(dex, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert counted(dex) == before
    assert httpx.get(f"{dex.issuer}/keys").status_code == 200
    assert sum(counted(dex).values()) == sum(before.values()) + 1  # the counter works


def counted(dex: Dex) -> dict[str, float]:
    """Returns Dex's own request counters, by endpoint, method and status."""
    requests = ["wget", "-q", "-O", "-", "http://127.0.0.1:5558/metrics"]
    output = dex.containers["dex"].get_wrapped_container().exec_run(requests).output.decode()
    lines = (line.rpartition(" ") for line in output.splitlines() if line.startswith("http_requests_total"))
    return {name: float(value) for name, _, value in lines}


@pytest.mark.parametrize(
    "target",
    ["http://dex:5556/device/code", "http://localhost/../device/code", "*", "dex:5556", "/device/code?x=/keys"],
)
def test_other_forms_of_a_request_lead_nowhere_else(dex: Dex, target: str) -> None:
    status, _ = raw(dex, f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert status in {400, 404}


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Content-Length: 4\r\nContent-Length: 40\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: +4\r\n",
    ],
)
def test_a_request_within_a_request_does_not_reach_dex(dex: Dex, head: str) -> None:
    lines = len(dex.logs().splitlines())
    inner = "GET /device/code HTTP/1.1\r\nHost: localhost\r\n\r\n"
    status, response = raw(dex, f"POST /token HTTP/1.1\r\nHost: localhost\r\n{head}\r\n0\r\n\r\n{inner}")
    assert status in {400, 401, 499, 501}  # 499: the proxy closed the connection
    assert "device" not in response
    assert "device" not in "\n".join(dex.logs().splitlines()[lines:])


@pytest.mark.requirement("dex.methods")
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/register", {"POST"}), ("/token", {"POST"}), ("/keys", {"GET", "HEAD"}), ("/userinfo", {"GET", "POST"}),
        ("/auth", {"GET"}), ("/auth/local", {"GET"}), ("/approval", {"GET", "POST"}),
        ("/.well-known/oauth-authorization-server", {"GET", "HEAD"}), ("/static/main.css", {"GET", "HEAD"}),
    ],
)  # fmt: skip
def test_a_method_that_has_no_use_is_rejected(dex: Dex, path: str, allowed: set[str]) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"):
        response = httpx.request(method, dex.issuer + path)
        assert (response.status_code == 405) == (method not in allowed), method
        if response.status_code == 405:
            assert allowed <= set(response.headers["allow"].split(", "))


@pytest.mark.requirement("dex.pkce")
@pytest.mark.parametrize(
    "query",
    [
        "",
        "code_challenge={c}",
        "code_challenge={c}&code_challenge_method=plain",
        "code_challenge={c}&code_challenge_method=s256",
        "code_challenge={c}&code_challenge_method=plain&code_challenge_method=S256",
        "code_challenge={c}&code_challenge_method=S256&code_challenge_method=plain",
        "code_challenge={c}&code_challenge={c}&code_challenge_method=S256",
        "code_challenge=&code_challenge_method=S256",
        "code_challenge=short&code_challenge_method=S256",
        "code_challenge={c}x&code_challenge_method=S256",
        "code_challenge={c}%0a&code_challenge_method=S256",
        "code_challenge_method=S256",
        "code_challenge={c}&code_challenge%5Fmethod=S256",
        "code_challenge={c};code_challenge_method=S256",
    ],
)
@pytest.mark.parametrize("start", ["/auth", "/auth/local"])
def test_no_login_begins_without_pkce_by_s256(dex: Dex, native: str, start: str, query: str) -> None:
    begun = f"response_type=code&client_id={native}&redirect_uri={REDIRECT}&" + query.format(c="x" * 43)
    response = httpx.get(f"{dex.issuer}{start}?{begun}")
    assert response.status_code == 400
    assert "location" not in response.headers


@pytest.mark.requirement("dex.pkce")
@pytest.mark.parametrize("kind", ["token", "id_token", "code id_token", "none", "CODE", "code ", ""])
def test_no_login_begins_for_anything_but_a_code(dex: Dex, native: str, kind: str) -> None:
    assert httpx.get(dex.authorization_url(native, response_type=kind)).status_code == 400


@pytest.mark.requirement("dex.pkce")
def test_a_code_is_worth_nothing_without_its_verifier(dex: Dex, native: str) -> None:
    form = {"grant_type": "authorization_code", "client_id": native, "redirect_uri": REDIRECT}
    for more in ({}, {"code_verifier": ""}, {"code_verifier": "y" * 43}):
        code = dex.visit("reader", dex.authorization_url(native))["code"]
        assert dex.token(**form, code=code, **more)["status"] == 400


@pytest.mark.requirement("dex.redirect_uris")
@pytest.mark.parametrize(
    "uri",
    ["https://attacker.example/", "http://localhost.attacker.example/", "https://localhost/", "//attacker.example"],
)
def test_dex_itself_redirects_only_to_a_client_s_own_uris(dex: Dex, native: str, uri: str) -> None:
    for client in (native, "mcp-vendor-vscode", PUBLIC_URL, "mcp-native-77777"):
        response = httpx.get(dex.authorization_url(client, redirect_uri=uri, start="/auth/local"))
        assert response.status_code in {400, 404}
        assert "location" not in response.headers


@pytest.mark.requirement("dex.redirect_uris")
@pytest.mark.parametrize(
    "name",
    [
        "redirect_uri",
        "client_id",
        "state",
        "redirect%5Furi",
        "client_id%00",
        "redirect+uri",
        "scope",
        "response_type",
        "code_challenge",
        "code_challenge_method",
        "Client_Id",
        "a=%0a&b",
        "a=%00&b",
        "a;client_id",
        "a=1;client_id",
    ],
)
def test_a_parameter_that_could_be_read_twice_is_rejected(dex: Dex, native: str, name: str) -> None:
    url = dex.authorization_url(native)
    for crafted in (f"{url}&{name}=x", url.replace("?", f"?{name}=x&")):
        assert httpx.get(crafted).status_code == 400


@pytest.mark.requirement("dex.redirect_uris")
@pytest.mark.parametrize(
    "back",
    [
        "https://attacker.example/",
        "//attacker.example",
        "/\\attacker.example",
        "javascript:x",
        "/\n//attacker.example",
        "/\t/attacker.example",
        "\x00//attacker.example",
        "/.//attacker.example",
    ],
)
def test_a_page_s_way_back_leads_nowhere_else(dex: Dex, native: str, back: str) -> None:
    begun = httpx.get(dex.authorization_url(native, start="/auth/local")).headers["location"]
    assert httpx.get(dex.issuer + begun).status_code == 200
    crafted = httpx.get(dex.issuer + begun, params={**httpx.URL(begun).params, "back": back})
    assert "attacker" not in crafted.text
    assert crafted.status_code == 400


@pytest.mark.requirement("dex.redirect_uris")
def test_the_resource_itself_is_no_client_to_log_in_with(dex: Dex) -> None:
    response = httpx.get(dex.authorization_url(PUBLIC_URL, start="/auth/local"))
    assert response.status_code == 400
    assert dex.token(grant_type="client_credentials", client_id=PUBLIC_URL)["status"] in {400, 401}


@pytest.mark.parametrize(
    ("requested", "offline"),
    [
        (REQUESTED_SCOPES, True),
        ("mcp:tools", False),
        ("", False),
        ("claudeai", False),
        ("openid email offline_access", True),
        ("offline_accessory", False), ("audience:server:client_id:mcp-native-00", False), ("x offline_access", True),
    ],
)  # fmt: skip
def test_a_login_grants_the_same_for_every_requested_scope_and_offline_access_on_request(
    dex: Dex, native: str, requested: str, *, offline: bool
) -> None:
    tokens = dex.log_in("writer", native, scope=requested)
    message = claims(tokens["access_token"])
    assert message["aud"] == [PUBLIC_URL, native]
    assert message["groups"] == ["mcp-writer"]
    assert ("refresh_token" in tokens) == offline


@pytest.mark.parametrize("state", ["%&+= {env.PATH} {{.Req}} é", "a" * 2000, "1+1=2&x", "%%{scope}"])
def test_the_state_comes_back_as_it_was(dex: Dex, native: str, state: str) -> None:
    assert dex.visit("reader", dex.authorization_url(native, state=state))["state"] == state


@pytest.mark.requirement("dex.grants")
@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "password", "username": "reader", "password": "reader", "scope": "openid"},
        {"grant_type": "client_credentials", "scope": "openid"},
        {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "x"},
        {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "x"},
    ],
)
def test_no_other_grant_returns_a_token(dex: Dex, native: str, form: dict[str, str]) -> None:
    got = dex.token(client_id=native, **form)
    assert got["status"] in {400, 401}
    assert "access_token" not in got


@pytest.mark.requirement("dex.pages")
def test_pages_cannot_be_framed_and_are_not_cached(dex: Dex, native: str) -> None:
    with httpx.Client(follow_redirects=True) as browser:
        page = browser.get(dex.authorization_url(native))
    assert "Log in" in page.text
    assert page.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    script = re.findall(r"<script[^>]*>(.*?)</script>", page.text, re.DOTALL)
    digest = hashlib.sha256(script[0].encode()).digest()
    assert f"'sha256-{base64.b64encode(digest).decode()}'" in page.headers["content-security-policy"]


@pytest.mark.requirement("dex.pages")
def test_a_page_in_a_browser_reads_listed_responses_only(dex: Dex) -> None:
    for origin, listed in (("http://localhost:6274", True), ("https://attacker.example", False), ("null", False)):
        for path in ("/register", "/token", "/keys", "/userinfo"):
            preflight = httpx.options(
                dex.issuer + path, headers={"origin": origin, "access-control-request-method": "POST"}
            )
            assert preflight.status_code == 204
            rejected = httpx.request(
                "GET" if path == "/keys" else "POST", dex.issuer + path, headers={"origin": origin}
            )
            for response in (preflight, rejected):
                assert (response.headers.get("access-control-allow-origin") == origin) == listed, path
                assert "access-control-allow-credentials" not in response.headers
        document = httpx.get(f"{dex.issuer}/.well-known/openid-configuration", headers={"origin": origin})
        assert document.headers["access-control-allow-origin"] == "*"


def test_bodies_and_headers_are_bounded(dex: Dex) -> None:
    assert httpx.post(f"{dex.issuer}/token", content=b"x" * 70_000).status_code == 413
    assert httpx.get(f"{dex.issuer}/keys", headers={"x": "y" * 40_000}).status_code == 431


def test_no_log_holds_a_password_a_code_or_a_token(dex: Dex, native: str) -> None:
    tokens = dex.log_in("admin", native, state="the-state-of-this-login")
    output = dex.logs() + dex.logs("front")
    for secret in (tokens["access_token"], tokens["refresh_token"], "the-state-of-this-login"):
        assert secret not in output
    assert not re.search(r"eyJ[\w-]{20,}\.[\w-]{20,}", output)


@pytest.mark.requirement("dex.refresh")
def test_two_clients_of_one_user_keep_their_refresh_tokens(dex: Dex) -> None:
    one, other = "mcp-native-01", "mcp-native-02"
    first = dex.log_in("reader", one)
    second = dex.log_in("reader", other)
    assert dex.refresh(one, first["refresh_token"])["status"] == 200
    assert dex.refresh(other, second["refresh_token"])["status"] == 200


def test_two_programs_of_one_user_with_the_same_client_invalidate_each_other_s_refresh_tokens(dex: Dex) -> None:
    first = dex.log_in("reader", "mcp-native-03")
    second = dex.log_in("reader", "mcp-native-03")
    assert dex.refresh("mcp-native-03", first["refresh_token"])["status"] == 400
    assert dex.refresh("mcp-native-03", second["refresh_token"])["status"] == 200


@pytest.mark.requirement("dex.refresh")
def test_another_client_s_refresh_token_is_rejected(dex: Dex) -> None:
    tokens = dex.log_in("reader", "mcp-native-04")
    assert dex.refresh("mcp-native-05", tokens["refresh_token"])["status"] in {400, 401}


def test_cancelling_grants_nothing_and_sends_the_client_no_response(dex: Dex, native: str) -> None:
    page = dex.visit("reader", dex.authorization_url(native), agree=False)
    assert "Approval rejected" in page["page"]


@pytest.mark.anyio
async def test_the_groups_of_a_user_are_the_scopes(dex: Dex, native: str) -> None:
    async with serving(dex.settings()) as server:
        for user, scopes in {
            "reader": ["mcp:notes.read", "mcp:tools"],
            "writer": ["mcp:notes.read", "mcp:notes.write", "mcp:tools"],
            "admin": ["mcp:admin", "mcp:notes.read", "mcp:notes.write", "mcp:tools"],
        }.items():
            response = await server.post(dex.log_in(user, native)["access_token"])
            assert response.status_code == 200
            assert all(f'\\"{scope}\\"' in response.text for scope in scopes)


@pytest.mark.anyio
async def test_a_user_without_a_group_is_rejected_without_a_challenge(dex: Dex, native: str) -> None:
    async with serving(dex.settings()) as server:
        response = await server.post(dex.log_in("nobody", native)["access_token"])
        assert response.status_code == 403
        assert "www-authenticate" not in response.headers
        assert "mcp-reader" in response.json()["error"]["message"]


@pytest.mark.anyio
@pytest.mark.requirement("dex.id_token")
async def test_an_id_token_of_a_login_is_rejected_and_one_of_a_refresh_cannot_be_recognized(dex: Dex) -> None:
    tokens = dex.log_in("reader", "mcp-native-06")
    refreshed = dex.refresh("mcp-native-06", tokens["refresh_token"])
    async with serving(dex.settings()) as server:
        assert await server.status(tokens["access_token"]) == 200
        assert await server.status(tokens["id_token"]) == 401
        assert await server.status(tokens["refresh_token"]) == 401
        assert await server.status(refreshed["access_token"]) == 200
        assert await server.status(refreshed["id_token"]) == 200  # Dex issues indistinguishable tokens: SECURITY.md


def raw(dex: Dex, request: str) -> tuple[int, str]:
    """Sends exactly these bytes; returns the status of the first response and everything received."""
    with socket.create_connection(("127.0.0.1", dex.port), timeout=10) as connection:
        connection.sendall(request.encode())
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
    text = received.decode(errors="replace")
    return int(text.split(" ")[1]), text
