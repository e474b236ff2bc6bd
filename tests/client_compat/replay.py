"""Does what a persona does: registers, logs in, refreshes, and is forgotten in the end."""

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

_PATIENCE = 60  # seconds: a busy machine is no fault


class AtProvider(Protocol):
    """Where a persona goes: one realm of Keycloak, or one Dex behind its front.

    Attributes:
        names_itself: it says its name in the answer to a login (RFC 9207).
    """

    public_url: str
    names_itself: bool

    @property
    def issuer(self) -> str: ...

    @property
    def token_url(self) -> str: ...

    def send_registration(self, body: Json, initial_access_token: str | None) -> Json:
        """The registration endpoint's answer, with its `status`."""

    def authorize(self, user: str, **parameters: str) -> Json:
        """Log `user` in and agree: the parameters that came back to the redirect URI, or what the last page says."""


@dataclass(frozen=True, slots=True)
class Replay:
    """One persona at one provider.

    Attributes:
        scopes: that the server's challenge names.
        initial_access_token: an initial access token to register with, or None.
    """

    provider: AtProvider
    profile: ClientProfile
    scopes: str
    initial_access_token: str | None = None

    def register(self) -> Json:
        """The registration's answer, with its `status`."""
        body = filled(self.profile.registration, scopes=self.scopes, resource=self.provider.public_url)
        return self.provider.send_registration(body, self.initial_access_token)

    def log_in(self, client: Json, redirect_uri: str, user: str = "reader") -> Json:
        """The authorization code flow with the persona's own parameters; the token endpoint's answer.

        Without a code, what came back instead.
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
        """The token endpoint's answer."""
        return self._token(client, grant_type="refresh_token", refresh_token=refresh_token)

    def refresh_twice_at_once(self, client: Json, refresh_token: str) -> list[Json]:
        """Both answers, as two windows of one program get them; the better one first."""
        with ThreadPoolExecutor(2) as windows:
            responses = list(windows.map(lambda _: self.refresh(client, refresh_token), range(2)))
        return sorted(responses, key=lambda response: int(response["status"]))

    def forget(self, client: Json) -> int:
        """Delete the registration (RFC 7592 section 2.3); the status."""
        headers = {"Authorization": f"Bearer {client['registration_access_token']}"}
        return httpx.delete(client["registration_client_uri"], headers=headers).status_code

    def _filled(self, members: Any) -> dict[str, str]:
        return filled(members, scopes=self.scopes, resource=self.provider.public_url)

    def _token(self, client: Json, **form: str) -> Json:
        own = {**form, **self._filled(self.profile.token)}
        headers = {}
        # Whatever it asked for, it does what the answer to its registration says (RFC 7591 section 3.2.1).
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
