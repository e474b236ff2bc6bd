"""The data model of a provider profile; the profiles themselves are in `hosted.py` and `self_hosted.py`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# Claims that OpenID Connect Core 1.0 defines for ID tokens (sections 2 and 3.3.2.11); access tokens must not have them.
NO_ID_TOKEN: tuple[tuple[str, frozenset[str | None]], ...] = (
    ("nonce", frozenset({None})),
    ("at_hash", frozenset({None})),
    ("c_hash", frozenset({None})),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginNotes:
    """What the provider offers to MCP clients that log in, for the documentation: "yes", "no" or a short text.

    Attributes:
        registration: whether clients can register themselves (RFC 7591).
        documents: whether a client id may be the URL of a client metadata document (CIMD).
        resource: what makes the provider put this server into the `aud` of tokens.
        pitfall: the most common mistake.
    """

    registration: str
    documents: str
    resource: str
    pitfall: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderProfile:
    """The access token format and the issuer URLs of one provider.

    Attributes:
        name: its name in OAUTH_PROVIDER.
        title: its display name.
        hosts: regular expressions; if one matches the whole host of an issuer, the issuer belongs to this provider.
        path: a part of an issuer's path that identifies the provider; "" if there is none.
        wrong_issuers: URLs that are often mistaken for the issuer: pairs of a regular expression that matches the whole
            URL and advice on what to write instead.
        issuer_forms: templates of the URLs by which tokens name the same issuer, each an alias of the others; `{}` is
            the part that differs between tenants.
        header_types: accepted values of `typ` in the JOSE header, in lower case and without `application/`; "" accepts
            a missing `typ`.
        token_type_claims: claims that distinguish access tokens from other tokens: pairs of a claim and its accepted
            values, compared case-insensitively. None among the values accepts a missing claim.
        access_token_only_claims: claims that ID tokens never have and of which every access token has at least one.
        client_claims: claims that hold the client id, in order of precedence.
        scope_claims: claims that hold granted scopes, as a list or a space-separated string; all are combined.
        roles_claim: the claim that lists the user's roles or groups, with `{}` in place of the audience; None to use
            the one that the access file names.
        roles_are_object_keys: whether `roles_claim` is an object whose member names are the roles, not a list.
        scopes_from_roles: whether the user's roles grant the scopes, because the scopes in a token are only those that
            the client requested; the token's scopes can then restrict the granted ones, never add any.
        audience: whether access tokens have an `aud`; if not, the accepted clients must be listed.
        one_resource: whether an http(s) URL in `aud` other than ours is another resource, for which the token could be
            used too; if not, the provider writes URLs of its own.
        user_claim: a claim that only tokens of a logged-in user have; None if the provider has no such claim.
        service_subject_pattern: the `sub` of tokens without a user, with `{}` in place of the client id; None if it
            does not reveal them.
        signed: whether access tokens can be JWTs.
        opaque: whether access tokens can be opaque, so that only the provider can validate them.
        introspection: whether the provider's metadata names a usable introspection endpoint (RFC 7662).
        unsupported_reason: why access tokens cannot be verified at all, and what to do instead; "" if they can.
        logins: notes on logins, for the documentation.
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
    one_resource: bool = False
    user_claim: str | None = None
    service_subject_pattern: str | None = None
    signed: bool = True
    opaque: bool = False
    introspection: bool = True
    unsupported_reason: str = ""
    logins: LoginNotes = field(compare=False)

    def matches_issuer(self, issuer: str) -> bool:
        """Whether an issuer URL identifies this provider, by a part of its path or by its host.

        The whole host must match a pattern, so a host that merely contains the provider's name does not.
        """
        parts = urlsplit(issuer)
        host = parts.hostname or ""
        by_path = bool(self.path) and self.path in parts.path
        return by_path or any(re.fullmatch(pattern, host) for pattern in self.hosts)

    def issuer_error(self, issuer: str) -> str | None:
        """Returns advice on what to write instead if `issuer` cannot be an issuer of this provider; else None."""
        return next((advice for pattern, advice in self.wrong_issuers if re.fullmatch(pattern, issuer)), None)

    def aliases_of(self, issuer: str) -> frozenset[str]:
        """Returns the other values of `iss` that identify the same issuer."""
        for form in self.issuer_forms:
            before, after = form.split("{}")
            match = re.fullmatch(re.escape(before) + "([^/]+)" + re.escape(after), issuer)
            if match is not None:
                return frozenset(other.format(match[1]) for other in self.issuer_forms) - {issuer}
        return frozenset()
