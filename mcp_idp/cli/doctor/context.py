"""What is known of the server under examination. Each check adds what it learnt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mcp_idp.util.urls import is_loopback, is_private

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_idp.cli.common.errors import LoginClientError
    from mcp_idp.cli.common.safe_http import HttpResult, SafeHttpClient
    from mcp_idp.cli.doctor.bootstrap_bridge import AdminCheckResult, ProbeResult
    from mcp_idp.cli.doctor.challenge_header import Challenge
    from mcp_idp.cli.inspect.evaluation import TokenEvaluation

    Evaluator = Callable[[str, "CheckContext"], Awaitable[TokenEvaluation]]

INSPECTOR = "http://localhost:6274"  # where MCP Inspector's page is served


@dataclass(slots=True)
class CheckContext:
    """One examination.

    Attributes:
        url: the server, as clients are told to call it.
        http: for every request.
        register: whether trial registrations are wanted.
        look_inside: what an administrator sees of the provider, where it is wanted.
        probe: tries the nine holes of Keycloak, given the issuer, where that is wanted.
        evaluate: gives a verdict on the token, where one was handed over.
        token: that token, or "".
        failure: why a login that was wanted brought no token.
        initial_response: the answer to a call without a token.
        challenge: what that answer's `WWW-Authenticate` says.
        open: whether the server answers without a token.
        resource: the protected resource metadata.
        issuer: the first of its authorization servers.
        bogus_token_response: the answer to a call with a token that nobody issued.
        provider: that issuer's metadata, found at `provider_reply.url`.
    """

    url: str
    http: SafeHttpClient
    register: bool = False
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
        """Those a first login asks for: the challenge's, else the metadata's (MCP authorization, "Scope Selection")."""
        named = self.challenge.scopes if self.challenge is not None else ()
        return named or texts(self.resource.get("scopes_supported"))

    @property
    def is_keycloak(self) -> bool:
        """Whether the issuer's URL looks like a realm of Keycloak."""
        return "/realms/" in self.issuer

    def is_internal_name(self, url: str) -> bool:
        """Whether `url` is a name that only the server's own network knows, while its clients are elsewhere."""
        host = urlsplit(url).hostname or ""
        if is_loopback(self.host):
            return "." not in host.rstrip(".") and ":" not in host and not is_loopback(host)
        return not is_private(self.host) and is_private(host)

    def as_localhost(self, url: str) -> str:
        """`url` as clients of a server on this machine would reach it: the same port, on localhost."""
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return parts._replace(netloc=f"localhost{port}").geturl()


def texts(value: object) -> tuple[str, ...]:
    """The strings of a JSON list; junk is none."""
    return tuple(part for part in value if isinstance(part, str)) if isinstance(value, list) else ()


def text(document: dict[str, Any], name: str) -> str:
    """The string in a member, or ""."""
    value = document.get(name)
    return value if isinstance(value, str) else ""
