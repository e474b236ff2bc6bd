"""An unauthenticated client that registers clients at a Keycloak and requests tokens, as an attacker would."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.keycloak.probe import payloads

if TYPE_CHECKING:
    import httpx

CREATED = 201
OK = 200
STANDARD = "openid-connect"  # the registration endpoint of RFC 7591


def new_marker() -> str:
    """Returns a random, unguessable name for one probe, such as "probe-3f0c…" (32 hexadecimal digits)."""
    return f"probe-{secrets.token_hex(16)}"


@dataclass(slots=True)
class AnonymousClient:
    """Sends unauthenticated requests to a realm and remembers which clients it registered.

    Attributes:
        issuer: the realm's URL, as this process reaches it.
        http: HTTP client.
        created_ids: ids of clients to delete afterwards; an id that the request chooses is added before the request is
            sent, the others when the response arrives.
        marker: the name of every client that it registers; client ids that it chooses begin with it.
        response_pending: whether a registration was sent whose response has not arrived (yet).
    """

    issuer: str
    http: httpx.Client
    created_ids: list[str] = field(default_factory=list)
    marker: str = field(default_factory=new_marker)
    response_pending: bool = False

    def register(self, kind: str, body: payloads.Json) -> tuple[int, payloads.Json]:
        """Sends a registration request.

        Args:
            kind: the registration endpoint: `STANDARD`, or one for Keycloak's own formats, such as "default".
            body: the JSON body; the marker is added as `client_name` if the endpoint is `STANDARD` and the body has
                none.

        Returns:
            The status and the JSON object of the response; the object is empty if the body is something else.

        Raises:
            httpx.TransportError: no response arrived; `response_pending` stays set.
        """
        if requested_id := body.get("clientId"):
            self.created_ids.append(requested_id)
        marked_body = {"client_name": self.marker, **body} if kind == STANDARD else body
        self.response_pending = True
        response = self.http.post(f"{self.issuer}/clients-registrations/{kind}", json=marked_body)
        self.response_pending = False
        found = _object(response)
        if response.status_code == CREATED and (client_id := found.get("client_id")):
            self.created_ids.append(client_id)
        return response.status_code, found

    def token(self, **form: str) -> tuple[int, payloads.Json]:
        """Sends a token request with these form fields.

        Returns:
            The status and the JSON object of the response; the object is empty if the body is something else.
        """
        response = self.http.post(f"{self.issuer}/protocol/openid-connect/token", data=form)
        return response.status_code, _object(response)

    def gets_login_page(self, **query: str) -> bool:
        """Checks whether the authorization endpoint responds 200 to these query parameters, not with a rejection."""
        response = self.http.get(f"{self.issuer}/protocol/openid-connect/auth", params=query)
        return response.status_code == OK

    def client_representation(self, suffix: str, **members: object) -> payloads.Json:
        """Builds a client in Keycloak's own representation with an id that is unique to this probe.

        Args:
            suffix: suffix of the client id.
            members: further members of the representation.
        """
        return payloads.client_representation(f"{self.marker}-{suffix}", **members)


def _object(response: httpx.Response) -> payloads.Json:
    try:
        value = response.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
