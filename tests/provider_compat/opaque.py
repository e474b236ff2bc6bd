"""Fakes of providers with opaque access tokens, and of an unknown provider."""

from __future__ import annotations

from mcp_idp.testing.issuer import NOW
from tests.provider_compat.fake_provider import RESOURCE, USER, FakeProvider, Row, genuine, wrong

READ = "mcp:tools mcp:notes.read"
EVERYTHING = f"{READ} mcp:notes.write mcp:admin"

_PROJECT = "69234237810729019"
_ROLES = f"urn:zitadel:iam:org:project:{_PROJECT}:roles"
ZITADEL = FakeProvider(
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
        wrong("roles as one string", "claims_malformed", **{_ROLES: "mcp-admin"}),
    ),
    opaque="V1-at_163840776835432705-Bnyx0mQ1sJ",
    response={
        "active": True,
        "iss": "https://acme-x1y2z3.zitadel.cloud",
        "aud": ["69234237810729234", _PROJECT],
        "client_id": "69234237810729234",
        "sub": USER,
        "token_type": "Bearer",
        "scope": "openid profile",
        "exp": NOW + 3600,
        _ROLES: {"mcp-reader": {"34625": "acme.example"}},
    },
)

_HYDRA = "https://acme-1.projects.oryapis.com"
ORY = FakeProvider(
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
        wrong("a client's own token", "no_end_user", sub="8c1e2d3f"),
        wrong("scopes that the consent page put among its own claims", "insufficient_scope", scp=["openid"]),
    ),
    opaque="ory_at_JGhESDjKfHMQ8Wcy0cC3.hIQxGmX37ydn8WmKAnlD3U",
    response={
        "active": True,
        "iss": _HYDRA,
        "aud": [RESOURCE],
        "client_id": "8c1e2d3f",
        "sub": USER,
        "scope": READ,
        "token_type": "Bearer",
        "token_use": "access_token",
        "exp": NOW + 3600,
    },
)

AUTHELIA = FakeProvider(
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
        Row(name="an ID token, told by its type", header={"typ": "JWT"}, changes={"nonce": "n"}, message="header_type"),
        wrong("a client's own token", "no_end_user", sub="mcp-native"),
        wrong("a token without an audience", "audience", aud=[]),
    ),
    opaque="authelia_at_cr4i4EtTn2F4k6mX4XzxbsBewkxCGn",
    response={
        "active": True,
        "aud": [RESOURCE],
        "client_id": "mcp-native",
        "sub": USER,
        "scope": READ,
        "exp": NOW + 3600,
    },
)

# No particular provider: RFC 9068 tokens, and older plain JWTs.
GENERIC = FakeProvider(
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
        Row(name="a token of another type", header={"typ": "logout+jwt"}, message="header_type"),
        wrong("a token without our scope", "insufficient_scope", scope="openid"),
    ),
    opaque="2YotnFZFEjr1zCsicMWpAA",
    response={
        "active": True,
        "aud": RESOURCE,
        "client_id": "cli",
        "sub": USER,
        "scope": READ,
        "exp": NOW + 3600,
    },
)

OPAQUE = (ZITADEL, ORY, AUTHELIA, GENERIC)
