"""Does what a persona does: registers, logs in, refreshes, and is forgotten in the end."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tests.integration.keycloak import pkce_pair
from tests.personas.persona import filled

if TYPE_CHECKING:
    from tests.integration.keycloak import Json, Realm
    from tests.personas.persona import Persona


@dataclass(frozen=True, slots=True)
class Replay:
    """One persona at one realm.

    Attributes:
        scopes: that the server's challenge names.
        invitation: an initial access token to register with, or None.
    """

    realm: Realm
    persona: Persona
    scopes: str
    invitation: str | None = None

    def register(self) -> Json:
        """The registration's answer, with its `status`."""
        body = filled(self.persona.registration, scopes=self.scopes, resource=self.realm.public_url)
        return self.realm.post_client("openid-connect", body, self.invitation)

    def log_in(self, client: Json, redirect_uri: str, user: str = "reader") -> Json:
        """The authorization code flow with the persona's own parameters; the token endpoint's answer.

        Without a code, what came back instead.
        """
        verifier, pkce = pkce_pair()
        parameters = self._filled(self.persona.authorize) | {"redirect_uri": redirect_uri, "state": "of-this-login"}
        back = self.realm.authorize(user, client_id=client["client_id"], **parameters, **pkce)
        if "code" not in back:
            return back
        assert (back["state"], back["iss"]) == ("of-this-login", self.realm.issuer)
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
            answers = list(windows.map(lambda _: self.refresh(client, refresh_token), range(2)))
        return sorted(answers, key=lambda answer: int(answer["status"]))

    def forget(self, client: Json) -> int:
        """Delete the registration (RFC 7592 section 2.3); the status."""
        headers = {"Authorization": f"Bearer {client['registration_access_token']}"}
        return httpx.delete(client["registration_client_uri"], headers=headers).status_code

    def _filled(self, members: Any) -> dict[str, str]:
        return filled(members, scopes=self.scopes, resource=self.realm.public_url)

    def _token(self, client: Json, **form: str) -> Json:
        own = {**form, **self._filled(self.persona.token)}
        headers = {}
        if self.persona.token_auth == "client_secret_basic":
            pair = f"{client['client_id']}:{client['client_secret']}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            own["client_id"] = client["client_id"]
        if self.persona.token_auth == "client_secret_post":
            own["client_secret"] = client["client_secret"]
        url = f"{self.realm.issuer}/protocol/openid-connect/token"
        answer = httpx.post(url, data=own, headers=headers)
        return {"status": answer.status_code, **answer.json()}
