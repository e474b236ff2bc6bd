"""Brings the person to the login page: the system's browser, and always the URL in print."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio.to_thread

from mcp_idp.cli.common.errors import LoginError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.cli.common.console import StepReporter
    from mcp_idp.cli.login.loopback_server import AuthorizationResponse, LoopbackServer


def check_login_url(url: str) -> None:
    """Refuse what a browser must not be handed: the URL comes out of metadata that somebody else wrote.

    Raises:
        ProviderError: the URL is not http or https.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ProviderError(
            f"the provider's authorization endpoint is not a web address: {url.partition('?')[0]}",
            "authorization_endpoint in the provider's metadata must be an http or https URL",
        )


def has_display(variables: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Whether a browser with windows can be expected: in a bare terminal `webbrowser` would start a text browser."""
    if platform in {"darwin", "win32", "cygwin"}:
        return True
    return any(variables.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"))


class BrowserLogin:
    """A login by a person in a browser.

    Args:
        timeout: how long to wait for the person, in seconds.
        open_browser: False only prints the URL.
    """

    def __init__(self, narrator: StepReporter, *, timeout: float, open_browser: bool = True) -> None:
        self._narrator = narrator
        self._timeout = timeout
        self._open = open_browser and has_display(os.environ)

    async def log_in(self, url: str, callback: LoopbackServer) -> AuthorizationResponse:
        """Send the person to `url` and wait for the answer.

        Raises:
            ProviderError: `url` is nothing for a browser.
            LoginError: nobody came back in time.
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
