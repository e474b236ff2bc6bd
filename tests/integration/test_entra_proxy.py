"""The registration proxy for Entra: real Caddy, a fake Entra that rejects `resource`, the official Python client."""

from __future__ import annotations

import asyncio
import os
import socket
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import httpx2
import pytest
import yaml
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata
from pydantic import AnyUrl

from mcp_idp.cli.bootstrap.entra.proxy_files import proxy_files
from mcp_idp.cli.bootstrap.entra.settings import EntraSettings
from mcp_idp.cli.login.html_forms import read_page
from mcp_idp.config.settings import Settings
from tests.support.compose_stack import REPOSITORY, free_port
from tests.support.fake_entra import API, CLIENT, PREFIX, running_entra
from tests.support.keycloak.realm import pkce_pair
from tests.support.mcp_server_process import serving_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp.shared.auth import OAuthToken

    from tests.support.fake_entra import Entra

pytestmark = [pytest.mark.containers, pytest.mark.anyio]
REDIRECT = "http://localhost:33333/callback"
_READY_SECONDS = 60


@dataclass
class Proxy:
    """A running proxy."""

    url: str
    entra: Entra
    variables: dict[str, str]

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=30, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", timeout=30, **options)

    def login_query(self, **changes: str) -> dict[str, str]:
        _, pkce = pkce_pair()
        query = {"response_type": "code", "client_id": CLIENT, "redirect_uri": REDIRECT, "scope": f"{PREFIX}mcp:tools"}
        return {**query, "state": "s&<\"'", "resource": "http://localhost:9/mcp", **pkce, **changes}


@contextmanager
def running_proxy(folder: Path, entra: Entra, port: int, variables: dict[str, str]) -> Iterator[Proxy]:
    """Starts the proxy as docker-compose.entra.yml does, except for network and port; stops it at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of testcontainers at import
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - contacts the engine at import

    service = yaml.safe_load((REPOSITORY / "docker-compose.entra.yml").read_text(encoding="utf-8"))["services"]["front"]
    files = {n.removeprefix("front/"): text for n, text in proxy_files(EntraSettings.load(variables)).items()}
    (folder / "front").mkdir()
    for name, text in files.items():
        (folder / "front" / name).write_text(text.replace("\n:5557 {", f"\n:{port} {{"), encoding="utf-8")
    container = DockerContainer(
        service["image"],
        read_only=True,
        cap_drop=["ALL"],
        cap_add=service["cap_add"],
        security_opt=["no-new-privileges:true"],
        user=str(os.getuid()),
        network_mode="host",  # so that Entra has the same address for the proxy and for browsers
    )
    container.with_command(service["command"]).with_tmpfs_mount("/tmp")  # noqa: S108 - the container's
    container.with_volume_mapping(str(folder / "front"), "/run/idp/front", "ro")
    container.env = service["environment"]
    proxy = Proxy(f"http://localhost:{port}", entra, variables)
    try:
        container.start()
        _wait(proxy)
        yield proxy
    finally:
        container.stop()


def _wait(proxy: Proxy) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if proxy.get("/.well-known/oauth-authorization-server").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)  # polls, because the process does not signal that it is ready
    raise TimeoutError("the proxy was not ready")


@pytest.fixture(scope="module")
def proxy(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("front")
    content = yaml.safe_load(Settings().access_file.read_text(encoding="utf-8"))
    (folder / "access.yaml").write_text(yaml.safe_dump({**content, "scope_prefix": PREFIX}))
    (folder / "entra").symlink_to(REPOSITORY / "idp-config" / "entra")
    port, own = free_port(), free_port()
    with running_entra() as entra:
        variables = {
            "OAUTH_SERVER_URL": f"http://localhost:{port}",
            "OAUTH_PROVIDER": "entra",
            "JWT_ISSUER": entra.issuer,
            "JWT_AUDIENCE": API,
            "MCP_PUBLIC_URL": f"http://localhost:{own}/mcp",
            "PORT": str(own),
            "FRONT_CLIENT_ID": CLIENT,
            "ACCESS_FILE": str(folder / "access.yaml"),
        }
        with running_proxy(folder, entra, port, variables) as running:
            yield running


@dataclass
class Browser:
    """The client's storage, and a user who is logged in at Entra and submits the proxy's consent page."""

    client: OAuthClientInformationFull | None = None
    tokens: OAuthToken | None = None
    pages: list[str] = field(default_factory=list)
    _back: dict[str, str] = field(default_factory=dict)

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info

    async def go(self, url: str) -> None:
        self._back = await asyncio.to_thread(agree, url, self.pages)

    async def come_back(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(code=self._back.get("code", ""), state=self._back.get("state"))


def agree(url: str, pages: list[str]) -> dict[str, str]:
    """Submits the consent page and follows to the client's redirect URI; returns the parameters there."""
    with httpx.Client(timeout=30) as browser:
        page = browser.get(url)
        pages.append(page.text)
        (form,) = read_page(page.text, url).forms
        query = {field.name: field.value for field in form.fields}
        onward = browser.get(form.action, params=query)
        assert onward.status_code == 302, onward.text
        back = browser.get(onward.headers["location"])
    assert back.status_code == 302, back.text
    return {name: values[0] for name, values in parse_qs(urlsplit(back.headers["location"]).query).items()}


async def test_the_official_client_unmodified_registers_logs_in_and_calls_a_tool(proxy: Proxy, tmp_path: Path) -> None:
    url, browser = proxy.variables["MCP_PUBLIC_URL"], Browser()
    metadata = OAuthClientMetadata(client_name="official", redirect_uris=[AnyUrl(REDIRECT)])
    auth = OAuthClientProvider(url, metadata, browser, browser.go, browser.come_back)
    with serving_process(proxy.variables, tmp_path / "server.log"):
        async with (
            httpx2.AsyncClient(auth=auth, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            message = await client.call_tool("whoami", {})
    assert browser.client is not None
    assert browser.client.client_id == CLIENT
    assert message.structured_content is not None
    assert message.structured_content["client"] == CLIENT
    assert "mcp:tools" in message.structured_content["scopes"]
    assert browser.tokens is not None
    assert browser.tokens.refresh_token
    assert all("resource" not in query for query in proxy.entra.logins)
    assert all("resource" not in form for form, _ in proxy.entra.forms)


@pytest.mark.requirement("registration_proxy.resource_parameter")
def test_entra_alone_rejects_what_clients_send(proxy: Proxy) -> None:
    tenant = proxy.entra.issuer.removesuffix("/v2.0")
    response = httpx.get(f"{tenant}/oauth2/v2.0/authorize?{urlencode(proxy.login_query())}")
    assert response.status_code == 400
    assert "AADSTS901002" in response.text


@pytest.mark.requirement("registration_proxy.consent")
def test_the_user_is_asked_each_time_and_sees_the_redirect_uri(proxy: Proxy) -> None:
    evil = 'http://localhost:1/callback?"><script>alert(1)</script>{{placeholder "env.HOME"}}'
    page = proxy.get("/authorize", params=proxy.login_query(redirect_uri=evil))
    assert page.status_code == 200
    assert "<script>" not in page.text
    assert evil in unescape(page.text)
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert (
        proxy.entra.logins == []
        or "redirect_uri" not in str(proxy.entra.logins[-1])
        or evil not in str(proxy.entra.logins)
    )


@pytest.mark.requirement("registration_proxy.consent")
@pytest.mark.parametrize("cookie", [None, "", "00000000-0000-4000-8000-000000000000"])
@pytest.mark.parametrize("consent", [None, "", "11111111-0000-4000-8000-000000000000"])
def test_a_link_past_the_page_leads_nowhere(proxy: Proxy, cookie: str | None, consent: str | None) -> None:
    before = len(proxy.entra.logins)
    query = proxy.login_query() | ({} if consent is None else {"consent": consent})
    headers = {} if cookie is None else {"Cookie": f"consent={cookie}"}
    response = proxy.get("/authorize/agreed", params=query, headers=headers)
    assert response.status_code == 400
    assert len(proxy.entra.logins) == before


# What one parser skips or reads as a value, and another as a second grant, client or challenge.
HIDDEN = (
    "a=\n&grant_type=password&username=a&password=b",
    "a=\r\n&grant_type=password&username=a&password=b",
    "a=\x00&grant_type=password",
    "a=\u2028&grant_type=password",
    "a=%0a&b=c",
    "a=%00",
    "a=1;grant_type=password",
    "a=%zz",
    "a=%",
    "a",
    "&a=b",
    "grant_type&a=b",
    "grant%5ftype=password",
    "Grant_Type=password",
    "grant_type[]=password",
    "code_verifier=a&code_verifier=b",
    "&".join(f"a{'a' * n}=b" for n in range(40)),
)
HIDDEN_IN_A_QUERY = (
    "code_challenge=",
    "code_challenge_method=plain",
    "response_type=token",
    "scope=other",
    "x#",
    "x=#",
    "x=1;client_id=other",
    "x=%0a",
    "x=%0d%0aset-cookie:a",
    "x=%00",
    "x=%7f",
    "%72esponse_type=token",
)


@pytest.mark.parametrize("part", HIDDEN_IN_A_QUERY)
def test_a_login_that_could_be_read_in_two_ways_does_not_begin(proxy: Proxy, part: str) -> None:
    whole = urlencode(proxy.login_query())
    for path in ("/authorize", "/authorize/agreed"):
        for query in (f"{whole}&{part}", f"{part}&{whole}"):
            with socket.create_connection(("127.0.0.1", urlsplit(proxy.url).port or 80), timeout=30) as connection:
                host = urlsplit(proxy.url).netloc
                head = f"GET {path}?{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode())  # as it is: a client library would escape it
                assert b" 400 " in connection.makefile("rb").readline()


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-www-form-urlencoded; charset=utf-7"},
        {"Content-Type": "application/x-www-form-urlencoded; charset=ibm500"},
        {"Content-Type": "application/x-www-form-urlencoded, application/json"},
        {"Content-Type": "multipart/form-data; boundary=a"},
        {"Content-Type": ""},
        {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"},
    ],
)
def test_a_form_of_another_encoding_is_not_passed_on(proxy: Proxy, headers: dict[str, str]) -> None:
    before = len(proxy.entra.forms)
    form = f"grant_type=refresh_token&refresh_token=x&client_id={CLIENT}"
    assert proxy.post("/token", content=form, headers=headers).status_code == 400
    plain = {"Content-Type": "application/x-www-form-urlencoded"}
    assert proxy.post("/token?grant_type=password", content=form, headers=plain).status_code == 400
    assert len(proxy.entra.forms) == before
    plain["Content-Type"] += "; charset=UTF-8"
    assert (proxy.post("/token", content=form, headers=plain).status_code, len(proxy.entra.forms)) == (400, before + 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "somebody-else"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
        {"response_type": "token"},
        {"response_type": "code id_token"},
        {"redirect_uri": ""},
        {"Redirect_Uri": "https://claude.ai/api/mcp/auth_callback"},
    ],
)
def test_an_invalid_authorization_request_is_rejected(proxy: Proxy, changes: dict[str, str]) -> None:
    for path in ("/authorize", "/authorize/agreed"):
        assert proxy.get(path, params=proxy.login_query(**changes)).status_code == 400
    twice = urlencode(proxy.login_query()) + "&redirect_uri=https%3A%2F%2Fevil.example"
    assert proxy.get(f"/authorize?{twice}").status_code == 400
    assert proxy.get(f"/authorize?{urlencode(proxy.login_query())}&re%73ource=x").status_code == 400


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("grant_type=refresh_token&refresh_token=x&client_id={}&resource=a&resource=b", 400),
        ("grant_type=refresh_token&refresh_token=x&client_id={}&re%73ource=a", 400),
        ("grant_type=refresh_token&refresh_token=x&client_id=other", 401),
        ("grant_type=refresh_token&refresh_token=x", 401),
        ("grant_type=refresh_token&refresh_token=x&client_id={}&client_id=other", 400),
        ("grant_type=refresh_token&refresh_token=x&client_id={}&Client_Id=other", 400),
        ("grant_type=password&username=a&password=b&client_id={}", 400),
        ("grant_type=refresh_token&grant_type=password&username=a&password=b&client_id={}", 400),
        ("refresh_token=x&client_id={}", 400),
        *[(f"grant_type=authorization_code&client_id={{}}&{part}", 400) for part in HIDDEN],
    ],
)
def test_a_token_request_that_could_be_read_in_two_ways_is_not_passed_on(proxy: Proxy, form: str, status: int) -> None:
    before = len(proxy.entra.forms)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert proxy.post("/token", content=form.replace("{}", CLIENT), headers=headers).status_code == status
    assert proxy.post("/token", json={"client_id": CLIENT}).status_code == 400
    assert len(proxy.entra.forms) == before


@pytest.mark.parametrize("place", [0, 1, 3])
def test_the_resource_parameter_is_removed_wherever_it_stands_and_nothing_else(proxy: Proxy, place: int) -> None:
    members = ["grant_type=refresh_token", f"client_id={CLIENT}", "refresh_token=a%26resource%3Db"]
    members.insert(place, "resource=http%3A%2F%2Flocalhost%3A9%2Fmcp")
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": "a=b", "Authorization": "Basic eDp5"}
    response = proxy.post("/token", content="&".join(members), headers=headers)
    assert (response.status_code, response.json()) == (400, {"error": "invalid_grant"})
    assert "set-cookie" not in response.headers
    form, seen = proxy.entra.forms[-1]
    assert form == {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": "a&resource=b"}
    assert not {"cookie", "authorization", "origin"} & set(seen)


@pytest.mark.requirement("registration_proxy.registration")
@pytest.mark.parametrize(
    ("uris", "status"),
    [
        ([REDIRECT], 201),
        (["http://127.0.0.1:1/callback"], 201),
        (["https://claude.ai/api/mcp/auth_callback"], 201),
        (["https://evil.example/callback"], 400),
        ([REDIRECT, "https://evil.example/callback"], 400),
        (["http://localhost.evil.example/callback"], 400),
        ([], 400),
        ("x", 400),
    ],
)
def test_the_client_id_is_handed_out_within_the_profile_only(proxy: Proxy, uris: Any, status: int) -> None:
    response = proxy.post("/register", json={"redirect_uris": uris, "client_name": '"}{{env "HOME"}}'})
    assert response.status_code == status
    assert response.json().get("client_id") == (CLIENT if status == 201 else None)
    if status == 201:
        assert response.json()["client_name"] == '"}{{env "HOME"}}'
        assert "client_secret" not in response.json()


@pytest.mark.requirement("registration_proxy.metadata")
def test_the_metadata_says_what_is_true(proxy: Proxy) -> None:
    document = proxy.get("/.well-known/oauth-authorization-server").json()
    assert document["issuer"] == proxy.url
    assert document["jwks_uri"].startswith(proxy.entra.url)
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert f"{PREFIX}mcp:tools" in document["scopes_supported"]
    assert "openid" not in document["scopes_supported"]
    assert "authorization_response_iss_parameter_supported" not in document  # RFC 9207: Entra does not send `iss`
    assert proxy.get("/.well-known/openid-configuration").status_code == 404


@pytest.mark.requirement("registration_proxy.consent")
def test_over_tls_too_the_form_counts_with_its_own_cookie_only(proxy: Proxy, tmp_path: Path) -> None:
    (tmp_path / "entra").symlink_to(REPOSITORY / "idp-config" / "entra")
    content = yaml.safe_load(Path(proxy.variables["ACCESS_FILE"]).read_text(encoding="utf-8"))
    content["registration"]["profile"] = "loopback-only"
    (tmp_path / "access.yaml").write_text(yaml.safe_dump(content))
    public = {"OAUTH_SERVER_URL": "https://login.example.com", "MCP_PUBLIC_URL": "https://mcp.example.com/mcp"}
    variables = {**proxy.variables, **public, "ACCESS_FILE": str(tmp_path / "access.yaml")}
    with running_proxy(tmp_path, proxy.entra, free_port(), variables) as behind_tls:
        page = behind_tls.get("/authorize", params=behind_tls.login_query())
        cookie, *markers = page.headers["set-cookie"].split("; ")
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(markers)
        name, _, number = cookie.partition("=")
        assert name == "__Host-consent"
        query = behind_tls.login_query(consent=number)
        assert behind_tls.get("/authorize/agreed", params=query).status_code == 400
        other = {"Cookie": f"consent={number}"}
        assert behind_tls.get("/authorize/agreed", params=query, headers=other).status_code == 400
        agreed = behind_tls.get("/authorize/agreed", params=query, headers={"Cookie": cookie})
    assert agreed.status_code == 302
    assert agreed.headers["location"].startswith(f"{proxy.entra.issuer.removesuffix('/v2.0')}/oauth2/v2.0/authorize?")
    assert "consent" not in agreed.headers["location"]
