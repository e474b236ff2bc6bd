"""Client for Keycloak's admin REST API, scoped to one realm.

Failures are raised as `BootstrapError` subclasses whose text says what to change.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from keycloak.exceptions import KeycloakAuthenticationError, KeycloakConnectionError, KeycloakError
from requests.exceptions import SSLError

from mcp_idp.cli.bootstrap.bounded_http import LIMITS, BoundedConnection
from mcp_idp.cli.bootstrap.errors import AdminAuthError, PermissionDenied, ProviderRequestError, ProviderUnreachable
from mcp_idp.cli.bootstrap.tls import tls_errors_as_config_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import Response

    from mcp_idp.cli.bootstrap.bounded_http import ProviderLimits
    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings

MASTER = "master"  # Keycloak's administration realm: its admins can be granted rights in other realms


def connection_error(settings: KeycloakSettings, error: KeycloakConnectionError) -> ProviderUnreachable:
    """Builds the error for a failed connection, with separate advice for a failed TLS handshake.

    Args:
        settings: settings of the run; the text names `admin_base`.
        error: the exception from python-keycloak; its cause tells a TLS failure from an unreachable server.

    Returns:
        The exception, not raised.
    """
    base = settings.admin_base
    if isinstance(error.__cause__, SSLError):
        return ProviderUnreachable(
            f"no TLS connection to {base}: if your own authority issued Keycloak's certificate, name its file in "
            "SSL_CERT_FILE and REQUESTS_CA_BUNDLE; if Keycloak uses plain http, write http:// in OAUTH_INTERNAL_URL"
        )
    return ProviderUnreachable(
        f"{base} does not respond: start Keycloak (docker compose up keycloak). If yours has another address, set "
        "OAUTH_SERVER_URL to its realm, and OAUTH_INTERNAL_URL where this process reaches it elsewhere"
    )


def auth_error(settings: KeycloakSettings) -> AdminAuthError:
    """Builds the error for a Keycloak that rejected the admin client's secret.

    Args:
        settings: settings of the run; the text names the admin client.

    Returns:
        The exception, not raised.
    """
    return AdminAuthError(
        f"Keycloak rejects the secret of its admin client '{settings.admin_client_id}': it keeps the "
        "one of its first start. With docker compose: `docker compose down -v` starts afresh (and forgets all "
        "users and clients); elsewhere set KEYCLOAK_ADMIN_CLIENT_ID and KEYCLOAK_ADMIN_CLIENT_SECRET_FILE"
    )


def missing_roles_message(settings: KeycloakSettings, realm: str, method: str, path: tuple[str, ...]) -> str:
    """Formats the error text for a 403: names the rejected request and the roles that the admin client needs.

    Args:
        settings: settings of the run; they name the admin client and the realm that it belongs to.
        realm: the realm that the request addressed.
        method: the HTTP method of the request.
        path: path segments below the realm; empty for the realm itself.

    Returns:
        One line.
    """
    what = f"{method} {'/'.join(path) or 'the realm'}"
    if realm == MASTER:  # requests to master create the service accounts of another realm
        roles = "manage-clients and manage-users"
    elif method == "GET":
        roles = (
            "view-realm, view-clients, view-events (for apply manage-realm, manage-clients, view-events) and for "
            "users view-users (manage-users)"
        )
    else:
        roles = "manage-realm, manage-clients and, for demo users, machine clients and groups, manage-users"
    where = f"{realm}-realm" if settings.admin_realm == MASTER else "realm-management"
    return (
        f"the admin client '{settings.admin_client_id}' may not {what}: give its service account {roles}, "
        f"roles of the client '{where}' in the realm '{settings.admin_realm}'"
    )


def error_message(response: Response) -> str:
    """Extracts Keycloak's own error message from a response.

    Returns:
        One line of at most 200 characters: `errorMessage`, `error_description` or `error` of a JSON body, else the
        whole body.
    """
    try:
        body = response.json()
    except ValueError:
        return " ".join(response.text.split())[:200]
    names = ("errorMessage", "error_description", "error")
    return str(next((body[name] for name in names if name in body), body))[:200]


_NOT_FOUND = 404
_ERROR = 400
_FORBIDDEN = 403
_SERVER_ERROR = 500
_RETRY_SECONDS = 2
# Long, because python-keycloak repeats a request that timed out, and a repeated POST finds its object created already.
_TIMEOUT_SECONDS = 120
_LOG_EVERY = 5  # retries


class AdminClient:
    """Client for the admin API of one realm, authenticated as the admin client.

    Paths passed to its methods are segments below the realm; each segment is percent-encoded. The connection renews the
    access token by itself. Any request can raise `ProviderUnreachable` when Keycloak stops responding and
    `AdminAuthError` when it no longer accepts the admin client.

    Args:
        settings: settings of the run: the server's address and the admin client's credentials.
        log: receives each progress line.
        realm: the realm that paths are relative to; by default the realm of the settings.
        limits: what a response of the provider may take.

    Raises:
        ConfigError: SSL_CERT_FILE has no certificates.

    Attributes:
        connection: the underlying python-keycloak connection; public so that callers can observe its requests.
    """

    def __init__(
        self,
        settings: KeycloakSettings,
        log: Callable[[str], None] = print,
        *,
        realm: str | None = None,
        limits: ProviderLimits = LIMITS,
    ) -> None:
        with tls_errors_as_config_errors():
            self.connection = BoundedConnection(
                limits,
                server_url=settings.admin_base,
                # The realm that the admin client belongs to, independent of the realm it administers: without this,
                # token renewal would use the wrong realm's token endpoint.
                user_realm_name=settings.admin_realm,
                realm_name=settings.realm,
                client_id=settings.admin_client_id,
                client_secret_key=settings.admin_client_secret,
                timeout=_TIMEOUT_SECONDS,
            )
        self._settings = settings
        self._log = log
        self._realm = realm or settings.realm

    def log_in(self, wait: int) -> None:
        """Gets an access token for the admin client, retrying while the provider is still starting.

        Args:
            wait: how long to keep retrying, in seconds; 0 tries once.

        Raises:
            ProviderUnreachable: Keycloak did not respond as expected within `wait` seconds.
            AdminAuthError: Keycloak rejected the secret.
        """
        deadline = time.monotonic() + wait
        tries = 0
        while True:
            failure = self._try_to_log_in()
            if failure is None:
                return
            if time.monotonic() >= deadline:
                raise failure
            if tries % _LOG_EVERY == 0:
                self._log(f"waiting for Keycloak at {self._settings.admin_base} …")
            tries += 1
            time.sleep(_RETRY_SECONDS)

    def _try_to_log_in(self) -> ProviderUnreachable | None:
        """Tries once; returns None on success, else the error that is worth a retry."""
        try:
            self.connection.get_token()
        except KeycloakConnectionError as error:
            return connection_error(self._settings, error)
        except KeycloakError as error:
            if error.response_code == _NOT_FOUND:
                realm = self._settings.admin_realm
                return ProviderUnreachable(
                    f"{self._settings.admin_base} has no realm '{realm}': no Keycloak is there (OAUTH_SERVER_URL, "
                    "OAUTH_INTERNAL_URL), or the admin client lives in another realm (KEYCLOAK_ADMIN_REALM)"
                )
            if (error.response_code or _SERVER_ERROR) >= _SERVER_ERROR:
                return ProviderUnreachable(
                    f"{self._settings.admin_base} responds {error.response_code}, not as Keycloak does"
                )
            raise auth_error(self._settings) from error
        return None

    def get(self, *path: str, **query: str) -> Any:
        """Reads a resource that must exist.

        Args:
            path: path segments below the realm; none for the realm itself.
            query: query parameters.

        Returns:
            The decoded JSON: an object or a list of objects in Keycloak's representation.

        Raises:
            ProviderRequestError: the resource does not exist (404), or Keycloak rejected the request.
            PermissionDenied: the admin client lacks the roles to read it.
        """
        found = self.find(*path, **query)
        if found is None:
            raise ProviderRequestError(f"Keycloak has nothing at {'/'.join(path)}", _NOT_FOUND)
        return found

    def find(self, *path: str, **query: str) -> Any | None:
        """Reads a resource that may be missing.

        Args:
            path: path segments below the realm; none for the realm itself.
            query: query parameters.

        Returns:
            The decoded JSON, or None if Keycloak responds 404.

        Raises:
            ProviderRequestError: Keycloak rejected the request.
            PermissionDenied: the admin client lacks the roles to read it.
        """
        response = self._send("GET", self._path(path), **query)
        if response.status_code == _NOT_FOUND:
            return None
        self._check(response, "GET", path)
        return response.json()

    def write(self, method: str, path: tuple[str, ...], body: object = None) -> None:
        """Sends a write request and discards the response body.

        Args:
            method: "POST", "PUT" or "DELETE".
            path: path segments below the realm; empty for the realm itself.
            body: JSON-serializable body; None sends an empty one.

        Raises:
            ProviderRequestError: Keycloak rejected the request; the text contains its reason.
            PermissionDenied: the admin client lacks the roles for it.
        """
        self._check(self._send(method, self._path(path), body), method, path)

    def create(self, path: tuple[str, ...], body: object) -> Any:
        """Sends a POST request and returns the response body.

        Args:
            path: path segments below the realm.
            body: JSON-serializable body.

        Returns:
            The decoded JSON of the response.

        Raises:
            ProviderRequestError: Keycloak rejected the request; the text contains its reason.
            PermissionDenied: the admin client lacks the roles for it.
        """
        response = self._send("POST", self._path(path), body)
        self._check(response, "POST", path)
        return response.json()

    def create_realm(self, representation: dict[str, object]) -> None:
        """Creates a realm.

        Args:
            representation: Keycloak's realm representation; must have the member `realm`.

        Raises:
            ProviderRequestError: Keycloak rejected the request.
            PermissionDenied: the admin client lacks the role `create-realm`.
        """
        response = self._send("POST", "admin/realms", representation)
        if response.status_code == _FORBIDDEN:
            raise PermissionDenied(
                f"the realm '{representation['realm']}' is not there, and the admin client "
                f"'{self._settings.admin_client_id}' may not make it: give its service account create-realm, a role of "
                f"the realm '{MASTER}', or correct the realm's name in OAUTH_SERVER_URL"
            )
        self._check(response, "POST", ("admin/realms",))

    def realms(self) -> frozenset[str]:
        """Returns the names of the realms in which the admin client has any rights."""
        response = self._send("GET", "admin/realms")
        self._check(response, "GET", ("admin/realms",))
        return frozenset(realm["realm"] for realm in response.json())

    def _path(self, path: tuple[str, ...]) -> str:
        parts = (self._realm, *path)
        return "admin/realms/" + "/".join(quote(part, safe="") for part in parts)

    def _send(self, method: str, path: str, body: object = None, **query: str) -> Response:
        try:
            if method == "GET":
                return self.connection.raw_get(path, **query)
            data = json.dumps(body) if body is not None else ""
            send = {"POST": self.connection.raw_post, "PUT": self.connection.raw_put}.get(method)
            if send is not None:
                return send(path, data=data)
            return self.connection.raw_delete(path, data=data)
        except KeycloakConnectionError as error:
            raise ProviderUnreachable(f"Keycloak at {self._settings.admin_base} stopped responding") from error
        except KeycloakAuthenticationError as error:
            raise auth_error(self._settings) from error

    def _check(self, response: Response, method: str, path: tuple[str, ...]) -> None:
        if response.status_code < _ERROR:
            return
        if response.status_code == _FORBIDDEN:
            raise PermissionDenied(missing_roles_message(self._settings, self._realm, method, path))
        raise ProviderRequestError(
            f"Keycloak rejected {method} {'/'.join(path)}: {response.status_code} {error_message(response)}",
            response.status_code,
        )
