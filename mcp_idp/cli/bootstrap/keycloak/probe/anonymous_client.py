"""Somebody without an account, who registers clients at a Keycloak and asks for tokens."""

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
    """A name that no other client has, and that nobody guesses."""
    return f"probe-{secrets.token_hex(16)}"


@dataclass(slots=True)
class AnonymousClient:
    """Somebody without an account, who registers clients under a name of its own and remembers which.

    Attributes:
        created_ids: client ids, to be removed; those that were asked for stand here before any answer came.
        marker: what every client of its calls itself; ids of its choice begin with it.
        response_pending: a registration was sent, and no answer came (yet).
    """

    issuer: str
    http: httpx.Client
    created_ids: list[str] = field(default_factory=list)
    marker: str = field(default_factory=new_marker)
    response_pending: bool = False

    def register(self, kind: str, body: payloads.Json) -> tuple[int, payloads.Json]:
        """Send `body` to a registration endpoint: the status and the answer."""
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
        """The token endpoint's answer."""
        response = self.http.post(f"{self.issuer}/protocol/openid-connect/token", data=form)
        return response.status_code, _object(response)

    def sees_a_login_page(self, **query: str) -> bool:
        """Whether the authorization endpoint shows a page of 200 to this request, rather than refusing it."""
        response = self.http.get(f"{self.issuer}/protocol/openid-connect/auth", params=query)
        return response.status_code == OK

    def own_kind(self, what: str, **members: object) -> payloads.Json:
        """A client of Keycloak's own kind that nobody else has the id of."""
        return payloads.own_kind(f"{self.marker}-{what}", **members)


def _object(response: httpx.Response) -> payloads.Json:
    try:
        value = response.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
