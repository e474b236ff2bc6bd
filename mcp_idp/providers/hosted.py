"""Profiles of hosted providers (SaaS), which the host of the issuer URL identifies.

`docs/providers/` has one page per provider with the sources of the values.
"""

from __future__ import annotations

from mcp_idp.providers.profile_model import NO_ID_TOKEN, LoginNotes, ProviderProfile

_MULTI_TENANT_WARNING = (
    "would accept users of every tenant; write your own tenant's, such as https://login.microsoftonline.com/<tenant "
    "id>/v2.0"
)

OKTA = ProviderProfile(
    name="okta",
    title="Okta",
    hosts=(r"([a-z0-9-]+\.)+(okta|oktapreview|okta-emea|okta-gov)\.com",),
    wrong_issuers=(
        # The org authorization server. Only Okta can validate its access tokens.
        (
            r"https://[^/]+/?",
            (
                "only Okta can validate its tokens; write a custom server's issuer, such as "
                "https://<org>.okta.com/oauth2/default"
            ),
        ),
        (r".*/", "an issuer of Okta does not end with a slash; remove it"),
        (r".*/v1/.*", "an endpoint, not the issuer; write the issuer, such as https://<org>.okta.com/oauth2/default"),
    ),
    # Tokens of the org authorization server have the type okta-internal-at+jwt, which is not accepted.
    header_types=frozenset({"at+jwt", "jwt", ""}),
    token_type_claims=NO_ID_TOKEN,
    access_token_only_claims=("cid",),
    client_claims=("cid",),
    scope_claims=("scp",),
    user_claim="uid",
    logins=LoginNotes(
        registration="with an administrator's token",
        documents="registered by an administrator",
        resource="the authorization server's one audience: make it the public URL",
        pitfall="the org authorization server (no `/oauth2/…` in its URL) cannot be used",
    ),
)

AUTH0 = ProviderProfile(
    name="auth0",
    title="Auth0",
    hosts=(r"([a-z0-9-]+\.)+auth0\.com",),
    wrong_issuers=((r"https://[^/]+", "an issuer of Auth0 ends with a slash; add it"),),
    header_types=frozenset({"at+jwt", "jwt"}),
    token_type_claims=NO_ID_TOKEN,
    # azp in Auth0's own token profile, client_id in the RFC 9068 profile.
    access_token_only_claims=("azp", "client_id"),
    client_claims=("azp", "client_id"),
    # permissions: what RBAC grants the user for this API, if the API is configured to add them to the token.
    scope_claims=("scope", "permissions"),
    service_subject_pattern="{}@clients",
    introspection=False,
    logins=LoginNotes(
        registration="if the tenant allows it",
        documents="yes, registered by an administrator or by itself",
        resource="`resource`, with the Resource Parameter Compatibility Profile on",
        pitfall="without RBAC on the API every user gets every requested scope",
    ),
)

ENTRA = ProviderProfile(
    name="entra",
    title="Microsoft Entra ID",
    hosts=(r"login\.microsoftonline\.(com|us)", r"sts\.windows\.net"),
    wrong_issuers=(
        # The UUID is the tenant of all personal Microsoft accounts.
        (
            r"https://[^/]+/(common|organizations|consumers|\{tenantid\}|9188040d-6c67-4c5b-b112-36a304b66dad)(/.*)?",
            _MULTI_TENANT_WARNING,
        ),
        (
            r"https://login\.microsoftonline\.[a-z]+/[^/]+/?",
            "tokens do not have this issuer; write https://login.microsoftonline.com/<tenant id>/v2.0",
        ),
        (r"https://login\..*/", "this issuer does not end with a slash; remove it"),
    ),
    # requestedAccessTokenVersion in the API's manifest decides which of the two its tokens have as `iss`.
    issuer_forms=("https://login.microsoftonline.com/{}/v2.0", "https://sts.windows.net/{}/"),
    header_types=frozenset({"at+jwt", "jwt"}),
    token_type_claims=NO_ID_TOKEN,
    # azp in version 2 tokens, appid in version 1 tokens. ID tokens have app roles too, but no client.
    access_token_only_claims=("azp", "appid"),
    client_claims=("azp", "appid"),
    scope_claims=("scp",),
    # Any user of the tenant may consent to a scope, so only the app roles say what a user may do.
    roles_claim="roles",
    scopes_from_roles=True,
    user_claim="scp",
    introspection=False,
    logins=LoginNotes(
        registration="no",
        documents="no",
        resource="a scope of the API, written in full (`api://…/…`); `resource` is rejected",
        pitfall="`aud` is the API's application id, so `JWT_AUDIENCE` must be set",
    ),
)

COGNITO = ProviderProfile(
    name="cognito",
    title="Amazon Cognito",
    hosts=(
        r"cognito-idp\.[a-z0-9-]+\.amazonaws\.com(\.cn)?",
        r"[a-z0-9-]+\.auth(-fips)?\.[a-z0-9-]+\.amazoncognito\.com",
    ),
    wrong_issuers=(
        (
            r"https://[^/]+\.amazoncognito\.com(/.*)?",
            "is the login page; write the issuer, such as https://cognito-idp.<region>.amazonaws.com/<user pool id>",
        ),
        (
            r"https://[^/]+/?",
            "names no user pool; write the issuer, such as https://cognito-idp.<region>.amazonaws.com/<user pool id>",
        ),
        (r".*/", "an issuer of Cognito does not end with a slash; remove it"),
    ),
    header_types=frozenset({"at+jwt", ""}),
    token_type_claims=(("token_use", frozenset({"access"})),),
    client_claims=("client_id",),
    # The pool grants scopes to a client regardless of the user, so only the groups say what a user may do.
    roles_claim="cognito:groups",
    scopes_from_roles=True,
    audience=False,
    user_claim="username",
    introspection=False,
    logins=LoginNotes(
        registration="if the pool allows it (Essentials and Plus)",
        documents="no",
        resource="nothing, unless the pool binds tokens to a resource: list the clients",
        pitfall="access tokens have no `aud`: `issuers: … clients:` in the access file must list the accepted clients",
    ),
)

GOOGLE = ProviderProfile(
    name="google",
    title="Google",
    hosts=(r"accounts\.google\.com",),
    header_types=frozenset(),
    client_claims=("client_id", "azp"),
    signed=False,
    opaque=True,
    introspection=False,
    unsupported_reason=(
        "Google's access tokens are for Google's own APIs, and it has no introspection endpoint (RFC 7662); use "
        "Keycloak or Dex, with Google as the login behind it"
    ),
    logins=LoginNotes(
        registration="no",
        documents="no",
        resource="nothing",
        pitfall="access tokens are opaque and have no resource: use Keycloak or Dex as the issuer",
    ),
)
