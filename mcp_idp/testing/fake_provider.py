"""What the fixtures of the pytest plugin hand out: a fake identity provider, and hostile tokens in its name."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mcp_idp.testing.corpus.all_attacks import TOKENS
from mcp_idp.testing.corpus.model import PLAIN
from mcp_idp.testing.issuer import ISSUER, NOW, RESOURCE, Issuer
from mcp_idp.testing.issuer_server import serve_issuer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mcp_idp.testing.corpus.model import Attack

_TIMES = ("iat", "nbf", "exp")
_YEARS = 10 * 365 * 86400.0
_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class HostileToken:
    """A token that a server must reject with 401 and `error="invalid_token"`.

    Attributes:
        name: What is tried.
        source: The clause or the published advisory that it comes from.
        token: The token.
    """

    name: str
    source: str
    token: str = field(repr=False)


class FakeProvider:
    """A running identity provider, whose tokens are made on request.

    Attributes:
        issuer: The provider: `down`, `delay` and `calls` make it fail and count.
        environment: The settings of a server that trusts it: `OAUTH_SERVER_URL`, `MCP_PUBLIC_URL` and others.
    """

    def __init__(self, url: str) -> None:
        self.issuer = Issuer()
        self.environment = {
            "OAUTH_SERVER_URL": ISSUER,
            "OAUTH_INTERNAL_URL": url,
            "OAUTH_PROVIDER": "keycloak",
            "MCP_PUBLIC_URL": RESOURCE,
        }

    def token(
        self, *, scopes: Iterable[str] = (), subject: str = "user-1", roles: Iterable[str] = (), **claims: Any
    ) -> str:
        """Returns a new access token, which is valid for five minutes.

        Args:
            scopes: The granted scopes.
            subject: The user's id, claim `sub`.
            roles: The user's roles, claim `mcp_roles`.
            claims: Other claims, or another value for one of these; `...` removes a claim.
        """
        now = int(time.time())
        granted = {"sub": subject, "scope": " ".join(scopes), "mcp_roles": [*roles], "iat": now, "exp": now + 300}
        return self.issuer.token(**{**granted, **claims})

    def hostile_token(self, row: Attack) -> HostileToken:
        """Returns the token of a row of `hostile_rows`."""
        sent = row.send(_ShiftedIssuer(now=float(int(time.time()))))
        assert isinstance(sent, str)
        return HostileToken(row.name, row.source, sent)


@dataclass
class _ShiftedIssuer(Issuer):
    """The same issuer for rows of the corpus: claims with a time relative to `NOW` get it relative to `now`."""

    def claims(self, **changes: Any) -> dict[str, Any]:
        return super().claims(**shift_times(changes, self.now - NOW))


def shift_times(claims: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Returns the claims with `iat`, `nbf` and `exp` later by `seconds`, where they are times within ten years."""
    return {
        name: value + seconds
        if name in _TIMES
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and NOW - _YEARS < value < NOW + _YEARS
        else value
        for name, value in claims.items()
    }


@contextmanager
def run_provider() -> Iterator[FakeProvider]:
    """Runs a provider on a free port of this machine while the block runs."""
    provider = FakeProvider("")
    with serve_issuer(provider.issuer) as url:
        provider.environment["OAUTH_INTERNAL_URL"] = url
        yield provider


def hostile_rows() -> list[Attack]:
    """Returns the rows of the corpus whose token any HTTP client can send, and any server must answer with 401."""
    issuer = Issuer()
    return [
        row
        for row in TOKENS
        if row.stage is PLAIN and row.status == _UNAUTHORIZED and _is_header_value(row.send(issuer))
    ]


def _is_header_value(sent: object) -> bool:
    return isinstance(sent, str) and sent.isascii() and sent.isprintable() and sent == sent.strip() != ""
