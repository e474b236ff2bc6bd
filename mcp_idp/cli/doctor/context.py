"""What is known about the server under test. Each check adds what it learned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mcp_idp.cli.common.server_settings import ServerSettings
from mcp_idp.util.urls import is_loopback, is_private

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mcp_idp.cli.common.errors import LoginClientError
    from mcp_idp.cli.common.safe_http import HttpResult, SafeHttpClient
    from mcp_idp.cli.doctor.bootstrap_bridge import AdminCheckResult, ProbeResult
    from mcp_idp.cli.doctor.challenge_header import Challenge
    from mcp_idp.cli.doctor.client_requests import ClientProfile
    from mcp_idp.cli.inspect.evaluation import TokenEvaluation

    Evaluator = Callable[[str, "CheckContext"], Awaitable[TokenEvaluation]]

INSPECTOR = "http://localhost:6274"  # the default origin of MCP Inspector


@dataclass(slots=True)
class CheckContext:
    """The state of one run of the checks.

    Attributes:
        url: The MCP server's URL, as clients use it.
        http: Sends all requests.
        register: Whether to try client registrations.
        quirks: Whether to report what helps clients that do not follow the specification.
        initial_access_tokens: The tokens to register with, by the only issuer that may see each.
        client: The client to act as, or None.
        settings: The server's settings, where this machine has them.
        evaluate: Evaluates the token; None without a token.
        look_inside: Checks the provider through the admin API, if requested.
        probe: Probes the known weaknesses of Keycloak at a given issuer, if requested.
        token: The access token, or "".
        failure: The error of a requested login that returned no token.
        initial_response: The response to a request without a token.
        challenge: The Bearer challenge of that response.
        open: Whether the server accepts requests without a token.
        resource: The protected resource metadata.
        issuer: The first of its authorization servers.
        bogus_token_response: The response to a request with a forged token.
        provider: The metadata of the issuer.
        provider_reply: The response that contained it.
    """

    url: str
    http: SafeHttpClient
    register: bool = False
    quirks: bool = False
    initial_access_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    client: ClientProfile | None = None
    settings: ServerSettings = field(default_factory=ServerSettings)
    evaluate: Evaluator | None = None
    look_inside: Callable[[], Awaitable[AdminCheckResult]] | None = None
    probe: Callable[[str], Awaitable[ProbeResult]] | None = None
    token: str = field(default="", repr=False)
    failure: LoginClientError | None = None
    initial_response: HttpResult | None = None
    challenge: Challenge | None = None
    open: bool = False
    resource: dict[str, Any] = field(default_factory=dict)
    issuer: str = ""
    bogus_token_response: HttpResult | None = None
    provider: dict[str, Any] = field(default_factory=dict)
    provider_reply: HttpResult | None = None

    @property
    def host(self) -> str:
        """The server's host, without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of a first login: the challenge's, else the metadata's (MCP authorization, "Scope Selection")."""
        named = self.challenge.scopes if self.challenge is not None else ()
        return named or texts(self.resource.get("scopes_supported"))

    @property
    def is_keycloak(self) -> bool:
        """Whether the issuer's URL looks like a Keycloak realm."""
        return "/realms/" in self.issuer

    def is_internal_name(self, url: str) -> bool:
        """Returns whether `url` has a host that only the server's own network can resolve or reach."""
        host = urlsplit(url).hostname or ""
        if is_loopback(self.host):
            return "." not in host.rstrip(".") and ":" not in host and not is_loopback(host)
        return not is_private(self.host) and is_private(host)

    def as_localhost(self, url: str) -> str:
        """Returns `url` with the host localhost and the same port, for clients on this machine."""
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return parts._replace(netloc=f"localhost{port}").geturl()


def texts(value: object) -> tuple[str, ...]:
    """Returns the strings in a JSON list; other values yield an empty tuple."""
    return tuple(part for part in value if isinstance(part, str)) if isinstance(value, list) else ()


def text(document: dict[str, Any], name: str) -> str:
    """Returns the member `name` if it is a string, else ""."""
    value = document.get(name)
    return value if isinstance(value, str) else ""
