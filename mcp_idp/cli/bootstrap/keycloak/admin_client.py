"""The admin API of one realm: typed reads, counted writes, failures that say what to do.

What people read when Keycloak's admin API does not do as it was asked, and what they can change.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from keycloak import KeycloakOpenIDConnection
from keycloak.exceptions import KeycloakAuthenticationError, KeycloakConnectionError, KeycloakError
from requests.exceptions import SSLError

from mcp_idp.cli.bootstrap.errors import AdminAuthError, PermissionDenied, ProviderRequestError, ProviderUnreachable
from mcp_idp.cli.bootstrap.tls import tls_errors_as_config_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import Response

    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings

MASTER = "master"  # the realm of those who may administer others


def connection_error(settings: KeycloakSettings, error: KeycloakConnectionError) -> ProviderUnreachable:
    """No connection, or none over TLS."""
    base = settings.admin_base
    if isinstance(error.__cause__, SSLError):
        return ProviderUnreachable(
            f"no TLS connection to {base}: if your own authority issued Keycloak's certificate, name its file in "
            "SSL_CERT_FILE and REQUESTS_CA_BUNDLE; if Keycloak uses plain http, write http:// in OAUTH_INTERNAL_URL"
        )
    return ProviderUnreachable(
        f"nothing answers at {base}: start Keycloak (docker compose up keycloak), or set OAUTH_INTERNAL_URL to "
        "where this process reaches it"
    )


def auth_error(settings: KeycloakSettings) -> AdminAuthError:
    """Keycloak is there and does not know the secret."""
    return AdminAuthError(
        f"Keycloak rejects the secret of its admin client '{settings.admin_client_id}': it keeps the "
        "one of its first start. With docker compose: `docker compose down -v` starts afresh (and forgets all "
        "users and clients); elsewhere set KEYCLOAK_ADMIN_CLIENT_ID and KEYCLOAK_ADMIN_CLIENT_SECRET_FILE"
    )


def missing_roles_message(settings: KeycloakSettings, realm: str, method: str, path: tuple[str, ...]) -> str:
    """The roles that the admin client needs for a request below `realm`."""
    what = f"{method} {'/'.join(path) or 'the realm'}"
    if realm == MASTER:  # where accounts of a realm are made
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
    """What Keycloak says itself, in one line."""
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
# The library sends a request again that was not answered in time: what makes something would then be there already.
_TIMEOUT_SECONDS = 120
_LOG_EVERY = 5  # retries


class AdminClient:
    """One realm's admin API, logged in as the admin client. The token is renewed by the connection itself.

    Args:
        settings: where, and which admin client.
        log: takes each line for people.
        realm: the one that paths start at; left out, the realm of the settings.

    Raises:
        ConfigError: SSL_CERT_FILE has no certificates.

    Attributes:
        connection: python-keycloak's own; whoever wants to watch the requests can hang into it.
    """

    def __init__(
        self, settings: KeycloakSettings, log: Callable[[str], None] = print, *, realm: str | None = None
    ) -> None:
        with tls_errors_as_config_errors():
            self.connection = KeycloakOpenIDConnection(
                server_url=settings.admin_base,
                # The realm the admin client lives in, whatever realm is administered: without this a renewed token
                # would be asked of the wrong one.
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
        """Get the admin token, waiting up to `wait` seconds for a provider that is still starting.

        Raises:
            ProviderUnreachable: it did not answer in time.
            AdminAuthError: it answered that the secret is wrong.
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
        """None when logged in, else why not yet."""
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
                    f"{self._settings.admin_base} answers {error.response_code}, not as Keycloak does"
                )
            raise auth_error(self._settings) from error
        return None

    def get(self, *path: str, **query: str) -> Any:
        """What is at `path` below the realm.

        Raises:
            ProviderRequestError: it is not there.
            Forbidden: it may not be read.
        """
        found = self.find(*path, **query)
        if found is None:
            raise ProviderRequestError(f"Keycloak has nothing at {'/'.join(path)}", _NOT_FOUND)
        return found

    def find(self, *path: str, **query: str) -> Any | None:
        """What is at `path` below the realm, or None if there is nothing."""
        response = self._send("GET", self._path(path), **query)
        if response.status_code == _NOT_FOUND:
            return None
        self._check(response, "GET", path)
        return response.json()

    def write(self, method: str, path: tuple[str, ...], body: object = None) -> None:
        """Write `body` at `path` below the realm.

        Raises:
            ProviderRequestError: Keycloak says no; the text has its reason.
        """
        self._check(self._send(method, self._path(path), body), method, path)

    def create(self, path: tuple[str, ...], body: object) -> Any:
        """Write `body` at `path` below the realm and give what Keycloak answers.

        Raises:
            ProviderRequestError: Keycloak says no; the text has its reason.
        """
        response = self._send("POST", self._path(path), body)
        self._check(response, "POST", path)
        return response.json()

    def create_realm(self, representation: dict[str, object]) -> None:
        """Create the realm itself.

        Raises:
            Forbidden: the admin client may not.
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
        """The realms in which the admin client may do anything."""
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
            raise ProviderUnreachable(f"Keycloak at {self._settings.admin_base} stopped answering") from error
        except KeycloakAuthenticationError as error:
            raise auth_error(self._settings) from error

    def _check(self, response: Response, method: str, path: tuple[str, ...]) -> None:
        if response.status_code < _ERROR:
            return
        if response.status_code == _FORBIDDEN:
            raise PermissionDenied(missing_roles_message(self._settings, self._realm, method, path))
        raise ProviderRequestError(
            f"Keycloak refused {method} {'/'.join(path)}: {response.status_code} {error_message(response)}",
            response.status_code,
        )
