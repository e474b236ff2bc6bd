"""Finds the settings of the server under test, where this machine has them, and what in them contradicts its tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_idp.cli.common.running_stack import SERVER_SETTINGS, find_stack_server, stack_environment
from mcp_idp.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mcp_idp.cli.common.running_stack import StackServer


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The settings of a server that decide which tokens it accepts.

    Attributes:
        values: The settings, of `SERVER_SETTINGS`; unset ones are missing.
        source: Where they were found, for messages; "" if nowhere.
        in_stack: Whether the server belongs to the compose stack of this folder, with its service `bootstrap`.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    in_stack: bool = False


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A setting because of which the server rejects the provider's tokens.

    Attributes:
        name: The setting.
        value: Its value.
        actual: What the provider writes into tokens.
    """

    name: str
    value: str
    actual: str

    def __str__(self) -> str:
        """Returns it as text: `JWT_AUDIENCE is x, but tokens have y`."""
        return f"{self.name} is {self.value}, but tokens have {self.actual}"


def find_server_settings(
    variables: Mapping[str, str],
    url: str,
    *,
    find: Callable[[Mapping[str, str], str], StackServer | None] | None = None,
) -> ServerSettings:
    """Returns the settings of the server at `url`.

    They are those of its container if it runs in the compose stack of this folder, else the environment and `.env` if
    they name the same public URL.

    Args:
        variables: The process environment.
        url: The server's URL, as clients use it.
        find: Replaces `find_stack_server`.
    """
    server = (find or find_stack_server)(variables, url)
    if server is not None:
        return ServerSettings(server.settings, "its container", in_stack=server.has_bootstrap)
    known = stack_environment(variables)
    if (known.get("MCP_PUBLIC_URL") or Settings().public_url) != url:
        return ServerSettings()
    values = {name: known[name] for name in SERVER_SETTINGS if known.get(name)}
    return ServerSettings(values, "the environment or .env")


def find_contradictions(settings: ServerSettings, audiences: Collection[str], issuer: str) -> list[Contradiction]:
    """Returns the settings that override the expected audience or issuer with another value than tokens have.

    Args:
        settings: The server's settings.
        audiences: The `aud` of tokens.
        issuer: The `iss` of tokens.
    """
    found = []
    audience, expected_issuer = settings.values.get("JWT_AUDIENCE"), settings.values.get("JWT_ISSUER")
    if audience and audience not in audiences:
        found.append(Contradiction("JWT_AUDIENCE", audience, f"aud {', '.join(audiences) or 'none'}"))
    if expected_issuer and expected_issuer != issuer:
        found.append(Contradiction("JWT_ISSUER", expected_issuer, f"iss {issuer}"))
    return found
