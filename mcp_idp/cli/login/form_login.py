"""A headless login: reads the provider's pages and submits their forms.

The login stays at the origin of one configured issuer: redirects and forms that lead elsewhere are not followed. The
password is sent to that origin only, over TLS or loopback.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from mcp_idp.cli.common.errors import LoginError
from mcp_idp.cli.common.trusted_issuer import origin
from mcp_idp.cli.login.browser import check_login_url
from mcp_idp.cli.login.html_forms import Form, Page, joined, read_page
from mcp_idp.util.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from mcp_idp.cli.common.console import StepReporter
    from mcp_idp.cli.login.loopback_server import AuthorizationResponse, LoopbackServer


class Cookies:
    """The cookies of one login (RFC 6265), by host, path and name; ports do not separate cookies (section 8.5).

    `Domain` is ignored: a cookie is returned only to the host that set it. Unlike in RFC 6265, `Secure` cookies are
    also sent over http. Keycloak sets them on http://localhost too, and browsers accept them there because loopback is
    trustworthy; the cookie jars of HTTP libraries do not.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, str], str] = {}

    def store_from(self, response: httpx2.Response) -> None:
        """Stores or deletes cookies according to the `Set-Cookie` headers of `response`."""
        url = response.request.url
        for line in response.headers.get_list("set-cookie"):
            pair, *attributes = line.split(";")
            name, equals, value = pair.strip().partition("=")
            named = {k.strip().lower(): v.strip() for k, _, v in (part.partition("=") for part in attributes)}
            path = named.get("path", "")
            if not path.startswith("/"):
                path = url.path.rpartition("/")[0] or "/"
            if not equals or not name:
                continue
            key = (url.host, path, name)
            if named.get("max-age", "").startswith(("0", "-")) or " 1970 " in named.get("expires", "").replace(
                "-", " "
            ):
                self._values.pop(key, None)
            else:
                self._values[key] = value

    def header(self, url: str) -> str:
        """Returns the `Cookie` header for `url`; longer paths come first (RFC 6265 section 5.4)."""
        parts = urlsplit(url)
        fitting = [
            (path, f"{name}={value}")
            for (host, path, name), value in self._values.items()
            if host == (parts.hostname or "") and _path_matches(parts.path or "/", path)
        ]
        return "; ".join(pair for _, pair in sorted(fitting, key=lambda item: -len(item[0])))


def _path_matches(request: str, cookie: str) -> bool:
    """Returns whether a cookie's path matches a request path (RFC 6265 section 5.1.4)."""
    return request == cookie or (request.startswith(cookie) and (cookie.endswith("/") or request[len(cookie)] == "/"))


_MAX_PAGES = 20
_MAX_PAGE_BYTES = 2 * 1024 * 1024
_ERROR = 400
_MAX_MESSAGE_CHARACTERS = 300


class FormLogin:
    """A login with user name and password through the provider's own forms.

    Args:
        narrator: Receives notes, and learns the password so that it is hidden in output.
        client: Fetches the provider's pages. It is a separate client, so that no token can be sent to them.
        user: The user name.
        password: The password.
        issuer: The provider that the password is for.
    """

    def __init__(
        self, narrator: StepReporter, client: httpx2.AsyncClient, user: str, password: str, *, issuer: str
    ) -> None:
        self._narrator = narrator
        narrator.secrets.add_password(password)
        narrator.secrets.add_public(user)
        self._client = client
        self._user = user
        self._password = password
        self._issuer = issuer

    async def log_in(self, url: str, callback: LoopbackServer) -> AuthorizationResponse:
        """Goes from the authorization request to the callback.

        Args:
            url: The authorization request.
            callback: Receives the authorization response.

        Raises:
            ProviderError: `url` is not a web address.
            LoginError: The provider rejected the user, requires a real browser, or leads to another origin.
        """
        check_login_url(url)
        visit = _BrowserSession(
            self._client, callback.redirect_uri, self._issuer, self._narrator.secrets.redact_remote_text
        )
        page = await visit.send("GET", url)
        password_sent = False
        for _ in range(_MAX_PAGES):
            if page is None:
                return await self._finish(visit, callback)
            form = _form_to_fill(page)
            if form is None:
                _give_up(page)
            if form.password_field is not None:
                if password_sent:
                    _login_rejected(self._user, page)
                password_sent = True
                self._fill(form, visit)
                self._narrator.line("note", f"filled in the login form as {self._user}")
            elif form.name_field is not None:
                form.name_field.value = self._user
            else:
                self._narrator.line("note", f"gave consent on the page '{page.title}'")
            page = await visit.send(form.method.upper(), form.action, form.form_data(form.accept_button))
        raise LoginError(f"the provider's login loops: more than {_MAX_PAGES} pages")

    def _fill(self, form: Form, visit: _BrowserSession) -> None:
        """Enters user name and password into `form`, if it submits to the issuer's origin over TLS or loopback."""
        visit.check_stays(form.action, "the login page would send the password to")
        action = urlsplit(form.action)
        if action.scheme != "https" and not is_loopback(action.hostname or ""):
            raise LoginError(f"the login page at {origin(form.action)} is not encrypted: nothing was sent")
        if form.name_field is not None:
            form.name_field.value = self._user
        if form.password_field is not None:
            form.password_field.value = self._password

    async def _finish(self, visit: _BrowserSession, callback: LoopbackServer) -> AuthorizationResponse:
        response = await self._client.get(visit.url)
        if response.status_code >= _ERROR:
            raise LoginError(f"the provider's response was rejected: {read_page(response.text, visit.url).title}")
        return await callback.wait_for_response(1)


class _BrowserSession:
    """Follows the provider's pages with cookies and redirects, within the issuer's origin.

    A browser would follow a redirect to any origin, resend form data (307, 308), and send the host's cookies to any
    port. This class sends requests to the issuer's origin only.

    Args:
        client: Sends the requests.
        end: The redirect URI.
        issuer: The provider.
        redact: Removes secrets from text of the provider's pages.
    """

    def __init__(self, client: httpx2.AsyncClient, end: str, issuer: str, redact: Callable[[str], str]) -> None:
        self.url = ""
        self._origin = origin(issuer)
        self._redact = redact
        self._client = client
        self._end = end
        self._cookies = Cookies()

    async def send(self, method: str, url: str, data: dict[str, str] | None = None) -> Page | None:
        """Sends a request and follows redirects.

        Returns:
            The resulting page, or None at the redirect URI; `self.url` is then the full URL, with the response.
        """
        for _ in range(_MAX_PAGES):
            self.url = url
            if url.partition("?")[0] == self._end:
                return None
            self.check_stays(url, "the login leads to")
            response = await self._request(method, url, data)
            self._cookies.store_from(response)
            location = response.headers.get("location")
            if not response.has_redirect_location or location is None:
                return self._page(response)
            url = joined(url, location)
            if response.status_code not in {307, 308}:
                method, data = "GET", None
        raise LoginError(f"the provider redirects in a loop: more than {_MAX_PAGES} times")

    def check_stays(self, url: str, what: str) -> None:
        """Checks that `url` has the issuer's origin.

        Args:
            url: Where the next request would go.
            what: The beginning of the error message.

        Raises:
            LoginError: The origin is another one.
        """
        try:
            there = origin(url)
        except ValueError as error:
            raise LoginError(f"{what} an invalid web address: {self._redact(str(error))}") from error
        if there != self._origin:
            raise LoginError(
                f"{what} {there[:_MAX_MESSAGE_CHARACTERS]}, which is not {self._origin}",
                "nothing was sent there; log in with the browser: omit --headless",
            )

    async def _request(self, method: str, url: str, data: dict[str, str] | None) -> httpx2.Response:
        headers = {"Accept": "text/html", "Cookie": self._cookies.header(url)}
        if not headers["Cookie"]:
            del headers["Cookie"]
        if method == "GET":
            return await self._client.get(url, params=data or None, headers=headers)
        return await self._client.post(url, data=data, headers=headers)

    def _page(self, response: httpx2.Response) -> Page:
        page = read_page(response.text[:_MAX_PAGE_BYTES], self.url)
        page.title, page.message = self._redact(page.title), self._redact(page.message)
        if response.status_code >= _ERROR and not any(form.password_field for form in page.forms):
            message = page.message or page.title or self._redact(response.text)[:_MAX_MESSAGE_CHARACTERS] or "nothing"
            raise LoginError(f"the provider's login page responded {response.status_code}: {message}")
        return page


def _form_to_fill(page: Page) -> Form | None:
    """Returns the form with a password field, else one with a user name field, else one with a consent button."""
    posts = [form for form in page.forms if form.method == "post"]
    for part in (attrgetter("password_field"), attrgetter("name_field"), attrgetter("accept_button")):
        found = next((form for form in posts if part(form) is not None), None)
        if found is not None:
            return found
    return None


def _login_rejected(user: str, page: Page) -> NoReturn:
    if page.message:
        raise LoginError(
            f"the provider did not log '{user}' in: {page.message}",
            "the password comes from MCP_PASSWORD or the prompt",
        )
    raise LoginError(
        f"after the password the provider requests another one, on the page '{page.title}'",
        "the password may have to be changed: log in with the browser once: omit --headless",
    )


def _give_up(page: Page) -> NoReturn:
    raise LoginError(
        f"the provider shows a page that needs user interaction: '{page.title}' {page.message}".rstrip(),
        "log in with the browser: omit --headless",
    )
