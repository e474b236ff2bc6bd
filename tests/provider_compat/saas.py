"""Fakes of providers that are hosted services."""

from __future__ import annotations

from mcp_idp.testing.issuer import NOW
from tests.provider_compat.fake_provider import RESOURCE, USER, FakeProvider, Row, genuine, wrong

READ, ALL_BUT_ADMIN = "mcp:tools mcp:notes.read", "mcp:tools mcp:notes.read mcp:notes.write"

OKTA = FakeProvider(
    profile="okta",
    source=(
        "https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/",
        "https://groups.google.com/g/rabbitmq-users/c/O3GdCKf8soM/m/ZsjMcizrAgAJ",  # two tokens, printed
    ),
    issuer="https://acme.okta.com/oauth2/default",
    documents=(
        "/oauth2/default/.well-known/openid-configuration",
        "/oauth2/default/.well-known/oauth-authorization-server",
    ),
    keys_at="https://acme.okta.com/oauth2/default/v1/keys",
    metadata={
        "introspection_endpoint": "https://acme.okta.com/oauth2/default/v1/introspect",
        "registration_endpoint": "https://acme.okta.com/oauth2/v1/clients",
        "code_challenge_methods_supported": ["S256"],
    },
    claims={
        "ver": 1,
        "jti": "AT.MNAoEQ_jbKqoinrQo1D0XKjMX28U5d7ZszBceot7",
        "aud": RESOURCE,
        "sub": "ann@example.com",
        "cid": "0oa1client",
        "uid": "00u1ann",
        "scp": ["openid", "mcp:tools", "mcp:notes.read"],
        "auth_time": NOW - 60,
    },
    elsewhere="https://other.okta.com/oauth2/default",
    rows=(
        genuine("a person's token, its scopes a list", READ + " openid"),
        genuine("a person's token of one scope", "mcp:tools", scp=["mcp:tools"]),
        Row(
            name="a token of the org server, told by its type",
            header={"typ": "application/okta-internal-at+jwt"},
            message="header_type",
        ),
        wrong("an ID token", "token_type", cid=..., uid=..., scp=..., at_hash="fPlsvVszI29LU2UhDyJ9vg"),
        wrong("an ID token without at_hash or nonce", "token_type", cid=..., uid=..., scp=...),
        wrong("a token of a client without a user", "no_end_user", uid=..., sub="0oa1client"),
        wrong("a person's token without our scopes", "insufficient_scope", scp=["openid"]),
        wrong("scopes where Okta writes none", "insufficient_scope", scp=..., scope="mcp:admin"),
    ),
)

_AUTH0_USER = "auth0|6553da60a54af58e29493993"
AUTH0 = FakeProvider(
    profile="auth0",
    source=("https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles",),
    issuer="https://acme.eu.auth0.com/",
    documents=("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"),
    keys_at="https://acme.eu.auth0.com/.well-known/jwks.json",
    metadata={"registration_endpoint": "https://acme.eu.auth0.com/oidc/register"},
    header={"typ": "JWT"},
    claims={
        "sub": _AUTH0_USER,
        "aud": [RESOURCE, "https://acme.eu.auth0.com/userinfo"],
        "azp": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja",
        "scope": "openid profile mcp:tools mcp:notes.read",
    },
    elsewhere="https://other.eu.auth0.com/",
    rows=(
        genuine("Auth0's own dialect", READ + " openid profile"),
        Row(
            name="the dialect of RFC 9068",
            header={"typ": "at+jwt"},
            changes={"azp": ..., "client_id": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja", "jti": "73WakrfVbNJBaAmhQtEeDv"},
            scopes=frozenset(f"{READ} openid profile".split()),
        ),
        genuine("RBAC's permissions in the token", READ, scope=..., permissions=READ.split()),
        genuine("RBAC's permissions beside scopes", READ + " openid", scope="openid", permissions=READ.split()),
        genuine("a token for this API alone", "mcp:tools", aud=RESOURCE, scope="mcp:tools"),
        wrong("a token without an API: for the tenant's own", "audience", aud="https://acme.eu.auth0.com/userinfo"),
        wrong("an ID token", "audience", aud="K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja", azp=..., nonce="n", scope=...),
        wrong("an ID token whose client is called as we are", "token_type", aud=RESOURCE, azp=..., scope=...),
        wrong(
            "a token of a client without a user",
            "no_end_user",
            sub="K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja@clients",
            gty="client-credentials",
        ),
        wrong("permissions as one text without ours", "insufficient_scope", scope="openid", permissions="read"),
        wrong("permissions of an odd kind", "claims_malformed", permissions={"mcp:admin": True}),
    ),
)

_TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
_API = "6e74172b-be56-4843-9ff4-e66a39bb12e3"
_TOOLS, _ALL = "mcp:tools", "mcp:admin mcp:notes.read mcp:notes.write mcp:tools"
ENTRA = FakeProvider(
    profile="entra",
    source=(
        "https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference",
        "https://learn.microsoft.com/entra/identity-platform/access-tokens",
    ),
    issuer=f"https://login.microsoftonline.com/{_TENANT}/v2.0",
    documents=(f"/{_TENANT}/v2.0/.well-known/openid-configuration",),  # neither RFC 8414 nor PKCE metadata
    keys_at=f"https://login.microsoftonline.com/{_TENANT}/discovery/v2.0/keys",
    header={"typ": "JWT"},
    claims={
        "aud": _API,
        "ver": "2.0",
        "tid": _TENANT,
        "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474",
        "azp": "75dbe77f-10a3-4e59-85fd-8c127544f17c",
        "azpacr": "0",
        "scp": "mcp:tools",
        "roles": ["mcp-reader"],
        "nbf": NOW,
        "uti": "fqiBqXLPj0eQa82S-IYFAA",
    },
    settings={"JWT_AUDIENCE": _API},
    access={"scope_prefix": f"api://{_API}/"},
    elsewhere="https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
    rows=(
        genuine("a person's token of version 2", _TOOLS),
        genuine("an administrator's token, as far as the client asked", _TOOLS, roles=["mcp-admin"]),
        genuine("an administrator's token", _ALL, roles=["mcp-admin"], scp="mcp:tools mcp:admin"),
        genuine("an administrator's token of a scope for everything", _ALL, roles=["mcp-admin"], scp="access_as_user"),
        genuine("a person's token that asked for too much", "mcp:notes.read mcp:tools", scp="mcp:tools mcp:admin"),
        genuine(
            "a person's token of version 1",
            _TOOLS,
            iss=f"https://sts.windows.net/{_TENANT}/",
            ver="1.0",
            azp=...,
            azpacr=...,
            appid="75dbe77f-10a3-4e59-85fd-8c127544f17c",
            appidacr="0",
        ),
        wrong(
            "version 1 of another tenant", "issuer", iss="https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/"
        ),
        wrong("version 1 whose host only looks alike", "issuer", iss=f"https://sts.windows.net.example/{_TENANT}/"),
        wrong("the public URL for an audience", "audience", aud=RESOURCE),
        wrong("an ID token with app roles, of an API that is its own client", "token_type", azp=..., scp=...),
        wrong("an ID token with a nonce", "token_type", azp=..., scp=..., nonce="n"),
        wrong("an application's token", "no_end_user", scp=..., roles=["mcp-admin"], idtyp="app"),
        wrong("a person without a role", "insufficient_role", roles=...),
        wrong(
            "a person without a role who consented to everything",
            "insufficient_role",
            roles=...,
            scp="mcp:tools mcp:admin",
        ),
        wrong(
            "the scope in full, which Entra never writes, and no role",
            "insufficient_role",
            roles=[],
            scp=f"api://{_API}/mcp:admin",
        ),
        wrong("too many groups to list, and no role", "insufficient_role", roles=..., _claim_names={"groups": "src1"}),
    ),
)

_CLIENT, _POOL = "57cbishk4j24pabc1234567890", "eu-central-1_EXAMPLE"
_NAMES = (f"{RESOURCE}/mcp:tools", f"{RESOURCE}/mcp:admin")
COGNITO = FakeProvider(
    profile="cognito",
    source=(
        "https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html",
    ),
    issuer=f"https://cognito-idp.eu-central-1.amazonaws.com/{_POOL}",
    documents=(f"/{_POOL}/.well-known/openid-configuration",),
    keys_at=f"https://cognito-idp.eu-central-1.amazonaws.com/{_POOL}/.well-known/jwks.json",
    metadata={"token_endpoint": "https://acme.auth.eu-central-1.amazoncognito.com/oauth2/token"},
    claims={
        "token_use": "access",
        "client_id": _CLIENT,
        "username": USER,
        "cognito:groups": ["mcp-reader"],
        "scope": f"openid {_NAMES[0]}",
        "auth_time": NOW,
        "jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "origin_jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "version": 2,
    },
    access={
        "scope_prefix": f"{RESOURCE}/",
        "issuers": {f"https://cognito-idp.eu-central-1.amazonaws.com/{_POOL}": {"clients": [_CLIENT]}},
    },
    elsewhere="https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_OTHERPOOL",
    rows=(
        genuine("a person's token without aud, of a listed client", _TOOLS),
        genuine("an administrator's token, as far as the client asked", _TOOLS, **{"cognito:groups": ["mcp-admin"]}),
        genuine(
            "an administrator's token",
            _ALL,
            **{"cognito:groups": ["mcp-admin"], "scope": " ".join(_NAMES)},
        ),
        genuine("a token bound to this resource", _TOOLS, aud=RESOURCE),
        wrong("a token of another client of the pool", "audience", client_id="1example23456789"),
        wrong("an ID token", "audience", token_use="id", aud=_CLIENT, client_id=..., nonce="n"),
        wrong("an ID token without its audience", "token_type", token_use="id"),
        wrong("a token that does not say its use", "token_type", token_use=...),
        wrong("a client's own token", "no_end_user", username=..., sub=_CLIENT, **{"cognito:groups": ...}),
        wrong("a person in no group", "insufficient_role", **{"cognito:groups": ..., "scope": " ".join(_NAMES)}),
        wrong("a person in other groups", "insufficient_role", **{"cognito:groups": ["Everyone"]}),
        wrong(
            "an administrator's token for another service of the pool",
            "insufficient_scope",
            **{"cognito:groups": ["mcp-admin"], "scope": "openid https://orders.example.com/mcp:admin"},
        ),
    ),
)

HOSTED = (OKTA, AUTH0, ENTRA, COGNITO)
