"""Profiles of self-hosted providers, and the generic profile for unknown ones.

OAUTH_PROVIDER selects the profile, unless the issuer URL identifies the provider. `docs/providers/` has one page per
provider with the sources of the values.
"""

from __future__ import annotations

from mcp_idp.providers.profile_model import NO_ID_TOKEN, LoginNotes, ProviderProfile

_ANY_JWT = frozenset({"at+jwt", "jwt", ""})

KEYCLOAK = ProviderProfile(
    name="keycloak",
    title="Keycloak",
    path="/realms/",
    # at+jwt if the client attribute access.token.header.type.rfc9068 is set.
    header_types=frozenset({"at+jwt", "jwt"}),
    # ID tokens have ID, refresh tokens Refresh or Offline. DPoP-bound tokens have DPoP and are rejected for their cnf.
    token_type_claims=(("typ", frozenset({"bearer"})),),
    client_claims=("azp",),
    one_resource=True,  # several MCP servers may share a realm, and a client may request scopes of all at once
    user_claim="sid",
    logins=LoginNotes(
        registration="yes",
        documents="experimental",
        resource="an audience mapper on the scopes, created by the bootstrap",
        pitfall="without an audience mapper `aud` is `account`, and every token is rejected",
    ),
)

DEX = ProviderProfile(
    name="dex",
    title="Dex",
    header_types=_ANY_JWT,
    # Access tokens differ from ID tokens by this claim only: nonce and at_hash are in both.
    token_type_claims=(("c_hash", frozenset({None})),),
    # Present only if the audience is not just the client. A token without it was issued for the client itself.
    access_token_only_claims=("azp",),
    client_claims=("azp",),
    one_resource=True,  # the audience is the resource and the client; a client may request several resources at once
    scope_claims=(),  # Dex issues no scope claim, so one in a token is not trusted
    roles_claim="groups",
    scopes_from_roles=True,
    introspection=False,  # Dex has an endpoint, but it reports ID tokens as access tokens and refresh tokens as active
    logins=LoginNotes(
        registration="no (a registration proxy adds it)",
        documents="no",
        resource="the scope `audience:server:client_id:<public URL>`, a client of that id existing",
        pitfall="tokens have no scopes: the users' groups grant them",
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
        pitfall="for trials on one machine only: the demo starts it",
    ),
)

AUTHENTIK = ProviderProfile(
    name="authentik",
    title="authentik",
    path="/application/o/",
    wrong_issuers=((r".*[^/]", "an issuer of authentik ends with a slash; add it"),),
    header_types=frozenset({"at+jwt", "jwt"}),
    token_type_claims=(("c_hash", frozenset({None})),),
    # Access tokens are the ID token plus azp and uid; they keep the nonce of the login.
    access_token_only_claims=("uid",),
    client_claims=("azp",),
    # Every user of the application is granted every requested scope, so only the groups say what a user may do.
    roles_claim="groups",
    scopes_from_roles=True,
    logins=LoginNotes(
        registration="no",
        documents="no",
        resource="nothing: `aud` is the client id, so `JWT_AUDIENCE` must be that",
        pitfall="without a signing key on the provider tokens are HS256, which this server cannot verify",
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
    # The roles of one given project. urn:zitadel:iam:org:project:roles would be those of the client's own project,
    # which may be any project.
    roles_claim="urn:zitadel:iam:org:project:{}:roles",
    roles_are_object_keys=True,
    scopes_from_roles=True,
    opaque=True,
    logins=LoginNotes(
        registration="from 2026, if enabled",
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
    introspection=False,  # the endpoint is on the admin port, which the metadata does not name
    logins=LoginNotes(
        registration="if enabled",
        documents="no",
        resource="`audience`, which a client must be allowed; `resource` is ignored",
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

# An unknown provider: accepts access tokens of RFC 9068, and other JWTs unless a claim marks them as another kind of
# token. Claims of ID tokens (nonce, at_hash, c_hash) and any other token_use or typ are rejected in both.
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
