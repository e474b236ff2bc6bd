"""Imitations of providers that people host themselves, and of one that nobody knows."""

from __future__ import annotations

import jwt

from tests.providers.imitation import PERSON, RESOURCE, Imitation, Row, genuine, wrong
from tests.unit.issuer import NOW

READ, ALL_BUT_ADMIN = "mcp:tools mcp:notes.read", "mcp:tools mcp:notes.read mcp:notes.write"
EVERYTHING = f"{ALL_BUT_ADMIN} mcp:admin"

KEYCLOAK = Imitation(
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
        wrong("a service account's token", "no_user", sid=...),
        wrong("the audience of a client without our mapper", "audience", aud="account"),
        wrong("a person without a role", "insufficient_role", scope="openid", mcp_roles=[]),
    ),
)

DEX = Imitation(
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
        genuine("a group that has the name of a role", READ, groups=["mcp-reader"]),
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

NANOIDP = Imitation(
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
AUTHENTIK = Imitation(
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
        Row(name="a token of a provider without a signing key", whole=_HS256, says="algorithm"),
    ),
)

_PROJECT = "69234237810729019"
_ROLES = f"urn:zitadel:iam:org:project:{_PROJECT}:roles"
ZITADEL = Imitation(
    profile="zitadel",
    source=(
        "https://zitadel.com/docs/apis/openidoauth/claims",
        "https://zitadel.com/docs/apis/openidoauth/scopes",
    ),
    issuer="https://acme-x1y2z3.zitadel.cloud",
    documents=("/.well-known/openid-configuration",),
    keys_at="https://acme-x1y2z3.zitadel.cloud/oauth/v2/keys",
    metadata={"introspection_endpoint": "https://acme-x1y2z3.zitadel.cloud/oauth/v2/introspect"},
    claims={
        "aud": ["69234237810729234", _PROJECT],
        "client_id": "69234237810729234",
        "jti": "at_1",
        "nbf": NOW,
        _ROLES: {"mcp-reader": {"34625": "acme.example"}},
    },
    settings={"JWT_AUDIENCE": _PROJECT},
    elsewhere="https://evil-x1y2z3.zitadel.cloud",
    rows=(
        genuine("a person with a role of our project", READ),
        genuine(
            "several roles, of several organisations",
            EVERYTHING,
            **{_ROLES: {"mcp-reader": {"1": "a"}, "mcp-admin": {"2": "b"}}},
        ),
        wrong(
            "an ID token", "token_type", jti=..., nbf=..., at_hash="x", nonce="n", amr=["pwd"], azp="69234237810729234"
        ),
        wrong("an ID token without at_hash or nonce", "token_type", jti=..., nbf=..., amr=["pwd"]),
        wrong("a token without our project in aud", "audience", aud=["69234237810729234"]),
        wrong("no roles asserted", "insufficient_role", **{_ROLES: ...}),
        wrong(
            "roles of the client's own project, whosever that is",
            "insufficient_role",
            **{_ROLES: ..., "urn:zitadel:iam:org:project:roles": {"mcp-admin": {"9": "attacker.example"}}},
        ),
        wrong("roles as one text", "claims_malformed", **{_ROLES: "mcp-admin"}),
    ),
    opaque="V1-at_163840776835432705-Bnyx0mQ1sJ",
    answer={
        "active": True,
        "iss": "https://acme-x1y2z3.zitadel.cloud",
        "aud": ["69234237810729234", _PROJECT],
        "client_id": "69234237810729234",
        "sub": PERSON,
        "token_type": "Bearer",
        "scope": "openid profile",
        "exp": NOW + 3600,
        _ROLES: {"mcp-reader": {"34625": "acme.example"}},
    },
)

_HYDRA = "https://acme-1.projects.oryapis.com"
ORY = Imitation(
    profile="ory",
    source=(
        "https://www.ory.sh/docs/oauth2-oidc/jwt-access-token",
        "https://github.com/ory/hydra/blob/master/oauth2/session.go",
    ),
    issuer=_HYDRA,
    documents=("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"),
    keys_at=f"{_HYDRA}/.well-known/jwks.json",
    header={"typ": "JWT"},
    claims={
        "aud": [RESOURCE],
        "client_id": "8c1e2d3f",
        "scp": ["openid", "mcp:tools", "mcp:notes.read"],
        "ext": {"scope": "mcp:admin"},
        "jti": "c7a1",
        "nbf": NOW,
    },
    elsewhere="https://evil-1.projects.oryapis.com",
    rows=(
        genuine("a person's token, its scopes a list", READ + " openid"),
        genuine("a person's token, its scopes a text as well", READ, scope=READ, scp=READ.split()),
        wrong("no audience asked for", "audience", aud=[]),
        wrong("an ID token", "audience", aud=["8c1e2d3f"], client_id=..., scp=..., at_hash="x", sid="s", rat=NOW),
        wrong("an ID token whose client is called as we are", "token_type", client_id=..., scp=..., sid="s", rat=NOW),
        wrong("a client's own token", "no_user", sub="8c1e2d3f"),
        wrong("scopes that the consent page put among its own claims", "insufficient_scope", scp=["openid"]),
    ),
    opaque="ory_at_JGhESDjKfHMQ8Wcy0cC3.hIQxGmX37ydn8WmKAnlD3U",
    answer={
        "active": True,
        "iss": _HYDRA,
        "aud": [RESOURCE],
        "client_id": "8c1e2d3f",
        "sub": PERSON,
        "scope": READ,
        "token_type": "Bearer",
        "token_use": "access_token",
        "exp": NOW + 3600,
    },
)

AUTHELIA = Imitation(
    profile="authelia",
    source=(
        "https://www.authelia.com/integration/openid-connect/introduction/",
        "https://www.authelia.com/configuration/identity-providers/openid-connect/clients/",
    ),
    issuer="https://auth.example.com",
    documents=("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"),
    keys_at="https://auth.example.com/jwks.json",
    metadata={"introspection_endpoint": "https://auth.example.com/api/oidc/introspection"},
    header={"typ": "at+jwt"},
    claims={
        "aud": [RESOURCE],
        "client_id": "mcp-native",
        "jti": "5c1d",
        "nbf": NOW,
        "scope": READ,
        "scp": READ.split(),
    },
    settings={"OAUTH_PROVIDER": "authelia"},
    elsewhere="https://auth.other.example",
    rows=(
        genuine("a person's token", READ),
        Row(name="an ID token, told by its type", header={"typ": "JWT"}, changes={"nonce": "n"}, says="header_type"),
        wrong("a client's own token", "no_user", sub="mcp-native"),
        wrong("a token without an audience", "audience", aud=[]),
    ),
    opaque="authelia_at_cr4i4EtTn2F4k6mX4XzxbsBewkxCGn",
    answer={
        "active": True,
        "aud": [RESOURCE],
        "client_id": "mcp-native",
        "sub": PERSON,
        "scope": READ,
        "exp": NOW + 3600,
    },
)

# Nobody's in particular: RFC 9068 as it stands, and the plain JWTs that came before it.
GENERIC = Imitation(
    profile="generic",
    source=("https://www.rfc-editor.org/rfc/rfc9068", "https://openid.net/specs/openid-connect-discovery-1_0.html"),
    issuer="https://id.unheard-of.example",
    documents=("/.well-known/openid-configuration",),
    keys_at="https://id.unheard-of.example/keys",
    metadata={"introspection_endpoint": "https://id.unheard-of.example/introspect"},
    header={"typ": "at+jwt"},
    claims={"aud": RESOURCE, "client_id": "cli", "jti": "1", "scope": READ},
    elsewhere="https://id.other.example",
    rows=(
        genuine("a token of RFC 9068", READ),
        Row(name="a plain JWT", header={"typ": "JWT"}, scopes=frozenset(READ.split())),
        Row(
            name="a JWT without a type",
            header={"typ": None},
            changes={"scope": ..., "scp": ["mcp:tools"]},
            scopes=frozenset({"mcp:tools"}),
        ),
        wrong("an ID token with a nonce", "token_type", nonce="n"),
        wrong("an ID token with the hash of an access token", "token_type", at_hash="x"),
        wrong("a token that says that it is an ID token", "token_type", token_use="id"),
        wrong("a refresh token that says so", "token_type", typ="Refresh"),
        Row(name="a token of another type", header={"typ": "logout+jwt"}, says="header_type"),
        wrong("a token without our scope", "insufficient_scope", scope="openid"),
    ),
    opaque="2YotnFZFEjr1zCsicMWpAA",
    answer={
        "active": True,
        "aud": RESOURCE,
        "client_id": "cli",
        "sub": PERSON,
        "scope": READ,
        "exp": NOW + 3600,
    },
)

HOSTING = (KEYCLOAK, DEX, NANOIDP, AUTHENTIK, ZITADEL, ORY, AUTHELIA, GENERIC)
