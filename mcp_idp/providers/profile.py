"""What a provider profile says: the fields, each with the values that are right for a provider nobody knows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# Claims that OpenID Connect Core 1.0 gives to ID tokens (sections 2 and 3.3.2.11), and no access token has.
NO_ID_TOKEN: tuple[tuple[str, frozenset[str | None]], ...] = (
    ("nonce", frozenset({None})),
    ("at_hash", frozenset({None})),
    ("c_hash", frozenset({None})),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginNotes:
    """What MCP clients find at the provider, for the documentation. "yes", "no", or what it takes.

    Attributes:
        registration: whether clients register themselves (RFC 7591).
        documents: whether a client id may be the URL of a metadata document (CIMD).
        resource: what puts this server into a token's `aud` at a login.
        pitfall: what goes wrong first.
    """

    registration: str
    documents: str
    resource: str
    pitfall: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderProfile:
    """How one provider writes its access tokens.

    Attributes:
        name: what OAUTH_PROVIDER calls it.
        title: what people call it.
        hosts: regular expressions, one of which an issuer's whole host matches if it gives the provider away.
        path: a part of the issuer's path that gives the provider away.
        wrong_issuers: regular expressions of whole URLs that people take for the issuer, each with what to write.
        issuer_forms: ways to write one issuer, `{}` being the same text in all: each is an alias of the others.
        header_types: accepted `typ` of the JOSE header, in lower case and without `application/`; "" stands for none.
        token_type_claims: claims that tell an access token from others, with the values that an access token has
            (compared without regard to case). A claim that is absent is refused, unless None is among the values.
        access_token_only_claims: claims of which an access token has one at least, and an ID token none.
        client_claims: where the client's id stands; the first that is present counts.
        scope_claims: where the granted scopes stand, as a list or a space-separated string; all of them count.
        roles_claim: where the person's roles or groups stand, if not where the access file says; `{}` is the audience.
        roles_are_object_keys: they are the names of that claim's members, not a list.
        scopes_from_roles: a scope that stands in a token says what the client asked for, not what the person may do:
            the person's roles decide, and the token's scopes take away at most.
        audience: False where access tokens have no `aud`, so that only listed clients can count.
        user_claim: a claim that only a token with a logged-in person has, or None where the provider has no such mark.
        service_subject_pattern: `sub` of a token without a person, `{}` being the client's id, or None.
        signed: access tokens can be JWTs.
        opaque: access tokens can be something else, which only the provider can judge.
        introspection: its metadata names an endpoint that judges them (RFC 7662).
        unsupported_reason: why its access tokens cannot be judged at all, and what to do; "" where they can.
        logins: for the documentation.
    """

    name: str
    title: str
    hosts: tuple[str, ...] = ()
    path: str = ""
    wrong_issuers: tuple[tuple[str, str], ...] = ()
    issuer_forms: tuple[str, ...] = ()
    header_types: frozenset[str] = frozenset({"at+jwt"})
    token_type_claims: tuple[tuple[str, frozenset[str | None]], ...] = ()
    access_token_only_claims: tuple[str, ...] = ()
    client_claims: tuple[str, ...] = ("client_id", "azp")
    scope_claims: tuple[str, ...] = ("scope",)
    roles_claim: str | None = None
    roles_are_object_keys: bool = False
    scopes_from_roles: bool = False
    audience: bool = True
    user_claim: str | None = None
    service_subject_pattern: str | None = None
    signed: bool = True
    opaque: bool = False
    introspection: bool = True
    unsupported_reason: str = ""
    logins: LoginNotes = field(compare=False)

    def matches_issuer(self, issuer: str) -> bool:
        """Whether `issuer` can be no other provider's: by its whole host, so that nothing may stand around it."""
        parts = urlsplit(issuer)
        host = parts.hostname or ""
        by_path = bool(self.path) and self.path in parts.path
        return by_path or any(re.fullmatch(pattern, host) for pattern in self.hosts)

    def issuer_error(self, issuer: str) -> str | None:
        """What to write in place of `issuer`, if it cannot be one of this provider's."""
        return next((advice for pattern, advice in self.wrong_issuers if re.fullmatch(pattern, issuer)), None)

    def aliases_of(self, issuer: str) -> frozenset[str]:
        """The other values of `iss` that mean the same issuer."""
        for form in self.issuer_forms:
            before, after = form.split("{}")
            match = re.fullmatch(re.escape(before) + "([^/]+)" + re.escape(after), issuer)
            if match is not None:
                return frozenset(other.format(match[1]) for other in self.issuer_forms) - {issuer}
        return frozenset()
