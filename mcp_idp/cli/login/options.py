"""The options and the outcome of a login, and the interface of login methods."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from mcp_idp.cli.common.bounded_transport import LIMITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.common.bounded_transport import ResponseLimits
    from mcp_idp.cli.common.client_deregistration import ClientRegistration
    from mcp_idp.cli.common.http_client import Address
    from mcp_idp.cli.login.loopback_server import AuthorizationResponse, LoopbackServer
    from mcp_idp.cli.login.tool_calls import Call, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginArguments:
    """What the command line says about a login, as `login_arguments` of `mcp_idp.cli.login.cli` declares it.

    Attributes:
        url: The MCP server's URL.
        scope: The scopes to request instead of the challenge's.
        client_id: A preregistered client.
        headless: Whether to fill in the provider's forms without a browser.
        issuer: The only provider that may receive a password or secret.
        user: The user to log in with `headless`.
        no_browser: Whether only to print the login URL.
        timeout: How long to wait for the login, in seconds.
        calls: The tools to call, each as its name and "key=value" arguments.
    """

    url: str | None = None
    scope: str | None = None
    client_id: str | None = None
    headless: bool = False
    issuer: str | None = None
    user: str | None = None
    no_browser: bool = False
    timeout: float = 300
    calls: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOptions:
    """What a login is to do.

    Attributes:
        url: The MCP server's URL.
        scope: The scopes to request instead of the challenge's.
        client_id: A preregistered client, instead of dynamic registration.
        calls: The tools to call; if empty, harmless tools are called.
        user: The user who logs in, if known in advance.
        connect_to: See `mcp_idp.cli.common.http_client`.
        access: The access policy, if the access file is available.
        issuer: The only provider that may receive the password; None for a browser login.
        limits: What server and provider may make this client read, and how long they may make it wait.
    """

    url: str
    scope: str | None = None
    client_id: str | None = None
    calls: tuple[Call, ...] = ()
    user: str | None = None
    connect_to: Mapping[Address, Address] = field(default_factory=dict)
    access: AccessPolicy | None = None
    issuer: str | None = None
    limits: ResponseLimits = LIMITS

    def public_strings(self) -> list[str]:
        """Returns the strings that stay visible even if the password equals one of them."""
        names = [self.url, self.user or "", *(self.scope or "").split()]
        if self.access is not None:
            for scope, rule in self.access.scopes.items():
                names += [scope, *rule.roles]
        return names


@dataclass(slots=True)
class LoginOutcome:
    """The outcome of a login, which may be incomplete after an error.

    Attributes:
        claims: The claims of the last access token, if it can be decoded.
        not_granted: The requested scopes that the last token does not contain.
        registration: The client registration of this run, if there is one.
        tools: The names of the tools that the server lists.
        calls: The calls that were made.
    """

    claims: dict[str, Any] | None = None
    not_granted: list[str] = field(default_factory=list)
    registration: ClientRegistration | None = None
    tools: list[str] = field(default_factory=list)
    calls: list[Result] = field(default_factory=list)


class LoginStrategy(Protocol):
    """A way to complete the provider's login pages."""

    async def log_in(self, url: str, callback: LoopbackServer) -> AuthorizationResponse:
        """Returns the authorization response to the authorization request `url`.

        Args:
            url: The authorization request.
            callback: Receives the authorization response.
        """
