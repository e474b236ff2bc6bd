"""Providers that people host themselves, and the one nobody knows. OAUTH_PROVIDER says which, unless the issuer does.

Where a value comes from stands in `docs/providers/`, a page a provider.
"""

from __future__ import annotations

from mcp_idp.providers.profile import NO_ID_TOKEN, LoginNotes, ProviderProfile

_ANY_JWT = frozenset({"at+jwt", "jwt", ""})

KEYCLOAK = ProviderProfile(
    name="keycloak",
    title="Keycloak",
    path="/realms/",
    # at+jwt where the client has access.token.header.type.rfc9068
    header_types=frozenset({"at+jwt", "jwt"}),
    # an ID token says ID, a refresh token Refresh or Offline; DPoP-bound tokens say DPoP and are refused for their cnf
    token_type_claims=(("typ", frozenset({"bearer"})),),
    client_claims=("azp",),
    user_claim="sid",
    logins=LoginNotes(
        registration="yes",
        documents="experimental",
        resource="an audience mapper on the scopes: the bootstrap makes it",
        pitfall="without an audience mapper `aud` is `account`, and every token is refused",
    ),
)

DEX = ProviderProfile(
    name="dex",
    title="Dex",
    header_types=_ANY_JWT,
    # Its access token is an ID token but for this claim: nonce and at_hash stand in both.
    token_type_claims=(("c_hash", frozenset({None})),),
    # Written only where the audience is not the client alone. Without it a token was made for the client itself.
    access_token_only_claims=("azp",),
    client_claims=("azp",),
    scope_claims=(),  # Dex writes none, so one that stands in a token is nobody's promise
    roles_claim="groups",
    scopes_from_roles=True,
    introspection=False,  # there is one, but it calls ID tokens access tokens and refresh tokens active
    logins=LoginNotes(
        registration="no (a front answers for it)",
        documents="no",
        resource="the scope `audience:server:client_id:<public URL>`, a client of that id existing",
        pitfall="tokens have no scopes: people get them by their groups",
    ),
)

NANOIDP = ProviderProfile(
    name="nanoidp",
    title="nanoidp",
    header_types=frozenset({"at+jwt", "jwt"}),
    token_type_claims=(("token_use", frozenset({"access"})),),
    client_claims=("client_id",),
    logins=LoginNotes(
        registration="yes",
        documents="no",
        resource="`resource`",
        pitfall="for trying out on one machine only: the demo starts it",
    ),
)

AUTHENTIK = ProviderProfile(
    name="authentik",
    title="authentik",
    path="/application/o/",
    wrong_issuers=((r".*[^/]", "an issuer of authentik ends with a slash; add it"),),
    header_types=frozenset({"at+jwt", "jwt"}),
    token_type_claims=(("c_hash", frozenset({None})),),
    # Its access token is its ID token with azp and uid added. The nonce of the login stays in it.
    access_token_only_claims=("uid",),
    client_claims=("azp",),
    # Whoever may use the application is given every scope that is asked for: what a person may do is in the groups.
    roles_claim="groups",
    scopes_from_roles=True,
    logins=LoginNotes(
        registration="no",
        documents="no",
        resource="nothing: `aud` is the client id, so `JWT_AUDIENCE` must be that",
        pitfall="without a signing key on the provider tokens are HS256, which nobody else can verify",
    ),
)

ZITADEL = ProviderProfile(
    name="zitadel",
    title="Zitadel",
    hosts=(r"([a-z0-9-]+\.)+zitadel\.cloud",),
    wrong_issuers=((r".*/", "an issuer of Zitadel does not end with a slash; remove it"),),
    header_types=_ANY_JWT,
    token_type_claims=NO_ID_TOKEN,
    access_token_only_claims=("jti",),
    # Of one project only: urn:zitadel:iam:org:project:roles would be that of the client's project, whosever it is.
    roles_claim="urn:zitadel:iam:org:project:{}:roles",
    roles_are_object_keys=True,
    scopes_from_roles=True,
    opaque=True,
    logins=LoginNotes(
        registration="from 2026, if switched on",
        documents="no",
        resource="the scope `urn:zitadel:iam:org:project:id:<project id>:aud`",
        pitfall="tokens are opaque unless the application is set to JWT",
    ),
)

ORY = ProviderProfile(
    name="ory",
    title="Ory Hydra and Ory Network",
    hosts=(r"([a-z0-9-]+\.)+oryapis\.com",),
    header_types=frozenset({"at+jwt", "jwt"}),
    token_type_claims=NO_ID_TOKEN,
    access_token_only_claims=("client_id",),
    client_claims=("client_id",),
    scope_claims=("scp", "scope"),
    service_subject_pattern="{}",
    opaque=True,
    introspection=False,  # on the admin port, which metadata does not name
    logins=LoginNotes(
        registration="if switched on",
        documents="no",
        resource="`audience`, which a client must be allowed; `resource` is not read",
        pitfall="tokens are opaque unless `strategies.access_token` is `jwt`",
    ),
)

AUTHELIA = ProviderProfile(
    name="authelia",
    title="Authelia",
    wrong_issuers=((r".*/", "an issuer of Authelia does not end with a slash; remove it"),),
    token_type_claims=NO_ID_TOKEN,
    access_token_only_claims=("client_id",),
    client_claims=("client_id",),
    scope_claims=("scope", "scp"),
    service_subject_pattern="{}",
    opaque=True,
    logins=LoginNotes(
        registration="no",
        documents="no",
        resource="`resource` or `audience`, which the client's `audience` list must have",
        pitfall="tokens are opaque unless the client has `access_token_signed_response_alg`",
    ),
)

# Nobody we know: take what RFC 9068 asks for, and plain JWTs as long as nothing in them says that they are something
# else. What only an ID token has (nonce, at_hash, c_hash) and a foreign token_use or typ are refused for all.
GENERIC = ProviderProfile(
    name="generic",
    title="any other provider",
    header_types=_ANY_JWT,
    token_type_claims=(
        ("typ", frozenset({"bearer", "at+jwt", None})),
        ("token_use", frozenset({"access", "access_token", None})),
        *NO_ID_TOKEN,
    ),
    client_claims=("client_id", "azp", "cid", "appid"),
    scope_claims=("scope", "scp"),
    opaque=True,
    logins=LoginNotes(
        registration="as its metadata says",
        documents="as its metadata says",
        resource="`resource`, if it reads RFC 8707",
        pitfall="an `aud` that is not the public URL: set `JWT_AUDIENCE`",
    ),
)
