"""Who is calling: what a verified token says, and nothing of the token itself."""

from __future__ import annotations

from dataclasses import dataclass

ClaimValue = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as the identity provider vouches for it.

    Attributes:
        issuer: the provider's identifier (`iss`).
        subject: the person, unique at that issuer only (`sub`); None where a token names nobody.
        client: the program that asked for the token.
        scopes: what the token was granted, as the token says; `Access.expand` applies the hierarchy.
        expires_at: seconds since the epoch (`exp`).
        roles: the person's roles for this resource, or None where tokens do not tell: then every scope counts as
            obtainable by a login.
        claims: what `claims` of the access file lets tools read, by name; `claim` looks one up.
    """

    issuer: str
    subject: str | None
    client: str | None
    scopes: frozenset[str]
    expires_at: float
    roles: frozenset[str] | None = None
    claims: tuple[tuple[str, ClaimValue], ...] = ()

    def claim(self, name: str) -> ClaimValue | None:
        """The claim called `name`; None where the token or the access file does not have it."""
        return next((value for known, value in self.claims if known == name), None)
