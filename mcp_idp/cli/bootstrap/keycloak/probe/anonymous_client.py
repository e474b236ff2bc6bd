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


def new_mark() -> str:
    """A name that no other client has, and that nobody guesses."""
    return f"probe-{secrets.token_hex(16)}"


@dataclass(slots=True)
class Stranger:
    """Somebody without an account, who registers clients under a name of its own and remembers which.

    Attributes:
        made: client ids, to be removed; those that were asked for stand here before any answer came.
        mark: what every client of its calls itself; ids of its choice begin with it.
        waits: a registration was sent, and no answer came (yet).
    """

    issuer: str
    http: httpx.Client
    made: list[str] = field(default_factory=list)
    mark: str = field(default_factory=new_mark)
    waits: bool = False

    def register(self, kind: str, body: payloads.Json) -> tuple[int, payloads.Json]:
        """Send `body` to a registration endpoint: the status and the answer."""
        if wanted := body.get("clientId"):
            self.made.append(wanted)
        marked = {"client_name": self.mark, **body} if kind == STANDARD else body
        self.waits = True
        answer = self.http.post(f"{self.issuer}/clients-registrations/{kind}", json=marked)
        self.waits = False
        found = _object(answer)
        if answer.status_code == CREATED and (client_id := found.get("client_id")):
            self.made.append(client_id)
        return answer.status_code, found

    def token(self, **form: str) -> tuple[int, payloads.Json]:
        """The token endpoint's answer."""
        answer = self.http.post(f"{self.issuer}/protocol/openid-connect/token", data=form)
        return answer.status_code, _object(answer)

    def sees_a_login_page(self, **query: str) -> bool:
        """Whether the authorization endpoint shows a page of 200 to this request, rather than refusing it."""
        answer = self.http.get(f"{self.issuer}/protocol/openid-connect/auth", params=query)
        return answer.status_code == OK

    def own_kind(self, what: str, **members: object) -> payloads.Json:
        """A client of Keycloak's own kind that nobody else has the id of."""
        return payloads.own_kind(f"{self.mark}-{what}", **members)


def _object(answer: httpx.Response) -> payloads.Json:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
