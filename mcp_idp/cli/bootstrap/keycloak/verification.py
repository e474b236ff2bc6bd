"""What only Keycloak can be asked: example tokens, and which registration endpoints are open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from mcp_idp.access.registration_profiles import PROFILES
from mcp_idp.cli.bootstrap.errors import ProviderUnreachable, VerificationError
from mcp_idp.cli.bootstrap.keycloak.lookups import find_client, find_user
from mcp_idp.cli.bootstrap.verification import Advisory

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings

_CREATED = 201
_NO_CONTENT = 204
_ERROR = 400
_NOT_FOUND = 404
_SERVER_ERROR = 500
# Registration endpoints that take a whole client of Keycloak's own kind from anybody: claims of the client's choice,
# tokens valid for ten years. Only a server option closes them.
NATIVE_REGISTRATION_ENDPOINTS = ("default", "install", "saml2-entity-descriptor")
_PAIRWISE = "oidc-sha256-pairwise-sub-mapper"
DISABLE_PAIRWISE_OPTION = "KC_SPI_PROTOCOL_MAPPER__OIDC_SHA256_PAIRWISE_SUB_MAPPER__ENABLED=false"


def example_tokens(settings: KeycloakSettings, session: AdminClient) -> str:
    """Every demo user would get the scopes of their roles, and the audience only with a scope.

    Keycloak evaluates what a login would bring; nobody logs in and nothing is written.

    Raises:
        VerificationError: somebody would get more, or less, or another audience.
        Note: there is no client or no user to evaluate with.
    """
    access = settings.access
    if not access.clients or not access.demo_users:
        raise Advisory("no example token: it requires a client and a demo user in the access file")
    client_id = next(iter(access.clients))
    for user in access.demo_users:
        token = example_token(session, client_id, user, tuple(access.scopes))
        _validate_token(settings, user, token)
    return f"{', '.join(access.demo_users)} would each get the scopes of their roles, for {settings.public_url}"


def example_token(session: AdminClient, client_id: str, username: str, scopes: tuple[str, ...]) -> dict[str, Any]:
    """The claims of the access token that a login with `scopes` would bring."""
    client, user = find_client(session, client_id), find_user(session, username)
    if client is None or user is None:
        raise VerificationError(f"the client {client_id} or the user {username} does not exist")
    path = ("clients", client["id"], "evaluate-scopes", "generate-example-access-token")
    token: dict[str, Any] = session.get(*path, userId=user["id"], scope=" ".join(scopes))
    return token


def _validate_token(settings: KeycloakSettings, user: str, token: dict[str, Any]) -> None:
    access = settings.access
    roles = access.roles_of_demo_user(access.demo_users[user])
    due = access.scopes_granted_by(frozenset(roles))
    got = frozenset(str(token.get("scope", "")).split()) & set(access.scopes)
    if got != due:
        raise VerificationError(f"{user} would get the scopes {sorted(got)}; the access file grants {sorted(due)}")
    audience = token.get("aud")
    if audience != (settings.public_url if due else None):
        raise VerificationError(
            f"the token of {user} would be for {audience}, and must be for {settings.public_url} alone"
        )
    granting_roles = sorted(set(roles) & set(access.scopes[access.base_scope].roles))  # all that bring a scope here
    if due and sorted(token.get(access.roles_claim, [])) != granting_roles:
        raise VerificationError(
            f"{access.roles_claim} of {user} would be {token.get(access.roles_claim)}, not {granting_roles}"
        )


def own_registration_is_off(settings: KeycloakSettings, http: httpx.Client) -> str:
    """Only the standard registration endpoint is there.

    Raises:
        Note: another one is: that cannot be changed by the admin API, only where Keycloak is started.
    """
    here = enabled_native_endpoints(settings, http)
    if here:
        raise Advisory(
            f"Keycloak also lets anybody register clients of its own kinds ({', '.join(here)}); apply cannot "
            f"change this: start Keycloak with {disable_options(here)}"
        )
    return "no registration endpoint but the standard one"


def enabled_native_endpoints(settings: KeycloakSettings, http: httpx.Client) -> list[str]:
    """The registration endpoints of Keycloak's own kinds that are there.

    Raises:
        ProviderUnreachable: nothing answers.
    """
    try:
        statuses = {
            kind: http.get(f"{_registration(settings)}/{kind}/-").status_code for kind in NATIVE_REGISTRATION_ENDPOINTS
        }
    except httpx.TransportError as error:
        raise ProviderUnreachable(f"nothing answers at {settings.internal_url}") from error
    return [kind for kind, status in statuses.items() if status != _NOT_FOUND]


def disable_options(kinds: list[str]) -> str:
    """The options of Keycloak's start that close these endpoints."""
    return " ".join(f"KC_SPI_CLIENT_REGISTRATION__{k.upper().replace('-', '_')}__ENABLED=false" for k in kinds)


def allows_pairwise_subjects(session: AdminClient) -> bool:
    """Whether a client may have subjects of its own (OpenID Connect Core section 8.1): Keycloak has the means."""
    providers = session.get("client-registration-policy", "providers")
    members = [member for found in providers for member in found.get("properties") or []]
    return any(_PAIRWISE in (member.get("options") or []) for member in members)


def trial_registration(settings: KeycloakSettings, http: httpx.Client) -> str:
    """A client on this machine may register or not, as the registration profile says; a foreign one never may.

    This is the one proof that writes. What it registered it removes with that registration's own token (RFC 7592).

    Raises:
        VerificationError: the provider judged otherwise.
    """
    url = f"{_registration(settings)}/openid-connect"
    foreign = http.post(url, json=_outcome("https://client.example/callback"))
    if not _ERROR <= foreign.status_code < _SERVER_ERROR:
        _remove(http, url, foreign)
        raise VerificationError(f"a client that redirects to client.example could register: {foreign.status_code}")
    own = http.post(url, json=_outcome("http://127.0.0.1:33333/callback"))
    profile = settings.access.registration.profile
    if not PROFILES[profile].anonymous:
        if own.status_code == _CREATED:
            _remove(http, url, own)
            raise VerificationError(
                f"a client could register without a token, although the registration profile is {profile}"
            )
        return f"registration requires a token ({profile})"
    if own.status_code != _CREATED:
        raise VerificationError(f"a client on this machine could not register: {own.status_code} {own.text[:200]}")
    _remove(http, url, own)
    return f"a client on this machine could register and was removed; a foreign one was rejected ({profile})"


def _registration(settings: KeycloakSettings) -> str:
    return f"{settings.internal_url}/clients-registrations"


def _outcome(redirect_uri: str) -> dict[str, object]:
    return {
        "client_name": "trial of the bootstrap",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    }


def _remove(http: httpx.Client, url: str, registered: httpx.Response) -> None:
    """By its registration token, at the address this process reaches: the one in the answer may be the public one."""
    client = registered.json()
    headers = {"Authorization": f"Bearer {client['registration_access_token']}"}
    response = http.delete(f"{url}/{client['client_id']}", headers=headers)
    if response.status_code != _NO_CONTENT:
        raise VerificationError(f"the test client {client['client_id']} could not be removed: {response.status_code}")
