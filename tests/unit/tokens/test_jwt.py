"""Which tokens are accepted, and the reasons for rejections."""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mcp_idp.access.policy import load_access
from mcp_idp.config.settings import Settings
from mcp_idp.errors import InvalidToken, TokenErrorReason
from mcp_idp.providers import profile_for
from mcp_idp.testing.corpus.token_forge import headed
from mcp_idp.testing.issuer import NOW, RESOURCE, Issuer, b64, public_jwk, rsa_key, signed
from mcp_idp.tokens.issuers import IssuerVerifier
from tests.support.app import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.principal import Principal

pytestmark = pytest.mark.anyio


async def verify(token: str, provider: Issuer, /, **settings: Any) -> Principal:
    async with provider.http() as http:
        chosen = Settings(**settings)
        idp = IssuerVerifier(chosen, load_access(chosen.access_file), FakeClock().clock, http)
        return await idp.verify(token)


async def reason_for(token: str, provider: Issuer, /, **settings: Any) -> TokenErrorReason:
    with pytest.raises(InvalidToken) as rejected:
        await verify(token, provider, **settings)
    return rejected.value.reason


@pytest.mark.requirement("jwt.accepted", "jwt.scopes")
async def test_a_good_token_gives_its_principal() -> None:
    issuer = Issuer()
    principal = await verify(issuer.token(), issuer)
    assert (principal.issuer, principal.subject, principal.client) == (issuer.url, "4f0c", "client-1")
    assert principal.scopes == {"mcp:tools", "mcp:notes.read"}
    assert principal.roles == frozenset({"mcp-reader"})
    assert principal.expires_at == NOW + 300


EC_KEYS = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@pytest.mark.requirement("jwt.accepted", "jwt.algorithm")
@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", *EC_KEYS, "EdDSA"])
@pytest.mark.parametrize("named", [True, False])
async def test_every_allowed_algorithm_verifies_with_its_own_kind_of_key(alg: str, named: bool) -> None:  # noqa: FBT001 - a parameter
    key = (
        ec.generate_private_key(EC_KEYS[alg])
        if alg in EC_KEYS
        else ed25519.Ed25519PrivateKey.generate()
        if alg == "EdDSA"
        else rsa_key("one")
    )
    issuer = Issuer(keys=[public_jwk(key, kid="k", **({"alg": alg} if named else {}))])
    principal = await verify(issuer.token(key=key, kid="k", alg=alg), issuer)
    assert principal.subject == "4f0c"


@pytest.mark.requirement("jwt.accepted")
@pytest.mark.parametrize("last", ["A", "X", "_", "-"])
async def test_a_signature_may_end_with_any_character_of_the_alphabet(last: str) -> None:
    key = ec.generate_private_key(ec.SECP384R1())  # signatures of 96 bytes: their last character has no unused bits
    issuer = Issuer(keys=[public_jwk(key, kid="k", alg="ES384")])
    token = issuer.token(key=key, kid="k", alg="ES384")
    while not token.endswith(last):  # each signature differs
        token = issuer.token(key=key, kid="k", alg="ES384")
    assert (await verify(token, issuer)).subject == "4f0c"


@pytest.mark.requirement("jwt.header_type")
@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"])
async def test_the_header_types_of_access_tokens_are_accepted(typ: str) -> None:
    issuer = Issuer()
    assert (await verify(issuer.token_with_header(typ=typ), issuer)).subject == "4f0c"


@pytest.mark.requirement("jwt.header_type")
@pytest.mark.parametrize("typ", ["logout+jwt", "dpop+jwt", "oauth-id-jag+jwt", "secevent+jwt", "", "JWT ", 7, ["JWT"]])
async def test_other_header_types_are_rejected(typ: object) -> None:
    issuer = Issuer()
    token = signed(json.dumps({"alg": "RS256", "kid": "one", "typ": typ}).encode(), _payload(issuer), rsa_key("one"))
    assert await reason_for(token, issuer) is TokenErrorReason.HEADER_TYPE


def _payload(issuer: Issuer, **changes: Any) -> bytes:
    return json.dumps(issuer.claims(**changes)).encode()


# Changed claims, and the reason of the rejection. `...` removes the claim.
CLAIMS: list[tuple[str, dict[str, Any], TokenErrorReason]] = [
    ("jwt.issuer", {"iss": "http://localhost:8080/realms/mcp/"}, TokenErrorReason.ISSUER),
    ("jwt.issuer", {"iss": "http://localhost:8080/realms/other"}, TokenErrorReason.ISSUER),
    ("jwt.issuer", {"iss": "HTTP://localhost:8080/realms/mcp"}, TokenErrorReason.ISSUER),
    ("jwt.issuer", {"iss": ["http://localhost:8080/realms/mcp"]}, TokenErrorReason.ISSUER),
    ("jwt.issuer", {"iss": ...}, TokenErrorReason.ISSUER),
    ("jwt.audience", {"aud": ...}, TokenErrorReason.AUDIENCE),
    ("jwt.audience", {"aud": []}, TokenErrorReason.AUDIENCE),
    ("jwt.audience", {"aud": "account"}, TokenErrorReason.AUDIENCE),
    ("jwt.audience", {"aud": RESOURCE + "/"}, TokenErrorReason.AUDIENCE),
    ("jwt.audience", {"aud": "http://localhost:3000"}, TokenErrorReason.AUDIENCE),
    ("jwt.audience", {"aud": RESOURCE.upper()}, TokenErrorReason.AUDIENCE),
    ("jwt.audience", {"aud": f"account {RESOURCE}"}, TokenErrorReason.AUDIENCE),
    ("jwt.audience", {"aud": [RESOURCE, 7]}, TokenErrorReason.AUDIENCE),
    ("jwt.audience", {"aud": [[RESOURCE]]}, TokenErrorReason.AUDIENCE),
    ("jwt.audience", {"aud": {RESOURCE: True}}, TokenErrorReason.AUDIENCE),
    ("jwt.times", {"exp": ...}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.times", {"exp": None}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.times", {"exp": NOW - 30}, TokenErrorReason.EXPIRED),
    ("jwt.times", {"exp": 0}, TokenErrorReason.EXPIRED),
    ("jwt.times", {"exp": -1}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.times", {"exp": 10**400}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.times", {"exp": [NOW + 300]}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.times", {"nbf": NOW + 31}, TokenErrorReason.NOT_YET_VALID),
    ("jwt.times", {"nbf": "0"}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.times", {"nbf": None}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.times", {"iat": NOW + 31, "exp": NOW + 400}, TokenErrorReason.IAT_IN_FUTURE),
    ("jwt.times", {"iat": True}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.lifetime", {"exp": NOW + 24 * 3600 + 1}, TokenErrorReason.LIFETIME),
    ("jwt.lifetime", {"iat": ..., "exp": NOW + 24 * 3600 + 1}, TokenErrorReason.LIFETIME),
    ("jwt.lifetime", {"iat": 0}, TokenErrorReason.LIFETIME),
    ("jwt.token_type", {"typ": "ID"}, TokenErrorReason.TOKEN_TYPE),
    ("jwt.token_type", {"typ": "Refresh"}, TokenErrorReason.TOKEN_TYPE),
    ("jwt.token_type", {"typ": "Offline"}, TokenErrorReason.TOKEN_TYPE),
    ("jwt.token_type", {"typ": "Logout"}, TokenErrorReason.TOKEN_TYPE),
    ("jwt.token_type", {"typ": ...}, TokenErrorReason.TOKEN_TYPE),
    ("jwt.token_type", {"typ": ["Bearer"]}, TokenErrorReason.TOKEN_TYPE),
    ("jwt.token_type", {"events": {}}, TokenErrorReason.TOKEN_TYPE),
    ("jwt.user", {"sid": ...}, TokenErrorReason.NO_END_USER),
    ("jwt.user", {"sid": ""}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.sender_bound", {"cnf": {"jkt": "x"}}, TokenErrorReason.SENDER_BOUND),
    ("jwt.sender_bound", {"cnf": None}, TokenErrorReason.SENDER_BOUND),
    ("jwt.claims", {"sub": 7}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.claims", {"sub": ""}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.claims", {"sub": "x" * 3000}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.claims", {"azp": {"a": 1}}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.scopes", {"scope": 7}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.scopes", {"scope": {"mcp:tools": True}}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.scopes", {"scope": ["mcp:tools", 7]}, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.claims", {"mcp_roles": "mcp-admin"}, TokenErrorReason.CLAIMS_MALFORMED),
]


@pytest.mark.requirement(
    "jwt.issuer",
    "jwt.audience",
    "jwt.times",
    "jwt.lifetime",
    "jwt.token_type",
    "jwt.end_user",
    "jwt.sender_constrained",
    "jwt.claims",
    "jwt.scopes",
)
@pytest.mark.parametrize(("row", "changes", "reason"), CLAIMS)
async def test_a_claim_of_the_wrong_type_rejects_the_token(
    row: str, changes: dict[str, Any], reason: TokenErrorReason
) -> None:
    issuer = Issuer()
    token = signed(b'{"alg":"RS256","kid":"one","typ":"JWT"}', _payload(issuer, **changes), rsa_key("one"))
    assert await reason_for(token, issuer) is reason, row


@pytest.mark.requirement("jwt.times", "jwt.audience", "jwt.scopes", "jwt.lifetime")
@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - 29.5},
        {"exp": NOW + 0.5},
        {"nbf": NOW + 29},
        {"iat": NOW + 29, "exp": NOW + 300},
        {"iat": ...},
        {"aud": ["account", RESOURCE]},
        {"scope": ["mcp:tools"]},
        {"scope": ...},
        {"sub": ...},
        {"exp": NOW + 24 * 3600},
        {"unknown": {"deep": [1, 2, {"x": None}]}},
    ],
)
async def test_what_the_specification_allows_is_accepted(changes: dict[str, Any]) -> None:
    issuer = Issuer()
    token = signed(b'{"alg":"RS256","kid":"one","typ":"JWT"}', _payload(issuer, **changes), rsa_key("one"))
    assert (await verify(token, issuer)).issuer == issuer.url


def _header(document: bytes) -> Callable[[Issuer], str]:
    return lambda issuer: signed(document, _payload(issuer), rsa_key("one"))


def _claims_text(document: str) -> Callable[[Issuer], str]:
    return lambda _: signed(b'{"alg":"RS256","kid":"one","typ":"JWT"}', document.encode(), rsa_key("one"))


def _nonzero_padding_bits(_: Issuer) -> str:
    """Returns claims in a second encoding (`e30` is `{}`) with a valid signature of exactly that encoding."""
    signing_input = b64(b'{"alg":"RS256","kid":"one","typ":"JWT"}') + ".e31"
    signature = rsa_key("one").sign(signing_input.encode(), PKCS1v15(), SHA256())
    return f"{signing_input}.{b64(signature)}"


def _hs256_with_the_public_key(issuer: Issuer) -> str:
    """Returns a token with the algorithm confusion of RFC 8725 section 2.1: the public key as an HMAC secret."""
    signing_input = b64(b'{"alg":"HS256","kid":"one","typ":"JWT"}') + "." + b64(_payload(issuer))
    secret = rsa_key("one").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return f"{signing_input}.{b64(hmac.digest(secret, signing_input.encode(), 'sha256'))}"


def _embedded_key(issuer: Issuer) -> str:
    mine = rsa_key("attacker")
    return jwt.encode(issuer.claims(), mine, algorithm="RS256", headers={"kid": "one", "jwk": public_jwk(mine)})


def _key_url(issuer: Issuer) -> str:
    headers = {"kid": "one", "jku": "http://attacker.example/keys", "x5u": "http://attacker.example/cert"}
    return jwt.encode(issuer.claims(), rsa_key("attacker"), algorithm="RS256", headers=headers)


def _swapped_payload(issuer: Issuer) -> str:
    header, _, signature = issuer.token().split(".")
    return f"{header}.{b64(_payload(issuer, sub='somebody-else'))}.{signature}"


FORGED: list[tuple[str, Callable[[Issuer], str], TokenErrorReason]] = [
    ("jwt.shape", lambda _: "opaque", TokenErrorReason.NOT_A_JWT),
    ("jwt.shape", lambda i: i.token() + ".", TokenErrorReason.NOT_A_JWT),
    ("jwt.shape", lambda i: i.token() + "=", TokenErrorReason.NOT_A_JWT),
    ("jwt.shape", lambda i: i.token().replace(".", ".."), TokenErrorReason.ENCRYPTED),
    ("jwt.shape", lambda i: i.token().rsplit(".", 1)[0] + ".", TokenErrorReason.NOT_A_JWT),
    ("jwt.shape", lambda i: i.token() + "\u00e9", TokenErrorReason.NOT_A_JWT),
    ("jwt.shape", lambda i: i.token() + "\n", TokenErrorReason.NOT_A_JWT),
    ("jwt.shape", lambda _: "a.b.c.d.e", TokenErrorReason.ENCRYPTED),
    ("jwt.length", lambda _: "x" * 16385, TokenErrorReason.TOO_LONG),
    ("jwt.length", lambda i: i.token(filler="x" * 20_000), TokenErrorReason.TOO_LONG),
    ("jwt.header", lambda _: "a.b.c", TokenErrorReason.HEADER_MALFORMED),
    ("jwt.header", _header(b'["alg"]'), TokenErrorReason.HEADER_MALFORMED),
    ("jwt.header", _header(b'{"alg":"none","alg":"RS256","kid":"one","typ":"JWT"}'), TokenErrorReason.HEADER_MALFORMED),
    ("jwt.header", _header(b'{"alg":"RS256","kid":7,"typ":"JWT"}'), TokenErrorReason.HEADER_MALFORMED),
    ("jwt.header", _header(b'{"alg":"RS256","kid":"","typ":"JWT"}'), TokenErrorReason.HEADER_MALFORMED),
    (
        "jwt.header",
        _header(json.dumps({"alg": "RS256", "kid": "k" * 257, "typ": "JWT"}).encode()),
        TokenErrorReason.HEADER_MALFORMED,
    ),
    (
        "jwt.header",
        _header(json.dumps({"alg": "RS256", "kid": "one", "x": "y" * 2000}).encode()),
        TokenErrorReason.HEADER_MALFORMED,
    ),
    (
        "jwt.header",
        _header(b'{"alg":"RS256","kid":"one","typ":"JWT","crit":["exp"]}'),
        TokenErrorReason.CRITICAL_EXTENSION,
    ),
    ("jwt.header", _header(b'{"alg":"RS256","kid":"one","typ":"JWT","crit":[]}'), TokenErrorReason.CRITICAL_EXTENSION),
    (
        "jwt.header",
        _header(b'{"alg":"RS256","kid":"one","typ":"JWT","b64":false}'),
        TokenErrorReason.CRITICAL_EXTENSION,
    ),
    ("jwt.header_type", _header(b'{"alg":"RS256","kid":"one"}'), TokenErrorReason.HEADER_TYPE),
    ("jwt.algorithm", _header(b'{"kid":"one","typ":"JWT"}'), TokenErrorReason.ALGORITHM),
    ("jwt.algorithm", _header(b'{"alg":"none","kid":"one","typ":"JWT"}'), TokenErrorReason.ALGORITHM),
    ("jwt.algorithm", _header(b'{"alg":"NONE","kid":"one","typ":"JWT"}'), TokenErrorReason.ALGORITHM),
    ("jwt.algorithm", _header(b'{"alg":["RS256"],"kid":"one","typ":"JWT"}'), TokenErrorReason.ALGORITHM),
    ("jwt.algorithm", _header(b'{"alg":"ES256K","kid":"one","typ":"JWT"}'), TokenErrorReason.ALGORITHM),
    ("jwt.algorithm", _hs256_with_the_public_key, TokenErrorReason.ALGORITHM),
    ("jwt.algorithm", lambda i: i.token(alg="RS512"), TokenErrorReason.KEY_ALGORITHM_MISMATCH),
    (
        "jwt.algorithm",
        lambda i: i.token(key=ec.generate_private_key(ec.SECP256R1()), alg="ES256"),
        TokenErrorReason.KEY_ALGORITHM_MISMATCH,
    ),
    ("jwt.header_keys", _embedded_key, TokenErrorReason.SIGNATURE),
    ("jwt.header_keys", _key_url, TokenErrorReason.SIGNATURE),
    ("jwt.signature", _swapped_payload, TokenErrorReason.SIGNATURE),
    ("jwt.signature", lambda i: i.token(key=rsa_key("attacker")), TokenErrorReason.SIGNATURE),
    ("jwt.signature", lambda i: i.token()[:-4], TokenErrorReason.SIGNATURE),
    ("jwt.signature", lambda i: i.token(kid="unknown"), TokenErrorReason.KEY_UNKNOWN),
    ("jwt.signature", lambda i: i.token(kid="../one"), TokenErrorReason.KEY_UNKNOWN),
    ("jwt.claims", _claims_text('{"iss":"a","iss":"b"}'), TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.claims", _claims_text('{"exp":1e999}'), TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.claims", _claims_text('{"exp":NaN}'), TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.claims", _claims_text("[]"), TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.claims", _nonzero_padding_bits, TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.claims", _claims_text("[" * 5000), TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.claims", _claims_text("not json"), TokenErrorReason.CLAIMS_MALFORMED),
    ("jwt.claims", lambda i: i.token(aud=f"{RESOURCE}\u0000"), TokenErrorReason.AUDIENCE),
]


@pytest.mark.requirement(
    "jwt.shape", "jwt.length", "jwt.header", "jwt.algorithm", "jwt.header_keys", "jwt.signature", "jwt.claims"
)
@pytest.mark.parametrize(("row", "forge", "reason"), FORGED)
async def test_a_forged_token_is_rejected(row: str, forge: Callable[[Issuer], str], reason: TokenErrorReason) -> None:
    issuer = Issuer()
    assert await reason_for(forge(issuer), issuer) is reason, row
    assert "attacker.example" not in str(issuer.calls)


@pytest.mark.requirement("jwt.length", "jwt.accepted")
async def test_a_token_may_be_as_long_as_the_setting_says() -> None:
    issuer = Issuer()
    token = issuer.token(filler="x" * 2000)
    assert (await verify(token, issuer, max_token_bytes=len(token))).subject == "4f0c"
    assert await reason_for(token, issuer, max_token_bytes=len(token) - 1) is TokenErrorReason.TOO_LONG


@pytest.mark.requirement("jwt.header", "jwt.accepted")
async def test_a_kid_may_be_as_long_as_we_look_up() -> None:
    issuer = Issuer(keys=[public_jwk(rsa_key("one"), kid="k" * 256, alg="RS256", use="sig")])
    assert (await verify(issuer.token(kid="k" * 256), issuer)).subject == "4f0c"


@pytest.mark.requirement("jwt.header", "jwt.accepted")
async def test_a_header_may_be_as_long_as_we_read() -> None:
    issuer = Issuer()
    usual = len(json.dumps({"alg": "RS256", "kid": "one", "typ": "JWT", "x": ""}))
    header = json.dumps({"alg": "RS256", "kid": "one", "typ": "JWT", "x": "y" * (2048 * 3 // 4 - usual)}).encode()
    token = signed(header, _payload(issuer), rsa_key("one"))
    assert token.index(".") == 2048
    assert (await verify(token, issuer)).subject == "4f0c"


def test_every_reason_occurs_in_a_table() -> None:
    occurring = {row[2] for row in CLAIMS} | {row[2] for row in FORGED}
    assert occurring >= set(TokenErrorReason) - INTROSPECTION_ONLY


# Reasons that occur only with introspection responses: tests/unit/tokens/test_introspection.py covers them.
INTROSPECTION_ONLY = {reason for reason in TokenErrorReason if reason.value in {"inactive", "opaque"}}


@pytest.mark.requirement("jwt.accepted")
async def test_without_a_kid_the_only_key_for_the_algorithm_counts_and_of_two_none() -> None:
    one = public_jwk(rsa_key("one"), use="sig")
    issuer = Issuer(keys=[one])
    assert (await verify(headed(issuer, kid=...), issuer)).subject == "4f0c"
    two = Issuer(keys=[public_jwk(rsa_key("one"), kid="one"), public_jwk(rsa_key("two"), kid="two")])
    assert await reason_for(headed(two, kid=...), two) is TokenErrorReason.KEY_UNKNOWN


@pytest.mark.requirement("jwt.token_type")
@pytest.mark.parametrize("marker", ["nonce", "at_hash", "c_hash"])
async def test_an_unknown_provider_s_id_token_is_recognized_by_claims_of_id_tokens(marker: str) -> None:
    issuer = Issuer()
    marked: dict[str, Any] = {marker: "x"}
    generic = profile_for("https://login.example.com")
    assert (await verify(issuer.token(typ=...), issuer, provider=generic)).subject == "4f0c"
    assert await reason_for(issuer.token(typ=..., **marked), issuer, provider=generic) is TokenErrorReason.TOKEN_TYPE
    assert (
        await reason_for(issuer.token(typ=..., token_use="id"), issuer, provider=generic) is TokenErrorReason.TOKEN_TYPE
    )


@pytest.mark.requirement("jwt.token_type")
async def test_the_embedded_provider_s_refresh_token_is_rejected() -> None:
    issuer = Issuer()
    nanoidp = profile_for("http://localhost:9010", "nanoidp")
    good = issuer.token(typ=..., token_use="access")
    assert (await verify(good, issuer, provider=nanoidp)).subject == "4f0c"
    assert (
        await reason_for(issuer.token(typ=..., token_use="refresh"), issuer, provider=nanoidp)
        is TokenErrorReason.TOKEN_TYPE
    )
    assert await reason_for(issuer.token(typ=...), issuer, provider=nanoidp) is TokenErrorReason.TOKEN_TYPE


@pytest.mark.requirement("jwt.issuer", "jwt.audience")
async def test_issuer_and_audience_can_be_overridden_and_then_only_those_count() -> None:
    issuer = Issuer()
    settings = {"issuer": "https://sts.example/", "audience": "api://mcp"}
    assert (
        await verify(issuer.token(iss="https://sts.example/", aud="api://mcp"), issuer, **settings)
    ).subject == "4f0c"
    assert await reason_for(issuer.token(aud="api://mcp"), issuer, **settings) is TokenErrorReason.ISSUER
    assert await reason_for(issuer.token(iss="https://sts.example/"), issuer, **settings) is TokenErrorReason.AUDIENCE
