"""Fakes of self-hosted providers whose access tokens are JWTs."""

from __future__ import annotations

import jwt

from mcp_idp.testing.issuer import NOW
from tests.provider_compat.fake_provider import RESOURCE, FakeProvider, Row, genuine, wrong

READ, ALL_BUT_ADMIN = "mcp:tools mcp:notes.read", "mcp:tools mcp:notes.read mcp:notes.write"
EVERYTHING = f"{ALL_BUT_ADMIN} mcp:admin"

KEYCLOAK = FakeProvider(
    profile="keycloak",
    source=("https://www.keycloak.org/docs/latest/server_admin/#_oidc_token_mappings",),
    issuer="https://login.example.com/realms/team",
    documents=(
        "/.well-known/oauth-authorization-server/realms/team",
        "/realms/team/.well-known/openid-configuration",
    ),
    keys_at="https://login.example.com/realms/team/protocol/openid-connect/certs",
    header={"typ": "JWT"},
    claims={
        "typ": "Bearer",
        "azp": "mcp-native",
        "sid": "b5e0",
        "aud": RESOURCE,
        "scope": "openid mcp:tools mcp:notes.read",
        "mcp_roles": ["mcp-reader"],
        "jti": "onrtac:1",
        "acr": "1",
    },
    elsewhere="https://login.example.com/realms/master",
    rows=(
        genuine("a person's token", READ + " openid"),
        Row(name="with the type of RFC 9068", header={"typ": "at+jwt"}, scopes=frozenset(f"{READ} openid".split())),
        wrong("an ID token", "token_type", typ="ID"),
        wrong("a refresh token that is a JWT", "token_type", typ="Refresh"),
        wrong("an offline token", "token_type", typ="Offline"),
        wrong("a service account's token", "no_end_user", sid=...),
        wrong("the audience of a client without our mapper", "audience", aud="account"),
        wrong("a person without a role", "insufficient_role", scope="openid", mcp_roles=[]),
    ),
)

DEX = FakeProvider(
    profile="dex",
    source=("https://github.com/dexidp/dex/blob/v2.45.1/server/oauth2.go",),
    issuer="https://dex.example.com",
    documents=("/.well-known/openid-configuration",),
    keys_at="https://dex.example.com/keys",
    metadata={"introspection_endpoint": "https://dex.example.com/token/introspect"},
    claims={
        "aud": [RESOURCE, "mcp-native-03"],
        "azp": "mcp-native-03",
        "at_hash": "7J0uBcGR5QxkVfCuCu9M5w",
        "nonce": "n-0S6_WzA2Mj",
        "email": "ann@example.com",
        "email_verified": True,
        "groups": ["engineering", "everybody"],
        "name": "Ann",
    },
    settings={"OAUTH_PROVIDER": "dex"},
    access={"groups": {"engineering": ["mcp-writer"], "acme:platform": ["mcp-admin"]}},
    elsewhere="https://dex.other.example",
    rows=(
        genuine("a person in a group that stands for a role", ALL_BUT_ADMIN),
        wrong("a group that somebody gave the name of a role", "insufficient_role", groups=["mcp-admin"]),
        genuine("several groups", EVERYTHING, groups=["acme:platform", "engineering"]),
        genuine("an access token without a nonce", ALL_BUT_ADMIN, nonce=...),
        wrong("a token for its client alone", "audience", aud="mcp-native-03", azp=...),
        wrong("a token for another client of this Dex", "audience", aud=["grafana", "mcp-native-03"]),
        wrong("an ID token, from the login", "token_type", c_hash="LDktKdoQak3Pk0cnXxCltA"),
        wrong("what our own client had issued to itself", "token_type", aud=RESOURCE, azp=...),
        wrong("no groups", "insufficient_role", groups=...),
        wrong("an empty list of groups", "insufficient_role", groups=[]),
        wrong(
            "groups that stand for nothing", "insufficient_role", groups=["everybody", "Engineering", "engineering "]
        ),
        wrong(
            "scopes that somebody upstream put in", "insufficient_role", groups=..., scope=EVERYTHING, scp=["mcp:admin"]
        ),
        wrong(
            "roles where the access file says, but Dex does not",
            "insufficient_role",
            groups=...,
            mcp_roles=["mcp-admin"],
        ),
        wrong("groups as one text", "claims_malformed", groups="mcp-admin"),
        wrong("groups with something else among them", "claims_malformed", groups=["engineering", ["mcp-admin"]]),
    ),
)

NANOIDP = FakeProvider(
    profile="nanoidp",
    source=("https://github.com/cdelmonte-zg/nanoidp/issues/187",),
    issuer="https://nano.example.com",
    documents=("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"),
    keys_at="https://nano.example.com/.well-known/jwks.json",
    header={"typ": "JWT"},
    claims={"aud": RESOURCE, "client_id": "cli", "token_use": "access", "scope": READ},
    settings={"OAUTH_PROVIDER": "nanoidp"},
    elsewhere="https://nano.other.example",
    rows=(
        genuine("a person's token", READ),
        wrong("an ID token", "token_type", token_use="id"),
        wrong("a refresh token that is a JWT", "token_type", token_use="refresh"),
    ),
)

_APP = "t6mPcSqzkCqL2WZ5CmXTqxHFGPfJfu9Bq"
_HS256 = jwt.encode({"iss": "https://sso.example.com/application/o/mcp/", "aud": _APP, "uid": "1"}, "s" * 64, "HS256")
AUTHENTIK = FakeProvider(
    profile="authentik",
    source=(
        "https://docs.goauthentik.io/add-secure-apps/providers/oauth2/",
        "https://github.com/goauthentik/authentik/blob/main/authentik/providers/oauth2/id_token.py",
    ),
    issuer="https://sso.example.com/application/o/mcp/",
    documents=("/application/o/mcp/.well-known/openid-configuration",),
    keys_at="https://sso.example.com/application/o/mcp/jwks/",
    metadata={"introspection_endpoint": "https://sso.example.com/application/o/introspect/"},
    header={"typ": "JWT"},
    claims={
        "aud": _APP,
        "azp": _APP,
        "uid": "kQLAtMYzC0xqYqvFQvIM",
        "acr": "goauthentik.io/providers/oauth2/default",
        "amr": ["pwd"],
        "auth_time": NOW,
        "nonce": "n-0S6_WzA2Mj",
        "sid": "7bd1",
        "groups": ["authentik Admins", "mcp-writer"],
        "preferred_username": "ann",
    },
    settings={"JWT_AUDIENCE": _APP},
    elsewhere="https://sso.example.com/application/o/wiki/",
    rows=(
        genuine("a person's token, which keeps the login's nonce", ALL_BUT_ADMIN),
        genuine("narrowed, should it ever name scopes", READ, scope="openid mcp:notes.read"),
        wrong("an ID token: the same without azp and uid", "token_type", azp=..., uid=...),
        wrong("an ID token with the hash of a code", "token_type", c_hash="x"),
        wrong("a token of another application", "audience", aud="another", azp="another"),
        wrong("a person in no group of ours", "insufficient_role", groups=["authentik Admins"]),
        wrong("no groups in the token: the profile scope was not asked for", "insufficient_role", groups=...),
        wrong("scopes that anybody may ask for", "insufficient_role", groups=[], scope=EVERYTHING),
        Row(name="a token of a provider without a signing key", whole=_HS256, message="algorithm"),
    ),
)

HOSTING = (KEYCLOAK, DEX, NANOIDP, AUTHENTIK)
