"""The login pages of the provider, and the redirect URI of the client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
import pytest

from mcp_idp.cli.common.console import StepReporter
from mcp_idp.cli.common.errors import LoginError, ProviderError
from mcp_idp.cli.common.redaction import Redactor
from mcp_idp.cli.login.browser import BrowserLogin, check_login_url, has_display
from mcp_idp.cli.login.form_login import FormLogin
from mcp_idp.cli.login.loopback_server import AuthorizationResponse, open_callback, page

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio
AUTHORIZE = "https://id.example/authorize?state=s"
FORM = '<title>T</title><form method=post action="{action}"><input name=username><input type=password name=p></form>'


def quiet_reporter() -> StepReporter:
    return StepReporter(None, Redactor())


async def fill(
    provider: Callable[[httpx2.Request], httpx2.Response], start: str = AUTHORIZE, issuer: str = "https://id.example"
) -> AuthorizationResponse:
    """Runs a headless login at `provider`, with a password for `issuer`."""
    transport = httpx2.MockTransport(provider)
    async with open_callback() as callback, httpx2.AsyncClient(transport=transport) as client:
        callback.expect_state("s")
        return await FormLogin(quiet_reporter(), client, "ada", "pw", issuer=issuer).log_in(start, callback)


@pytest.mark.parametrize("action", ["https://evil.example/", "http://id.example/login", "https://id.example:444/"])
async def test_a_form_that_leads_elsewhere_gets_no_password(action: str) -> None:
    seen: list[str] = []

    def provider(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.method)
        return httpx2.Response(200, text=FORM.format(action=action))

    with pytest.raises(LoginError, match="would send the password to"):
        await fill(provider)
    assert seen == ["GET"]


async def test_a_page_reached_by_redirect_gets_no_password() -> None:
    def provider(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "id.example":
            return httpx2.Response(302, headers={"location": "https://evil.example/"})
        return httpx2.Response(200, text=FORM.format(action="https://evil.example/"))

    with pytest.raises(LoginError, match=r"which is not https://id\.example"):
        await fill(provider)


async def test_no_password_goes_over_plain_http_to_another_machine() -> None:
    with pytest.raises(LoginError, match="not encrypted"):
        await fill(
            lambda _: httpx2.Response(200, text=FORM.format(action="/")), "http://id.example/a", "http://id.example"
        )


ELSEWHERE = [
    "https://evil.example/",
    "http://id.example/login",
    "https://id.example:8443/",
    "https://id.example@evil.example/",
    "https://ada@id.example/",
    "https://id.example.evil.example/",
    "//evil.example/",
    "https://id.example\\@evil.example/",
    "https://[",
    "https://id\u3002evil/",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("status", [302, 303, 307, 308])
@pytest.mark.parametrize("elsewhere", ELSEWHERE)
@pytest.mark.parametrize("after", ["GET", "POST"])
async def test_no_redirect_leads_out_of_the_issuer_s_origin(after: str, elsewhere: str, status: int) -> None:
    seen: list[str] = []

    def provider(request: httpx2.Request) -> httpx2.Response:
        seen.append(str(request.url))
        if request.method == after:
            return httpx2.Response(status, headers=[(b"location", elsewhere.encode()), (b"set-cookie", b"sid=1")])
        return httpx2.Response(200, text=FORM.format(action="/login"))

    with pytest.raises(LoginError, match="the login leads to"):
        await fill(provider)
    assert seen == ([AUTHORIZE] if after == "GET" else [AUTHORIZE, "https://id.example/login"])


@pytest.mark.parametrize("start", ["https://evil.example/a", "https://id.example:8443/a", "http://id.example/a"])
async def test_a_login_page_at_another_origin_than_the_issuer_s_is_not_requested(start: str) -> None:
    def provider(_: httpx2.Request) -> httpx2.Response:
        raise AssertionError("asked")

    with pytest.raises(LoginError, match=r"which is not https://id\.example"):
        await fill(provider, start)


@pytest.mark.parametrize("control", ["<input name=username>", "<input type=submit name=accept>"])
async def test_a_form_for_the_name_or_for_consent_stays_there_too(control: str) -> None:
    form = f'<form method=post action="https://evil.example/">{control}</form>'
    with pytest.raises(LoginError, match="the login leads to https://evil"):
        await fill(lambda _: httpx2.Response(200, text=form))


async def test_a_page_that_requires_a_user_is_reported() -> None:
    with pytest.raises(LoginError, match="needs user interaction: 'Scan this'"):
        await fill(lambda _: httpx2.Response(200, text="<title>Scan this</title>"))


async def test_endless_redirects_are_not_followed() -> None:
    with pytest.raises(LoginError, match="in a loop"):
        await fill(lambda _: httpx2.Response(302, headers={"location": "/again"}))


@pytest.mark.requirement("login.callback")
async def test_only_the_authorization_response_with_this_logins_state_is_accepted() -> None:
    async with open_callback() as callback, httpx2.AsyncClient(trust_env=False) as browser:
        callback.expect_state("right")
        for query in ("code=evil&state=wrong", "code=evil", "error=x&state=", "code=evil&state=right&state=right"):
            assert (await browser.get(f"{callback.redirect_uri}?{query}")).status_code == 400
        assert (await browser.get(f"{callback.redirect_uri}?code=good&state=right&iss=me")).status_code == 200
        assert await callback.wait_for_response(5) == AuthorizationResponse(code="good", state="right", iss="me")
        assert (await browser.get(f"{callback.redirect_uri}?code=late&state=right")).status_code == 400


@pytest.mark.requirement("login.callback")
async def test_other_paths_methods_and_host_names_get_nothing() -> None:
    async with open_callback() as callback, httpx2.AsyncClient(trust_env=False) as browser:
        callback.expect_state("s")
        url = f"{callback.redirect_uri}?code=c&state=s"
        assert (await browser.post(url)).status_code == 405
        assert (await browser.get(url.replace("/callback", "/favicon.ico"))).status_code == 404
        assert (await browser.get(url, headers={"host": "rebound.example"})).status_code == 404
        assert (await browser.get(url)).status_code == 200


@pytest.mark.requirement("login.callback")
async def test_an_idle_connection_to_the_callback_server_ends_with_the_login() -> None:
    async with open_callback() as callback, httpx2.AsyncClient(trust_env=False) as browser:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(callback.redirect_uri).port)
        assert (await browser.get(callback.redirect_uri)).status_code == 400  # by now both are accepted
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_the_page_escapes_and_loads_nothing() -> None:
    async with open_callback() as callback, httpx2.AsyncClient(trust_env=False) as browser:
        callback.expect_state("s")
        query = {"error": "e", "error_description": "<script>alert(1)</script>", "state": "s"}
        response = await browser.get(callback.redirect_uri, params=query)
    assert "<script" not in response.text
    assert "&lt;script&gt;alert(1)" in response.text
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "http" not in page("a", "b")


async def test_a_missing_callback_ends_the_wait() -> None:
    async with open_callback() as callback:
        callback.expect_state("s")
        with pytest.raises(LoginError, match="no response from the login page"):
            await BrowserLogin(quiet_reporter(), timeout=0.01, open_browser=False).log_in(AUTHORIZE, callback)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "calculator:"])
async def test_no_browser_is_handed_anything_but_a_web_address(url: str) -> None:
    with pytest.raises(ProviderError):
        check_login_url(url)


async def test_a_terminal_without_a_desktop_starts_no_text_browser() -> None:
    assert not has_display({}, "linux")
    assert has_display({"DISPLAY": ":0"}, "linux")
    assert has_display({}, "darwin")
