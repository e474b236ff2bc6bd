"""Attacks through roles and groups in tokens of providers that do not bind scopes to users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.errors import TokenErrorReason
from mcp_idp.providers import PROFILES
from mcp_idp.testing.corpus.model import Attack, Stage, token
from mcp_idp.testing.corpus.token_forge import left_hash
from mcp_idp.testing.corpus.tokens_issuer_and_audience import claims
from mcp_idp.testing.issuer import RESOURCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.testing.issuer import Issuer

    Send = Callable[[Issuer], str]


def _stage(name: str, **good: Any) -> tuple[Stage, Callable[..., Send]]:
    """Returns a stage with the provider `name`, and a function that creates its tokens: `good` claims with changes."""
    without: dict[str, Any] = dict.fromkeys(("azp", "typ", "sid", "scope", "mcp_roles"), ...)

    def make(**changes: Any) -> Send:
        return claims(**{**without, **good, **changes})

    return Stage(PROFILES[name].title, settings={"provider": PROFILES[name]}, good=make()), make


DEX, dex = _stage("dex", aud=[RESOURCE, "cli"], azp="cli", at_hash="x", nonce="n", groups=["mcp-reader"])
ENTRA, entra = _stage("entra", azp="cli", scp="access_as_user", roles=["mcp-reader"])
ZITADEL, zitadel = _stage(
    "zitadel",
    client_id="cli",
    jti="at-1",
    **{f"urn:zitadel:iam:org:project:{RESOURCE}:roles": {"mcp-reader": {"1": "a.example"}}},
)
AUTHENTIK, authentik = _stage("authentik", azp="cli", uid="1", groups=["mcp-reader"])


def _denied(name: str, source: str, check: str, send: Send, stage: Stage) -> Attack:
    """Returns an attack with a token without rights here: 403 without a challenge, because no login grants the role."""
    return Attack(
        name=name,
        source=source,
        check=check,
        send=send,
        status=403,
        challenge=None,
        message="insufficient_role",
        stage=stage,
    )


_CONSENT = "own analysis: an attacker who may consent to a scope"


ATTACKS = (
    _denied(
        "scopes granted to the client, and no role of the user",
        _CONSENT,
        "no_roles",
        entra(scp="mcp:admin", roles=...),
        ENTRA,
    ),
    _denied(
        "scopes granted to the client, and roles of another service",
        _CONSENT,
        "roles_decide",
        entra(scp="mcp:tools mcp:admin", roles=["payroll-admin"]),
        ENTRA,
    ),
    _denied(
        "scopes with an empty list of groups",
        _CONSENT,
        "scopes_narrow",
        authentik(scope="mcp:admin", groups=[]),
        AUTHENTIK,
    ),
    _denied(
        "scopes in a token of a provider that writes none",
        "own analysis: an attacker who may add a claim upstream",
        "no_roles",
        dex(scope="mcp:admin", scp=["mcp:admin"], mcp_roles=["mcp-admin"], groups=...),
        DEX,
    ),
    _denied(
        "roles in the project of the client, which anyone may own",
        "zitadel.com/docs/apis/openidoauth/scopes: urn:zitadel:iam:org:project:id:{projectid}:aud",
        "roles_of_ours",
        zitadel(
            **{
                f"urn:zitadel:iam:org:project:{RESOURCE}:roles": ...,
                "urn:zitadel:iam:org:project:roles": {"mcp-admin": {"9": "attacker.example"}},
            }
        ),
        ZITADEL,
    ),
    token(
        "an ID token with the audience of access tokens and without any mark of ID tokens",
        "goauthentik/authentik: authentik/providers/oauth2/id_token.py",
        "access_mark",
        authentik(azp=..., uid=...),
        TokenErrorReason.TOKEN_TYPE,
        AUTHENTIK,
    ),
    token(
        "an ID token of an API that is its own client",
        "learn.microsoft.com/entra/identity-platform/id-token-claims-reference",
        "access_mark",
        entra(azp=..., scp=...),
        TokenErrorReason.TOKEN_TYPE,
        ENTRA,
    ),
    token(
        "a token that the client of our resource has for itself",
        "dexidp/dex: server/oauth2.go",
        "access_mark",
        dex(aud=RESOURCE, azp=...),
        TokenErrorReason.TOKEN_TYPE,
        DEX,
    ),
    token(
        "an ID token of a provider whose two kinds differ in one claim",
        "dexidp/dex: server/oauth2.go",
        "token_type",
        dex(c_hash=left_hash("code")),
        TokenErrorReason.TOKEN_TYPE,
        DEX,
    ),
    token(
        "groups as one string that contains ours",
        "own analysis: an attacker who may name a group",
        "text_lists",
        dex(groups="mcp-admin"),
        TokenErrorReason.CLAIMS_MALFORMED,
        DEX,
    ),
    token(
        "groups as an object with our group as a key, where the provider writes lists",
        "own analysis: an attacker who may name a group",
        "text_lists",
        dex(groups={"mcp-admin": {}}),
        TokenErrorReason.CLAIMS_MALFORMED,
        DEX,
    ),
    token(
        "a token of a client without a user, with the roles of an application",
        "learn.microsoft.com/entra/identity-platform/access-token-claims-reference: scp is for users only",
        "user",
        entra(scp=..., roles=["mcp-admin"]),
        TokenErrorReason.NO_END_USER,
        ENTRA,
    ),
)
