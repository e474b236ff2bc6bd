"""Verifications specific to Keycloak: example tokens, registration endpoints and a test registration.

A verification returns one line that states the result, or raises `VerificationError` or `Advisory`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from mcp_idp.access.registration_profiles import PROFILES
from mcp_idp.cli.bootstrap.errors import ProviderUnreachable, VerificationError
from mcp_idp.cli.bootstrap.keycloak.lookups import find_client, find_user
from mcp_idp.cli.bootstrap.verification import Advisory, get_json

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings

_CREATED = 201
_NO_CONTENT = 204
_ERROR = 400
_NOT_FOUND = 404
_SERVER_ERROR = 500
# Registration endpoints that accept a full Keycloak client representation without authentication, and with it arbitrary
# claims or tokens valid for ten years. Only a server option disables them.
NATIVE_REGISTRATION_ENDPOINTS = ("default", "install", "saml2-entity-descriptor")
_PAIRWISE = "oidc-sha256-pairwise-sub-mapper"
DISABLE_PAIRWISE_OPTION = "KC_SPI_PROTOCOL_MAPPER__OIDC_SHA256_PAIRWISE_SUB_MAPPER__ENABLED=false"


def verify_provider_metadata(
    settings: KeycloakSettings, http: httpx.Client, scopes_of_others: frozenset[str] = frozenset()
) -> str:
    """Verifies that the provider's metadata has our issuer, PKCE and our scopes (RFC 8414 sections 2 and 3.3).

    Args:
        settings: The settings of the run.
        http: The HTTP client.
        scopes_of_others: Scopes that other resources of the realm record, which it may advertise too.

    Raises:
        VerificationError: It does not.
    """
    url = f"{settings.internal_url}/.well-known/openid-configuration"
    metadata = get_json(http, url)
    if metadata is None:
        raise VerificationError(f"the provider's metadata cannot be read at {url}")
    issuer = metadata.get("issuer")
    if issuer != settings.server_url:
        raise VerificationError(
            f"Keycloak's issuer is {issuer}, but OAUTH_SERVER_URL is {settings.server_url}: make them equal, "
            "in OAUTH_SERVER_URL or in Keycloak's KC_HOSTNAME"
        )
    if "S256" not in metadata.get("code_challenge_methods_supported", []):
        raise VerificationError("the provider does not offer PKCE with S256")
    advertised = set(metadata.get("scopes_supported", [])) - {"openid"}
    if advertised - scopes_of_others != set(settings.access.scopes):
        raise VerificationError(
            f"the provider advertises the scopes {sorted(advertised)}, not those of the access file"
        )
    return f"the provider is {issuer}, with PKCE, advertising {' '.join(settings.access.scopes)}"


def verify_cimd_announced(settings: KeycloakSettings, http: httpx.Client, member: str) -> str:
    """Verifies that the provider supports client ID metadata documents exactly if the registration profile allows them.

    Args:
        settings: The settings of the run.
        http: The HTTP client.
        member: The member of the provider's metadata that announces them.

    Raises:
        VerificationError: The profile allows them, but the provider does not announce them.
        Advisory: The provider announces them, but the profile does not allow them.
    """
    metadata = get_json(http, f"{settings.internal_url}/.well-known/openid-configuration") or {}
    offered, required = bool(metadata.get(member)), PROFILES[settings.access.registration.profile].metadata_documents
    if offered and not required:
        raise Advisory(
            "the provider advertises client metadata documents but this realm accepts none: clients that prefer them "
            "fail with 'Client not found'. Start it without the feature (KC_FEATURES), or write "
            "registration.profile: cimd"
        )
    if required and not offered:
        raise VerificationError(
            "registration.profile is cimd but the provider does not advertise client metadata documents"
        )
    return "client metadata documents are " + (
        "advertised and accepted" if required else "neither advertised nor accepted"
    )


def verify_example_tokens(settings: KeycloakSettings, session: AdminClient) -> str:
    """Verifies the tokens that the demo users would get: the scopes of their roles, and the audience only with a scope.

    Keycloak generates an example token for each; no user logs in and nothing is written.

    Args:
        settings: settings of the run.
        session: admin client of the realm.

    Returns:
        One line that states what was verified.

    Raises:
        VerificationError: a user would get more or fewer scopes, another audience or other roles.
        Advisory: the access file has no client or no demo user to evaluate with.
    """
    access = settings.access
    if not access.clients or not access.demo_users:
        raise Advisory("no example token: it requires a client and a demo user in the access file")
    client_id = next(iter(access.clients))
    for user in access.demo_users:
        token = generate_example_token(session, client_id, user, tuple(access.scopes))
        _validate_token(settings, user, token)
    return f"{', '.join(access.demo_users)} would each get the scopes of their roles, for {settings.public_url}"


def generate_example_token(
    session: AdminClient, client_id: str, username: str, scopes: tuple[str, ...]
) -> dict[str, Any]:
    """Has Keycloak generate an example access token.

    Args:
        session: admin client of the realm.
        client_id: the client that would log the user in.
        username: the user.
        scopes: the scopes that the client would request.

    Returns:
        The claims of the token, by name.

    Raises:
        VerificationError: the client or the user does not exist.
    """
    client, user = find_client(session, client_id), find_user(session, username)
    if client is None or user is None:
        raise VerificationError(f"the client {client_id} or the user {username} does not exist")
    path = ("clients", client["id"], "evaluate-scopes", "generate-example-access-token")
    token: dict[str, Any] = session.get(*path, userId=user["id"], scope=" ".join(scopes))
    return token


def _validate_token(settings: KeycloakSettings, user: str, token: dict[str, Any]) -> None:
    access = settings.access
    roles = access.roles_of_demo_user(access.demo_users[user])
    granted = access.scopes_granted_by(frozenset(roles))
    got = frozenset(str(token.get("scope", "")).split()) & set(access.scopes)
    if got != granted:
        raise VerificationError(f"{user} would get the scopes {sorted(got)}; the access file grants {sorted(granted)}")
    audience = token.get("aud")
    if audience != (settings.public_url if granted else None):
        raise VerificationError(
            f"the token of {user} would be for {audience}, and must be for {settings.public_url} alone"
        )
    granting_roles = sorted(set(roles) & set(access.scopes[access.base_scope].roles))  # every role that grants a scope
    if granted and sorted(token.get(access.roles_claim, [])) != granting_roles:
        raise VerificationError(
            f"{access.roles_claim} of {user} would be {token.get(access.roles_claim)}, not {granting_roles}"
        )


def verify_native_endpoints_disabled(settings: KeycloakSettings, http: httpx.Client) -> str:
    """Verifies that the standard registration endpoint (RFC 7591) is the only one that is enabled.

    Args:
        settings: settings of the run.
        http: HTTP client.

    Returns:
        One line that states what was verified.

    Raises:
        Advisory: another registration endpoint is enabled. The admin API cannot disable it, only a server option can.
        ProviderUnreachable: Keycloak does not respond.
    """
    enabled = enabled_native_endpoints(settings, http)
    if enabled:
        raise Advisory(
            f"Keycloak also accepts registrations in its own formats ({', '.join(enabled)}); apply cannot "
            f"change this: start Keycloak with {disable_options(enabled)}"
        )
    return "no registration endpoint but the standard one"


def enabled_native_endpoints(settings: KeycloakSettings, http: httpx.Client) -> list[str]:
    """Finds the enabled registration endpoints that accept Keycloak's own client formats.

    Args:
        settings: settings of the run.
        http: HTTP client.

    Returns:
        Those of `NATIVE_REGISTRATION_ENDPOINTS` that do not respond 404.

    Raises:
        ProviderUnreachable: Keycloak does not respond.
    """
    try:
        statuses = {
            kind: http.get(f"{_registration(settings)}/{kind}/-").status_code for kind in NATIVE_REGISTRATION_ENDPOINTS
        }
    except httpx.TransportError as error:
        raise ProviderUnreachable(f"{settings.internal_url} does not respond") from error
    return [kind for kind, status in statuses.items() if status != _NOT_FOUND]


def disable_options(kinds: list[str]) -> str:
    """Formats the server options that disable registration endpoints.

    Args:
        kinds: entries of `NATIVE_REGISTRATION_ENDPOINTS`.

    Returns:
        Environment variables for Keycloak, separated by spaces.
    """
    return " ".join(f"KC_SPI_CLIENT_REGISTRATION__{k.upper().replace('-', '_')}__ENABLED=false" for k in kinds)


def allows_pairwise_subjects(session: AdminClient) -> bool:
    """Checks whether registered clients may use pairwise subject identifiers (OpenID Connect Core section 8.1).

    That is so if Keycloak offers the pairwise mapper to its client registration policies.
    """
    providers = session.get("client-registration-policy", "providers")
    members = [member for found in providers for member in found.get("properties") or []]
    return any(_PAIRWISE in (member.get("options") or []) for member in members)


def verify_registration(settings: KeycloakSettings, http: httpx.Client) -> str:
    """Verifies anonymous registration with two test registrations.

    A client with a loopback redirect URI must be accepted or rejected as the registration profile says; one with a
    third-party redirect URI must always be rejected. This is the only verification that writes. It deletes what it
    registered with the client's own registration access token (RFC 7592).

    Args:
        settings: settings of the run.
        http: HTTP client.

    Returns:
        One line that states what was verified.

    Raises:
        VerificationError: Keycloak decided otherwise, or the test client could not be deleted.
    """
    url = f"{_registration(settings)}/openid-connect"
    third_party = http.post(url, json=_test_client("https://client.example/callback"))
    if not _ERROR <= third_party.status_code < _SERVER_ERROR:
        _remove(http, url, third_party)
        raise VerificationError(f"a client that redirects to client.example could register: {third_party.status_code}")
    loopback = http.post(url, json=_test_client("http://127.0.0.1:33333/callback"))
    profile = settings.access.registration.profile
    if not PROFILES[profile].anonymous:
        if loopback.status_code == _CREATED:
            _remove(http, url, loopback)
            raise VerificationError(
                f"a client could register without a token, although the registration profile is {profile}"
            )
        return f"registration requires a token ({profile})"
    if loopback.status_code != _CREATED:
        raise VerificationError(
            f"a client on this machine could not register: {loopback.status_code} {loopback.text[:200]}"
        )
    _remove(http, url, loopback)
    return (
        f"a client with a loopback redirect URI could register and was removed; one elsewhere was rejected ({profile})"
    )


def _registration(settings: KeycloakSettings) -> str:
    return f"{settings.internal_url}/clients-registrations"


def _test_client(redirect_uri: str) -> dict[str, object]:
    return {
        "client_name": "test of the bootstrap",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    }


def _remove(http: httpx.Client, url: str, registered: httpx.Response) -> None:
    """Deletes a test client with its registration access token.

    It uses the URL that this process reaches; `registration_client_uri` in the response may be the public one.
    """
    client = registered.json()
    headers = {"Authorization": f"Bearer {client['registration_access_token']}"}
    response = http.delete(f"{url}/{client['client_id']}", headers=headers)
    if response.status_code != _NO_CONTENT:
        raise VerificationError(f"the test client {client['client_id']} could not be removed: {response.status_code}")
