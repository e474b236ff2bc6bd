"""Verifies the result after an apply. Verifications only read: they neither log in nor write.

A verification returns one line of text or raises `VerificationError`. It raises `Advisory` for what can be neither
verified nor fixed from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import httpx

from mcp_idp.cli.bootstrap.bounded_http import BoundedTransport
from mcp_idp.cli.bootstrap.errors import VerificationError
from mcp_idp.cli.bootstrap.output import count_noun
from mcp_idp.cli.bootstrap.tls import tls_errors_as_config_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Verification = Callable[[], str]

_OK = 200
_TIMEOUT_SECONDS = 10


class Advisory(Exception):
    """Something that the operator should know and that an apply cannot change; the message is one line."""


def run_verifications(verifications: Iterable[Verification], log: Callable[[str], None]) -> None:
    """Runs the verifications and logs the result of each.

    Args:
        verifications: Functions that return a line of text.
        log: Receives the lines.

    Raises:
        VerificationError: At least one failed. All were run and logged.
    """
    failed = 0
    for verify in verifications:
        try:
            log(f"verified: {verify()}")
        except VerificationError as error:
            failed += 1
            log(f"VERIFICATION FAILED: {error}")
        except Advisory as note:
            log(f"note: {note}")
    if failed:
        raise VerificationError(f"{count_noun(failed, 'verification')} failed; the lines above say what to change")


class EndpointSettings(Protocol):
    """Settings with a resource and its issuer."""

    @property
    def public_url(self) -> str:
        """The resource."""

    @property
    def server_url(self) -> str:
        """The issuer."""


def verify_server_metadata(settings: EndpointSettings, http: httpx.Client) -> str:
    """Verifies that the MCP server, if it is running, names this resource and this issuer (RFC 9728 section 3.3).

    Args:
        settings: The settings of the run.
        http: The HTTP client.

    Raises:
        VerificationError: It names others.
        Advisory: It is not running, or cannot be reached from here.
    """
    public = httpx.URL(settings.public_url)
    url = public.copy_with(path=f"/.well-known/oauth-protected-resource{public.path.rstrip('/')}")
    metadata = get_json(http, str(url))
    if metadata is None:
        raise Advisory("the MCP server's own metadata was not checked: it starts later, or is not reachable from here")
    resource, issuers = metadata.get("resource"), metadata.get("authorization_servers")
    first = issuers[0] if isinstance(issuers, list) and issuers else issuers
    if resource != settings.public_url or first != settings.server_url:
        raise VerificationError(
            f"the MCP server's resource is {resource} and it sends users to {issuers}: give it the "
            "MCP_PUBLIC_URL and the "
            "OAUTH_SERVER_URL of this run"
        )
    return f"the MCP server is {resource} and sends users to {settings.server_url}"


def get_json(http: httpx.Client, url: str) -> dict[str, Any] | None:
    """Fetches a JSON object; returns None on any error or if the response is something else."""
    try:
        response = http.get(url)
        document = response.json()
    except (httpx.HTTPError, ValueError):
        return None
    return document if response.status_code == _OK and isinstance(document, dict) else None


def create_client(seconds: float = _TIMEOUT_SECONDS) -> httpx.Client:
    """Creates an HTTP client for the verifications.

    Args:
        seconds: The timeout.

    Raises:
        ConfigError: SSL_CERT_FILE contains no certificates.
    """
    with tls_errors_as_config_errors():
        return httpx.Client(timeout=seconds, transport=BoundedTransport(httpx.Client()))
