"""What a journey is to do, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.common.client_deregistration import ClientRegistration
    from mcp_idp.cli.common.http import Address
    from mcp_idp.cli.login.loopback_server import AuthorizationResponse, LoopbackServer
    from mcp_idp.cli.login.tool_calls import Call, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOptions:
    """What to do.

    Attributes:
        url: the MCP server.
        scope: what to ask for instead of what the challenge says.
        client_id: a client known to the provider, instead of registering one.
        calls: the tools to call; empty calls those that are harmless.
        user: who logs in, where that is known beforehand.
        connect_to: see `mcp_idp.cli.common.http`.
        access: who may do what, where the access file is at hand.
        issuer: the only provider that may see the password; None where a browser shows a person the login page.
    """

    url: str
    scope: str | None = None
    client_id: str | None = None
    calls: tuple[Call, ...] = ()
    user: str | None = None
    connect_to: Mapping[Address, Address] = field(default_factory=dict)
    access: AccessPolicy | None = None
    issuer: str | None = None

    def public_strings(self) -> list[str]:
        """What is no secret even if a password reads the same."""
        names = [self.url, self.user or "", *(self.scope or "").split()]
        if self.access is not None:
            for scope, rule in self.access.scopes.items():
                names += [scope, *rule.roles]
        return names


@dataclass(slots=True)
class LoginOutcome:
    """What came of it, also when it ended early.

    Attributes:
        claims: those of the last access token, if it can be read.
        not_granted: the scopes that were asked for and that the last token does not bring.
        registration: this run's client at the provider, if it registered one.
        tools: the names of the tools the server shows.
        calls: the calls that were made.
    """

    claims: dict[str, Any] | None = None
    not_granted: list[str] = field(default_factory=list)
    registration: ClientRegistration | None = None
    tools: list[str] = field(default_factory=list)
    calls: list[Result] = field(default_factory=list)


class LoginStrategy(Protocol):
    """Brings a person through the provider's pages."""

    async def log_in(self, url: str, callback: LoopbackServer) -> AuthorizationResponse:
        """The authorization response to `url`."""
