"""Opens the login page in the system's browser, and always prints its URL."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import TYPE_CHECKING

import anyio.to_thread

from mcp_idp.cli.common.errors import LoginError, ProviderError
from mcp_idp.cli.common.safe_http import is_http_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.cli.common.console import StepReporter
    from mcp_idp.cli.login.loopback_server import AuthorizationResponse, LoopbackServer


def check_login_url(url: str) -> None:
    """Rejects a login URL that must not be passed to a browser. The URL comes from untrusted metadata.

    Raises:
        ProviderError: The URL is not http or https.
    """
    if not is_http_url(url):
        raise ProviderError(
            f"the provider's authorization endpoint is not a web address: {url.partition('?')[0]}",
            "authorization_endpoint in the provider's metadata must be an http or https URL",
        )


def has_display(variables: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Returns whether a graphical browser can be expected; without a display, `webbrowser` would start a text browser.

    Args:
        variables: The process environment.
        platform: As in `sys.platform`.
    """
    if platform in {"darwin", "win32", "cygwin"}:
        return True
    return any(variables.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"))


class BrowserLogin:
    """A login by the user in a browser.

    Args:
        narrator: Receives the login URL and notes.
        timeout: How long to wait for the user, in seconds.
        open_browser: If False, only the URL is printed.
    """

    def __init__(self, narrator: StepReporter, *, timeout: float, open_browser: bool = True) -> None:
        self._narrator = narrator
        self._timeout = timeout
        self._open = open_browser and has_display(os.environ)

    async def log_in(self, url: str, callback: LoopbackServer) -> AuthorizationResponse:
        """Sends the user to `url` and waits for the authorization response.

        Args:
            url: The authorization request.
            callback: Receives the authorization response.

        Raises:
            ProviderError: `url` is not a web address.
            LoginError: No response arrived in time.
        """
        check_login_url(url)
        opened = self._open and await anyio.to_thread.run_sync(webbrowser.open, url)
        self._narrator.line(
            "note", "opened in your browser; if no window appeared, open this URL:" if opened else "open this URL:"
        )
        self._narrator.message(f"  {url}", style="underline")
        try:
            with self._narrator.waiting(f"waiting for the login, at most {self._timeout:g} s"):
                return await callback.wait_for_response(self._timeout)
        except TimeoutError as error:
            raise LoginError(
                f"no response from the login page within {self._timeout:g} s",
                "log in within that time, or allow more: --timeout 900",
            ) from error
