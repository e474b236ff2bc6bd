"""The authenticated caller, as described by a verified token; the token itself is not part of it."""

from __future__ import annotations

from dataclasses import dataclass, field

ClaimValue = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts for the user of a token (`act`, RFC 8693 section 4.1), at least with a subject or a client.

    Attributes:
        subject: the acting party (`sub`).
        issuer: who identifies it (`iss`); None if the token does not say so.
        client: its client id (`client_id`).
    """

    subject: str | None
    issuer: str | None = None
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller.

    Attributes:
        issuer: the identifier of the identity provider (`iss`).
        subject: the user, unique only together with `issuer` (`sub`); None if the token has no subject.
        client: the id of the client that the token was issued to; None if the token does not name it.
        scopes: the granted scopes; `AccessPolicy.effective_scopes` adds those that they imply.
        expires_at: when the token expires, in seconds since the epoch (`exp`).
        roles: the user's roles for this resource. None if the token does not list roles: then a new login is assumed
            to be able to grant any scope.
        actor: who acts for the user, such as an agent; None if the user acts. It has the rights of the token, so it
            changes no decision; of a chain of actors it is the current one.
        claims: pairs of name and value, of the claims that `claims` in the access file exposes to tools.
    """

    issuer: str
    subject: str | None
    client: str | None
    scopes: frozenset[str]
    expires_at: float
    roles: frozenset[str] | None = None
    actor: Actor | None = None
    claims: tuple[tuple[str, ClaimValue], ...] = field(default=(), compare=False)
    # In Python, True, 1 and 1.0 are equal, but claims with these values must not be, so their `repr` is compared.
    _typed_claims: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_typed_claims", repr(self.claims))

    def claim(self, name: str) -> ClaimValue | None:
        """Returns the value of the claim `name`; None if the token lacks it or the access file does not expose it."""
        return next((value for known, value in self.claims if known == name), None)


def user_client_key(principal: Principal) -> tuple[str, str | None, str | None]:
    """Returns the key by which limits count a user in one client: issuer, subject, client.

    Tokens without a subject count for their client.
    """
    return principal.issuer, principal.subject, principal.client


def user_key(principal: Principal) -> tuple[str, str | None, str | None]:
    """Returns the key by which limits count a user over all clients: a user may register any number of clients.

    Tokens without a subject count for their client.
    """
    return principal.issuer, principal.subject, None if principal.subject is not None else principal.client
