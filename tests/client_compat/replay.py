"""Replays a client profile: registers, logs in, refreshes and deletes the registration."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from tests.client_compat.profile import filled
from tests.support.keycloak.realm import pkce_pair

if TYPE_CHECKING:
    from tests.client_compat.profile import ClientProfile
    from tests.support.keycloak.realm import Json

_PATIENCE = 60  # seconds; long because the machine may be busy


class AtProvider(Protocol):
    """A provider for replays: a realm of Keycloak, or a Dex with its registration proxy.

    Attributes:
        names_itself: whether authorization responses have `iss` (RFC 9207).
    """

    public_url: str
    names_itself: bool

    @property
    def issuer(self) -> str: ...

    @property
    def token_url(self) -> str: ...

    def send_registration(self, body: Json, initial_access_token: str | None) -> Json:
        """Sends a registration request; returns the response with its `status`."""

    def authorize(self, user: str, **parameters: str) -> Json:
        """Logs in as `user` and consents; returns the parameters of the redirect, or the text of the last page."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A client profile at a provider.

    Attributes:
        scopes: the scopes of the server's challenge.
        initial_access_token: an initial access token for the registration, or None.
    """

    provider: AtProvider
    profile: ClientProfile
    scopes: str
    initial_access_token: str | None = None

    def register(self) -> Json:
        """Registers; returns the response with its `status`."""
        body = filled(self.profile.registration, scopes=self.scopes, resource=self.provider.public_url)
        return self.provider.send_registration(body, self.initial_access_token)

    def log_in(self, client: Json, redirect_uri: str, user: str = "reader") -> Json:
        """Runs the authorization code flow with the client's parameters; returns the token response.

        Without a code, returns what the redirect contained instead.
        """
        verifier, pkce = pkce_pair()
        parameters = self._filled(self.profile.authorize) | {"redirect_uri": redirect_uri, "state": "of-this-login"}
        back = self.provider.authorize(user, client_id=client["client_id"], **parameters, **pkce)
        if "code" not in back:
            return back
        assert back["state"] == "of-this-login"
        assert back.get("iss") == (self.provider.issuer if self.provider.names_itself else None)
        return self._token(
            client,
            grant_type="authorization_code",
            code=back["code"],
            redirect_uri=redirect_uri,
            code_verifier=verifier,
        )

    def refresh(self, client: Json, refresh_token: str) -> Json:
        """Refreshes; returns the token response."""
        return self._token(client, grant_type="refresh_token", refresh_token=refresh_token)

    def refresh_twice_at_once(self, client: Json, refresh_token: str) -> list[Json]:
        """Refreshes twice concurrently, like two windows of a program; returns both responses, the better one first."""
        with ThreadPoolExecutor(2) as windows:
            responses = list(windows.map(lambda _: self.refresh(client, refresh_token), range(2)))
        return sorted(responses, key=lambda response: int(response["status"]))

    def forget(self, client: Json) -> int:
        """Deletes the registration (RFC 7592 section 2.3); returns the status."""
        headers = {"Authorization": f"Bearer {client['registration_access_token']}"}
        return httpx.delete(client["registration_client_uri"], headers=headers).status_code

    def _filled(self, members: Any) -> dict[str, str]:
        return filled(members, scopes=self.scopes, resource=self.provider.public_url)

    def _token(self, client: Json, **form: str) -> Json:
        own = {**form, **self._filled(self.profile.token)}
        headers = {}
        # The registration response overrides what it requested (RFC 7591 section 3.2.1).
        auth_method = client.get("token_endpoint_auth_method", self.profile.token_auth)
        if auth_method == "client_secret_basic":
            pair = f"{client['client_id']}:{client['client_secret']}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            own["client_id"] = client["client_id"]
        if auth_method == "client_secret_post":
            own["client_secret"] = client["client_secret"]
        response = httpx.post(self.provider.token_url, data=own, headers=headers, timeout=_PATIENCE)
        return {"status": response.status_code, **response.json()}
