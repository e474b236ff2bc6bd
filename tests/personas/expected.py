"""What each provider does with each persona, as data: the tests hold the providers to it, the table shows it.

A further provider is one more entry of `EXPECTED`, a further registration profile one more column of an entry. A column
counts once the access file knows its profile, so that one may stand here before its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from mcp_server.access_parts import RegistrationProfile
from tests.personas.known import PERSONAS

_EVERYBODY = frozenset(PERSONAS)
_ANOTHER_CONNECTOR = frozenset({"ChatGPT, callback of one connector"})  # a URI of its own for each user's connector
_BY_VENDOR = frozenset({"VS Code", "Cursor", "Claude.ai", "ChatGPT"}) | _ANOTHER_CONNECTOR


@dataclass(frozen=True, slots=True)
class Column:
    """One registration profile of one provider.

    Attributes:
        lets_in: the personas that register and log in; all others are refused.
        invited: they send an initial access token (RFC 7591 section 3) with the registration.
        status: of a refusal.
    """

    lets_in: frozenset[str]
    invited: bool = False
    status: int = 403


@dataclass(frozen=True, slots=True)
class Provider:
    """One identity provider.

    Attributes:
        columns: by registration profile.
        failures: statuses of hostile registrations that are not refused but fail, by their names.
        parallel_refresh: what two refreshes at the same time with one token bring, sorted.
        after_parallel_refresh: what a further refresh brings, with one of the tokens that they gave.
    """

    columns: dict[str, Column]
    failures: dict[str, int]
    parallel_refresh: tuple[int, int]
    after_parallel_refresh: int

    def tested(self) -> dict[str, Column]:
        """The columns whose profile the access file knows."""
        return {name: column for name, column in self.columns.items() if name in get_args(RegistrationProfile)}


EXPECTED = {
    "Keycloak": Provider(
        columns={
            "open-dev": Column(_EVERYBODY - _ANOTHER_CONNECTOR),
            "loopback-only": Column(_EVERYBODY - _BY_VENDOR),
            "initial-access-token": Column(_EVERYBODY - _ANOTHER_CONNECTOR, invited=True),
            "closed": Column(frozenset()),
        },
        # Longer than a column of Keycloak's database: the transaction fails, nothing is registered.
        failures={"a name of 10 000 letters": 500, "a redirect URI of 10 000 letters": 500},
        # `refreshTokenMaxReuse`: 1. With 0 the second one is 400, and the session is over.
        parallel_refresh=(200, 200),
        after_parallel_refresh=200,
    ),
}
