"""The expected behavior of each provider with each client profile, as data for the tests and the table.

A new provider is a new entry of `EXPECTED`, a new registration profile a new column of an entry. A column is used only
if access files support its profile, so it may be added in advance.
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
_ANOTHER_CONNECTOR = frozenset({"ChatGPT, callback of one connector"})  # each user's connector has its own URI
_BY_VENDOR = frozenset({"VS Code", "Cursor", "Claude.ai", "ChatGPT"}) | _ANOTHER_CONNECTOR


@dataclass(frozen=True, slots=True)
class Column:
    """A registration profile of a provider.

    Attributes:
        allowed: the client profiles that can register and log in; all others are rejected.
        initial_access_token: whether registration requires an initial access token (RFC 7591 section 3).
        status: the status of a rejection.
    """

    allowed: frozenset[str]
    initial_access_token: bool = False
    status: int = 403


@dataclass(frozen=True, slots=True)
class Provider:
    """An identity provider.

    Attributes:
        columns: the columns by registration profile.
        parallel_refresh: the statuses of two concurrent refreshes with the same token, sorted.
        after_parallel_refresh: the statuses of another refresh with one of the new tokens.
        failures: the statuses of malicious registrations that fail without being rejected, by name.
        responses: malicious registrations that succeed but get only what every client gets.
        lost_redirects: by allowed client profile, its redirect URIs that end in an error page.
        cannot: malicious registrations that it cannot reject, each with the result.
    """

    columns: dict[str, Column]
    parallel_refresh: tuple[int, int]
    after_parallel_refresh: int
    failures: Mapping[str, int] = field(default_factory=dict)
    responses: frozenset[str] = frozenset()
    lost_redirects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cannot: Mapping[str, str] = field(default_factory=dict)

    def tested(self) -> dict[str, Column]:
        """Returns the columns whose profile access files support."""
        return {name: column for name, column in self.columns.items() if name in get_args(RegistrationProfile)}


EXPECTED = {
    "Keycloak": Provider(
        columns={
            "open-dev": Column(_ALL_CLIENTS - _ANOTHER_CONNECTOR),
            "loopback-only": Column(_ALL_CLIENTS - _BY_VENDOR),
            "initial-access-token": Column(_ALL_CLIENTS - _ANOTHER_CONNECTOR, initial_access_token=True),
            "closed": Column(frozenset()),
        },
        # Longer than a column of Keycloak's database, so the transaction fails and nothing is registered.
        failures={"a name of 10 000 letters": 500, "a redirect URI of 10 000 letters": 500},
        # `refreshTokenMaxReuse`: 1. With 0 the second refresh gets 400 and ends the session.
        parallel_refresh=(200, 200),
        after_parallel_refresh=200,
    ),
    "Dex": Provider(
        columns={
            "open-dev": Column(_ALL_CLIENTS - _ANOTHER_CONNECTOR, status=400),
            "loopback-only": Column(_ALL_CLIENTS - _BY_VENDOR, status=400),
            "closed": Column(frozenset()),
        },
        # Within `expiry.refreshTokens.reuseInterval` of idp-config/dex/dex.yaml.
        parallel_refresh=(200, 200),
        after_parallel_refresh=200,
        # The proxy reads only the redirect URIs and the name; it stores, shows and fetches no URLs.
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
        # Dex matches the redirect URIs of a client exactly (RFC 8252 section 7.3 would allow any port).
        lost_redirects={"VS Code": ("http://127.0.0.1:54321/",)},
        cannot={
            "`initial-access-token`": "the registration proxy stores nothing and cannot count registrations; the "
            "bootstrap rejects the profile",
            "`cimd`": "Dex knows only the clients in its own list; the bootstrap rejects the profile",
            "a secret for a client that requests one": "every client is public: the response has "
            "`token_endpoint_auth_method: none`, whatever was requested",
            "a refresh token for a client that does not request `offline_access`": "it logs in again when its access "
            "token expires, after ten minutes; TypeScript SDK 2.x requests it here, because the metadata names it, "
            "and 1.x does not",
            "`iss` in the authorization response (RFC 9207)": "left out, and not advertised",
            "deletion of a registration (RFC 7592)": "nothing is stored, so there is nothing to delete",
        },
    ),
}
