"""The three methods of client authentication at the introspection endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from structlog.testing import capture_logs

from mcp_idp.config import load_settings
from mcp_idp.config.client_signing_key import ClientSigningKey, InvalidClientKey
from mcp_idp.config.env import SettingsError
from mcp_idp.config.settings import Settings
from mcp_idp.errors import ProviderUnavailable
from mcp_idp.oauth.client_auth import ClientSecretPost, client_auth_from_settings
from mcp_idp.oauth.endpoints import IntrospectionEndpoint
from mcp_idp.testing.issuer import ISSUER, NOW, RESOURCE, PrivateKey, rsa_key
from tests.support.app import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_idp.oauth.client_auth import ClientAuth

SECRET = "s3cret: with + and ü"
OPAQUE = "2YotnFZFEjr1zCsicMWpAA"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ON_P256 = ec.generate_private_key(ec.SECP256R1())
KEYS: dict[str, PrivateKey] = {
    "RS256": rsa_key("ours"),
    "ES256": ON_P256,
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def pem(key: Any, passphrase: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    written: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return written


def by_key(folder: Path, key: PrivateKey, **variables: str) -> Settings:
    file = folder / "key.pem"
    file.write_bytes(pem(key))
    own = {
        "AUTH_TOKEN_MODE": "introspection",
        "OAUTH_CLIENT_AUTH": "private_key_jwt",
        "OAUTH_CLIENT_KEY_FILE": str(file),
    }
    return load_settings({**own, **variables})


async def requests(client: ClientAuth, clock: FakeClock, *, status: int = 200, count: int = 1) -> list[httpx.Request]:
    """Sends `count` introspection requests, answered with this status; returns them."""
    seen: list[httpx.Request] = []

    async def response(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, stream=httpx.ByteStream(b'{"active": false}'))

    async def where() -> str:
        return f"{ISSUER}/introspect"

    async with httpx.AsyncClient(transport=httpx.MockTransport(response)) as http:
        endpoint = IntrospectionEndpoint(http, where, clock.clock, client)
        for _ in range(count):
            if status == 200:
                await endpoint.introspect(OPAQUE)
            else:
                with pytest.raises(ProviderUnavailable) as rejection:
                    await endpoint.introspect(OPAQUE)
                assert rejection.value.detail == f"{ISSUER}/introspect: status {status}"
    return seen


@pytest.mark.anyio
@pytest.mark.requirement("introspection.client_auth")
async def test_the_secret_goes_into_the_form_where_the_provider_reads_no_header() -> None:
    settings = Settings(client_auth="post", client_secret=SECRET)
    clock = FakeClock()
    (request,) = await requests(client_auth_from_settings(settings, clock.clock), clock)
    form = {"token": OPAQUE, "client_id": RESOURCE, "client_secret": SECRET}
    assert parse_qsl(request.content.decode()) == list(form.items())
    assert "authorization" not in request.headers


@pytest.mark.anyio
@pytest.mark.requirement("introspection.client_auth")
async def test_the_secret_goes_into_the_header_by_default() -> None:
    settings = load_settings({"AUTH_TOKEN_MODE": "introspection", "OAUTH_CLIENT_SECRET": SECRET})
    clock = FakeClock()
    (request,) = await requests(client_auth_from_settings(settings, clock.clock), clock)
    assert request.headers["authorization"].startswith("Basic ")
    assert parse_qsl(request.content.decode()) == [("token", OPAQUE)]


@pytest.mark.anyio
@pytest.mark.requirement("introspection.client_auth", "introspection.client_key")
@pytest.mark.parametrize("algorithm", KEYS)
async def test_an_assertion_has_issuer_audience_and_expiry(tmp_path: Path, algorithm: str) -> None:
    clock = FakeClock(at=NOW + 0.9)
    settings = by_key(tmp_path, KEYS[algorithm], JWT_ISSUER="http://other/issuer")
    (request,) = await requests(client_auth_from_settings(settings, clock.clock), clock)
    form = dict(parse_qsl(request.content.decode()))
    assert "authorization" not in request.headers
    assert set(form) == {"token", "client_assertion_type", "client_assertion"}
    assert form["client_assertion_type"] == JWT_BEARER
    assertion = form["client_assertion"]
    assert jwt.get_unverified_header(assertion) == {"alg": algorithm, "typ": "JWT"}
    claims = jwt.decode(
        assertion,
        KEYS[algorithm].public_key(),
        algorithms=[algorithm],
        audience=ISSUER,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert len(claims.pop("jti")) >= 16
    assert claims == {"iss": RESOURCE, "sub": RESOURCE, "aud": ISSUER, "iat": int(NOW), "exp": int(NOW) + 60}


@pytest.mark.anyio
@pytest.mark.requirement("introspection.client_auth")
async def test_no_assertion_is_used_twice(tmp_path: Path) -> None:
    clock = FakeClock()
    seen = await requests(client_auth_from_settings(by_key(tmp_path, KEYS["EdDSA"]), clock.clock), clock, count=20)
    assertions = [dict(parse_qsl(request.content.decode()))["client_assertion"] for request in seen]
    assert len(set(assertions)) == 20


@pytest.mark.anyio
@pytest.mark.requirement("introspection.rejected_client")
@pytest.mark.parametrize(
    ("way", "status", "output"),
    [
        ("basic", 401, "OAUTH_CLIENT_SECRET"),
        ("basic", 400, ""),  # 400 concerns the request, not the credentials
        ("post", 400, "OAUTH_CLIENT_SECRET"),
        ("post", 401, "OAUTH_CLIENT_SECRET"),
        ("private_key_jwt", 400, "OAUTH_CLIENT_KEY_FILE"),
        ("private_key_jwt", 401, "OAUTH_CLIENT_KEY_FILE"),
        ("private_key_jwt", 500, ""),
    ],
)
async def test_a_rejected_client_gets_what_to_fix(tmp_path: Path, way: str, status: int, output: str) -> None:
    settings = Settings(client_auth=way, client_secret=SECRET)
    if way == "private_key_jwt":
        settings = by_key(tmp_path, KEYS["ES256"])
    clock = FakeClock()
    with capture_logs() as lines:
        await requests(client_auth_from_settings(settings, clock.clock), clock, status=status, count=2)
    errors = [line["hint"] for line in lines if line["log_level"] == "error"]
    assert len(errors) == (1 if output else 0)
    assert all(output in event for event in errors)


@pytest.mark.requirement("introspection.no_secret_shown", "settings.no_secret_shown")
def test_no_printed_form_shows_what_is_secret(tmp_path: Path) -> None:
    settings = by_key(tmp_path, KEYS["EdDSA"])
    signing = client_auth_from_settings(settings, FakeClock().clock)
    telling = [
        ClientSecretPost(RESOURCE, SECRET),
        client_auth_from_settings(Settings(client_secret=SECRET), FakeClock().clock),
    ]
    displayed = [settings, signing, signing.credentials(), *telling, *(way.credentials() for way in telling)]
    text = " ".join(f"{thing!r} {thing}" for thing in displayed)
    for secret in ("s3cret", "PrivateKey object", "eyJhbG", "Basic "):
        assert secret not in text


UNUSABLE: dict[str, tuple[bytes, str]] = {
    "no PEM": (b"hunter2", "no PEM private key"),
    "nothing": (b"", "no PEM private key"),
    "a public key": (
        ON_P256.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "no PEM private key",
    ),
    "an encrypted one": (pem(ON_P256, b"passphrase"), "without a passphrase"),
    "a short one": (pem(rsa_key("short", 1024)), "2048 bits"),
    "one on another curve": (pem(ec.generate_private_key(ec.SECP384R1())), "P-256"),
    "one of a kind we do not sign with": (pem(ed448.Ed448PrivateKey.generate()), "Ed25519"),
}


@pytest.mark.requirement("introspection.client_key")
@pytest.mark.parametrize(("content", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_that_cannot_work_stops_the_start_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as rejected:
        load_settings({"OAUTH_CLIENT_AUTH": "private_key_jwt", "OAUTH_CLIENT_KEY_FILE": str(file)})
    assert f"OAUTH_CLIENT_KEY_FILE={file}: " in str(rejected.value)
    assert message in str(rejected.value)
    assert "\n" not in str(rejected.value)
    with pytest.raises(InvalidClientKey):
        ClientSigningKey.from_pem(content)


def test_a_missing_key_file_is_no_error_without_requests_to_the_provider() -> None:
    settings = load_settings({"OAUTH_CLIENT_AUTH": "private_key_jwt", "OAUTH_CLIENT_KEY_FILE": "/nowhere"})
    assert (settings.client_key, settings.has_client_credentials) == (None, False)


@pytest.mark.requirement("introspection.client_auth")
def test_a_key_replaces_the_secret_file_that_compose_always_names(tmp_path: Path) -> None:
    settings = by_key(tmp_path, KEYS["ES256"], OAUTH_CLIENT_SECRET_FILE="/nowhere")
    assert (settings.client_secret, settings.has_client_credentials) == (None, True)
