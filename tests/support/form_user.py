"""A user who fills in the forms of a provider's pages, without a browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from mcp_idp.cli.common.trusted_issuer import origin
from mcp_idp.cli.login.html_forms import Form, read_page

_MAX_PAGES = 20
_PATIENCE = 60  # seconds; password hashing is slow, especially on a busy machine


class FormUser:
    """Logs in and consents at Keycloak's and Dex's pages.

    It handles cookies itself: browsers accept Secure cookies on http://localhost, HTTP clients do not.

    Args:
        user: the name, which is the password too.
        providers: URLs of the origins whose pages it visits; it stops at the first URL elsewhere.
        agree: whether it consents.
    """

    def __init__(self, user: str, providers: tuple[str, ...], *, agree: bool = True) -> None:
        self._user = user
        self._origins = {origin(url) for url in providers}
        self._agree = agree
        self._cookies: dict[str, str] = {}

    def go(self, url: str) -> dict[str, Any]:
        """Opens `url`; returns the parameters of the redirect and its address in `to`, or `status` and `page`."""
        method, data = "GET", None
        for _ in range(_MAX_PAGES):
            if origin(url) not in self._origins:
                back = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
                return {**back, "to": url.partition("?")[0]}
            response = self._send(method, url, data)
            method, data = "GET", None
            if response.has_redirect_location:
                url = urljoin(url, response.headers["location"])
                continue
            forms = [form for form in read_page(response.text, url).forms if form.method == "post"]
            if not forms or response.is_error:
                return {"status": response.status_code, "page": response.text}
            form = forms[0] if self._agree else forms[-1]
            method, url, data = "POST", form.action, self._filled(form)
        raise AssertionError("the login goes round in circles")

    def _filled(self, form: Form) -> dict[str, str]:
        if form.password_field is not None and form.name_field is not None:
            form.name_field.value = form.password_field.value = self._user
        return form.form_data(form.accept_button if self._agree else None)

    def _send(self, method: str, url: str, data: dict[str, str] | None) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"Cookie": cookie} if cookie else {}
        response = httpx.request(method, url, data=data, headers=headers, timeout=_PATIENCE)
        for line in response.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            self._cookies[name] = rest.partition(";")[0]
        return response
