"""Verifies that Dex and the proxy run with the rendered files.

The verifications send requests like an unauthenticated client; they do not log in and leave nothing permanent behind.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx

from mcp_idp.cli.bootstrap.dex.proxy_files import metadata
from mcp_idp.cli.bootstrap.dex.render import config_marker
from mcp_idp.cli.bootstrap.errors import ProviderUnreachable, VerificationError
from mcp_idp.cli.bootstrap.verification import Advisory, get_json

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.dex.settings import DexSettings
    from mcp_idp.cli.bootstrap.dex.templates import DexTemplates, Json

_CREATED, _OK, _BAD_REQUEST, _FORBIDDEN, _NOT_FOUND = 201, 200, 400, 403, 404
_REDIRECTS = frozenset({302, 303})
_LOOPBACK = "http://127.0.0.1:49152/callback"
_POLL_SECONDS = 0.5
# Added by the proxy although Dex's own metadata lacks them, see idp-config/dex/metadata.yaml.
_PROXY_ONLY_MEMBERS = frozenset(
    {"registration_endpoint", "token_endpoint_auth_methods_supported", "response_modes_supported"}
)
_UNADVERTISED_CLAIMS = frozenset({"groups"})
_CHALLENGE = "x" * 43
_RESTART = (
    "restart Dex, which reads its configuration only at the start: docker compose -f docker-compose.dex.yml restart dex"
)


def wait_for(settings: DexSettings, config: Json, http: httpx.Client, seconds: float) -> None:
    """Waits until the proxy responds and Dex runs with `config`.

    Args:
        settings: The settings of the run.
        config: The desired configuration of Dex.
        http: The HTTP client.
        seconds: The timeout.

    Raises:
        ProviderUnreachable: The proxy's address does not respond.
        VerificationError: Dex runs with another configuration.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return _check_config_marker(settings, config, http)
        except (ProviderUnreachable, VerificationError):
            if time.monotonic() >= end:
                raise
        time.sleep(_POLL_SECONDS)


def _check_config_marker(settings: DexSettings, config: Json, http: httpx.Client) -> None:
    """Checks that Dex knows the marker client, and has therefore read the current configuration.

    For a known client with a wrong redirect URI, Dex returns another status than for an unknown client.
    """
    try:
        response = _begin_login(settings, config, http, config_marker(config), _LOOPBACK)
    except httpx.HTTPError as error:
        raise ProviderUnreachable(
            f"{settings.internal_url} does not respond ({type(error).__name__}): start the stack, or set "
            "OAUTH_INTERNAL_URL to where the registration proxy is reachable from here"
        ) from error
    if response.status_code not in {_BAD_REQUEST, _NOT_FOUND}:
        raise ProviderUnreachable(f"{settings.internal_url} responded {response.status_code}: Dex is not ready yet")
    if response.status_code != _BAD_REQUEST:
        raise VerificationError(f"the running Dex has not read the current file: {_RESTART}")


def verify_running_config(settings: DexSettings, config: Json, http: httpx.Client) -> str:
    """Verifies that Dex runs with the rendered configuration.

    Raises:
        VerificationError: It runs with another one.
    """
    _check_config_marker(settings, config, http)
    return "Dex runs with the current file"


def verify_served_metadata(settings: DexSettings, source: DexTemplates, http: httpx.Client) -> str:
    """Verifies that both well-known URLs serve the rendered metadata (RFC 8414 section 3).

    Raises:
        VerificationError: They do not.
    """
    desired = metadata(settings, source)
    for name in ("oauth-authorization-server", "openid-configuration"):
        url = f"{settings.internal_url}/.well-known/{name}"
        if get_json(http, url) != desired:
            raise VerificationError(f"{url} differs from the file: is that another registration proxy?")
    return f"the provider is {settings.server_url}, with PKCE, advertising {' '.join(settings.access.scopes)}"


def verify_dex_metadata(settings: DexSettings, source: DexTemplates, http: httpx.Client) -> str:
    """Verifies that the served metadata agrees with Dex's own, except for what the proxy adds.

    Raises:
        VerificationError: A member differs.
        Advisory: Dex itself cannot be reached from here.
    """
    dex_metadata = get_json(http, f"http://{settings.upstream}/.well-known/openid-configuration")
    if dex_metadata is None:
        raise Advisory(f"Dex's own metadata was not compared: {settings.upstream} is not reachable from here")
    expected = {**metadata(settings, source), "scopes_supported": list(source.metadata.scopes)}
    wrong = [
        name
        for name, value in expected.items()
        if name not in _PROXY_ONLY_MEMBERS and not _agrees(value, dex_metadata.get(name), _UNADVERTISED_CLAIMS)
    ]
    if wrong:
        raise VerificationError(
            f"Dex's own metadata differs in: {', '.join(wrong)}; change idp-config/dex/metadata.yaml"
        )
    return "the served metadata agrees with Dex's own"


def _agrees(value: object, dex_value: object, unadvertised: frozenset[str]) -> bool:
    if isinstance(value, list) and isinstance(dex_value, list):
        return set(value) - unadvertised <= set(dex_value)
    return value == dex_value


def verify_public_clients(settings: DexSettings, config: Json, http: httpx.Client) -> str:
    """Verifies that Dex knows each kind of public client with its redirect URIs, and that one may request the resource.

    Raises:
        VerificationError: It does not.
    """
    public = [client for client in config["staticClients"] if client.get("public")]
    # The pool's clients differ only in their numbers, and Dex logs an error for each request; one is enough.
    tested = [client for client in public if not client["id"].startswith("mcp-native-")]
    for client in [*public[:1], *tested]:
        for uri in client.get("redirectURIs", [_LOOPBACK]):
            # Dex validates client and redirect URI before it rejects the unsupported parameter, at that redirect URI.
            response = _begin_login(settings, config, http, client["id"], uri, request="unsupported")
            if not response.headers.get("location", "").startswith(uri):
                raise VerificationError(
                    f"Dex rejects the login of {client['id']} at {uri}: it responds {response.status_code}"
                )
    for client in public[:1]:
        uri = client.get("redirectURIs", [_LOOPBACK])[0]
        response = _begin_login(settings, config, http, client["id"], uri)
        if response.status_code not in {_OK, *_REDIRECTS} or response.headers.get("location", "").startswith(uri):
            raise VerificationError(f"Dex does not let {client['id']} request {settings.public_url}: {_RESTART}")
    return f"Dex accepts logins of {len(public)} clients, for {settings.public_url}"


def verify_pkce_required(settings: DexSettings, config: Json, http: httpx.Client) -> str:
    """Verifies that the proxy rejects authorization requests without PKCE S256 (RFC 7636 section 4.2).

    Dex itself accepts such requests.

    Raises:
        VerificationError: A request was not rejected.
    """
    client = next(client["id"] for client in config["staticClients"] if client.get("public"))
    for name, challenge in (("none", {}), ("plain", {"code_challenge": _CHALLENGE, "code_challenge_method": "plain"})):
        query = {"response_type": "code", "client_id": client, "redirect_uri": _LOOPBACK, **challenge}
        if http.get(f"{settings.internal_url}/auth", params=query).status_code != _BAD_REQUEST:
            raise VerificationError(
                f"a login began with PKCE: {name}: the registration proxy does not follow its configuration"
            )
    return "every login requires PKCE with S256"


def verify_registration(settings: DexSettings, config: Json, http: httpx.Client) -> str:
    """Verifies that registrations are accepted and rejected according to the registration profile. Nothing is stored.

    Raises:
        VerificationError: They are not.
    """
    profile = settings.access.registration.profile
    vendors = [uris[0] for uris in settings.access.registration.vendors.values() if uris]
    loopback = _BAD_REQUEST if profile == "closed" else _CREATED
    expected_by_uri = {
        _LOOPBACK: loopback,
        "https://attacker.example/callback": _BAD_REQUEST,
        **dict.fromkeys(vendors, _CREATED if profile == "open-dev" else _BAD_REQUEST),
    }
    known = {client["id"] for client in config["staticClients"]}
    for uri, expected in expected_by_uri.items():
        response = http.post(f"{settings.internal_url}/register", json={"redirect_uris": [uri]})
        status = _FORBIDDEN if profile == "closed" else expected
        if response.status_code != status:
            raise VerificationError(f"registration of {uri} got {response.status_code}, not {status}")
        if status == _CREATED and response.json().get("client_id") not in known:
            raise VerificationError(f"registration of {uri} returned a client that Dex does not know")
    return f"registration follows the profile {profile}"


def _begin_login(
    settings: DexSettings, config: Json, http: httpx.Client, client_id: str, redirect_uri: str, **more: str
) -> httpx.Response:
    """Sends the request at which Dex validates client and redirect URI.

    Dex stores an accepted request for the duration of `expiry.authRequests`.
    """
    first = "local" if config.get("enablePasswordDB") else config["connectors"][0]["id"]
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "code_challenge": _CHALLENGE,
        "code_challenge_method": "S256",
        **more,
    }
    return http.get(f"{settings.internal_url}/auth/{first}", params=query)
