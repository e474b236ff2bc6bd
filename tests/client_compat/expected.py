"""What each provider does with each persona, as data: the tests hold the providers to it, the table shows it.

A further provider is one more entry of `EXPECTED`, a further registration profile one more column of an entry. A column
counts once the access file knows its profile, so that one may stand here before its time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from mcp_idp.access.models import RegistrationProfile
from tests.client_compat.index import PROFILES
from tests.client_compat.malicious_registrations import ADDRESSES

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALL_CLIENTS = frozenset(PROFILES)
_ANOTHER_CONNECTOR = frozenset({"ChatGPT, callback of one connector"})  # a URI of its own for each user's connector
_BY_VENDOR = frozenset({"VS Code", "Cursor", "Claude.ai", "ChatGPT"}) | _ANOTHER_CONNECTOR


@dataclass(frozen=True, slots=True)
class Column:
    """One registration profile of one provider.

    Attributes:
        allowed: the personas that register and log in; all others are refused.
        initial_access_token: they send an initial access token (RFC 7591 section 3) with the registration.
        status: of a refusal.
    """

    allowed: frozenset[str]
    initial_access_token: bool = False
    status: int = 403


@dataclass(frozen=True, slots=True)
class Provider:
    """One identity provider.

    Attributes:
        columns: by registration profile.
        parallel_refresh: what two refreshes at the same time with one token bring, sorted.
        after_parallel_refresh: what a further refresh brings, with one of the tokens that they gave.
        failures: statuses of hostile registrations that are not refused but fail, by their names.
        responses: hostile registrations that are not refused: they bring what everybody's brings.
        lost_redirects: by persona that is let in, redirect URIs of its own that end in an error page.
        cannot: what it has no means for, each with what happens.
    """

    columns: dict[str, Column]
    parallel_refresh: tuple[int, int]
    after_parallel_refresh: int
    failures: Mapping[str, int] = field(default_factory=dict)
    responses: frozenset[str] = frozenset()
    lost_redirects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cannot: Mapping[str, str] = field(default_factory=dict)

    def tested(self) -> dict[str, Column]:
        """The columns whose profile the access file knows."""
        return {name: column for name, column in self.columns.items() if name in get_args(RegistrationProfile)}


EXPECTED = {
    "Keycloak": Provider(
        columns={
            "open-dev": Column(_ALL_CLIENTS - _ANOTHER_CONNECTOR),
            "loopback-only": Column(_ALL_CLIENTS - _BY_VENDOR),
            "initial-access-token": Column(_ALL_CLIENTS - _ANOTHER_CONNECTOR, initial_access_token=True),
            "closed": Column(frozenset()),
        },
        # Longer than a column of Keycloak's database: the transaction fails, nothing is registered.
        failures={"a name of 10 000 letters": 500, "a redirect URI of 10 000 letters": 500},
        # `refreshTokenMaxReuse`: 1. With 0 the second one is 400, and the session is over.
        parallel_refresh=(200, 200),
        after_parallel_refresh=200,
    ),
    "Dex": Provider(
        columns={
            "open-dev": Column(_ALL_CLIENTS - _ANOTHER_CONNECTOR, status=400),
            "loopback-only": Column(_ALL_CLIENTS - _BY_VENDOR, status=400),
            "closed": Column(frozenset()),
        },
        # Within the seconds of `expiry.refreshTokens.reuseInterval` of idp-config/dex/dex.yaml.
        parallel_refresh=(200, 200),
        after_parallel_refresh=200,
        # The front reads the redirect URIs and the name, nothing else; no address is kept, shown or fetched.
        responses=frozenset(
            {
                *(one.name for one in ADDRESSES),
                "an unknown member",
                "a member of RFC 8707",
                "a client_id of its own choice",
                "a scope that is not there",
                "a scope of the provider's own",
                "an object for the name",
                "a string for the grants",
                "a name of 10 000 letters",
                "a redirect URI of 10 000 letters",
            }
        ),
        # A Dex client that lists redirect URIs is held to them exactly (RFC 8252 section 7.3 would allow any port).
        lost_redirects={"VS Code": ("http://127.0.0.1:54321/",)},
        cannot={
            "`initial-access-token`": "the front holds no state that could count invitations; the bootstrap refuses "
            "the profile",
            "`cimd`": "Dex knows clients by its own list only; the bootstrap refuses the profile",
            "a secret for a client that asks for one": "every client is public: the answer says "
            "`token_endpoint_auth_method: none`, whatever was asked for",
            "a refresh token for a client that does not ask for `offline_access`": "it logs in again when its access "
            "token ends, after ten minutes; TypeScript SDK 2.x was seen to ask for it here, as the metadata name it, "
            "and 1.x not to",
            "`iss` in the answer to a login (RFC 9207)": "left out, and not advertised",
            "the end of a registration (RFC 7592)": "nothing was stored, so there is nothing to take back",
        },
    ),
}
