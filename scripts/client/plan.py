"""What a journey is to do, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_server.access import Access
    from scripts.client.callback import Answer, Callback
    from scripts.client.connect import Address
    from scripts.client.tools import Call, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do.

    Attributes:
        url: the MCP server.
        scope: what to ask for instead of what the challenge says.
        client_id: a client known to the provider, instead of registering one.
        calls: the tools to call; empty calls those that are harmless.
        person: who logs in, where that is known beforehand.
        connect_to: see `scripts.client.connect`.
        access: who may do what, where the access file is at hand.
    """

    url: str
    scope: str | None = None
    client_id: str | None = None
    calls: tuple[Call, ...] = ()
    person: str | None = None
    connect_to: Mapping[Address, Address] = field(default_factory=dict)
    access: Access | None = None


@dataclass(slots=True)
class Outcome:
    """What came of it, also when it ended early."""

    claims: dict[str, Any] | None = None
    tools: list[str] = field(default_factory=list)
    calls: list[Result] = field(default_factory=list)


class Login(Protocol):
    """Brings a person through the provider's pages."""

    async def log_in(self, url: str, callback: Callback) -> Answer:
        """The authorization response to `url`."""
