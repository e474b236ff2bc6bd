"""An in-process identity provider that signs tokens, publishes metadata and keys, and can be made to fail."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "http://localhost:8080/realms/mcp"
RESOURCE = "http://localhost:3000/mcp"
NOW = 1_800_000_000.0

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Returns the RSA key of this name. Keys are cached, because generating one is slow."""
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_jwk(key: PrivateKey, **members: Any) -> dict[str, Any]:
    """Returns the public JWK of `key` with these members added (RFC 7517)."""
    public = key.public_key()
    match public:
        case rsa.RSAPublicKey():
            jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
        case ec.EllipticCurvePublicKey():
            jwk = ECAlgorithm.to_jwk(public, as_dict=True)
        case _:
            jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
    jwk.pop("key_ops", None)
    return {**jwk, **members}


def b64(data: bytes) -> str:
    """Encodes as base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: bytes, payload: bytes, key: rsa.RSAPrivateKey) -> str:
    """Returns an RS256 token with exactly these bytes, for tokens that no library would write."""
    signing_input = f"{b64(header)}.{b64(payload)}"
    algorithm = RSAAlgorithm(RSAAlgorithm.SHA256)
    return f"{signing_input}.{b64(algorithm.sign(signing_input.encode(), key))}"


@dataclass
class Issuer:
    """An issuer with the URLs and tokens of Keycloak.

    Attributes:
        calls: the number of requests by path.
        down: whether no request gets a response.
        delay: seconds before each response; `pause` is an event that it waits for, if set.
        key: the key that its tokens are signed with; `header` is their JOSE header.
        now: the time at which the server under test starts, in seconds since 1970.
        elsewhere: whether it is reached over the network, so that the server makes its own connections.
    """

    url: str = ISSUER
    realm: str = "mcp"
    keys: list[dict[str, Any]] = field(
        default_factory=lambda: [public_jwk(rsa_key("one"), kid="one", alg="RS256", use="sig")]
    )
    metadata: dict[str, Any] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    down: bool = False
    delay: float = 0.0
    pause: asyncio.Event | None = None
    key: PrivateKey = field(default_factory=lambda: rsa_key("one"))
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "one", "typ": "JWT"})
    now: float = NOW
    elsewhere: bool = False

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Returns the claims of a valid access token with these changes; `...` removes a claim."""
        claims = {
            "iss": self.url,
            "aud": RESOURCE,
            "sub": "4f0c",
            "azp": "client-1",
            "typ": "Bearer",
            "sid": "session-1",
            "scope": "mcp:tools mcp:notes.read",
            "mcp_roles": ["mcp-reader"],
            "iat": self.now,
            "exp": self.now + 300,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not ...}

    def token(
        self, *, key: PrivateKey | None = None, kid: str | None = None, alg: str = "RS256", **changes: Any
    ) -> str:
        """Returns a valid access token with these claims changed; see `claims`."""
        headers = {"kid": kid or self.header["kid"]}
        return jwt.encode(self.claims(**changes), key or self.key, algorithm=alg, headers=headers)

    def token_with_header(self, **header: Any) -> str:
        """Returns a valid access token with these header parameters added."""
        return jwt.encode(self.claims(), rsa_key("one"), algorithm="RS256", headers={"kid": "one", **header})

    async def respond(self, request: httpx.Request) -> httpx.Response:
        """Responds to a request for the metadata or the keys; everything else is 404."""
        self.calls[request.url.path] += 1
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.pause is not None:
            await self.pause.wait()
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        documents = {
            f"/.well-known/oauth-authorization-server/realms/{self.realm}": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/protocol/openid-connect/certs",
                "introspection_endpoint": f"{self.url}/protocol/openid-connect/token/introspect",
                **self.metadata,
            },
            f"/realms/{self.realm}/protocol/openid-connect/certs": {"keys": self.keys},
        }
        document = documents.get(request.url.path)
        if document is None:
            return httpx.Response(404)
        # A stream, as from a connection: httpx treats a response with `content` as already read.
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(document).encode()))

    @property
    def key_fetches(self) -> int:
        """The number of requests for the keys."""
        return self.calls[f"/realms/{self.realm}/protocol/openid-connect/certs"]

    def http(self) -> httpx.AsyncClient:
        """Returns an HTTP client whose requests go to this issuer."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self.respond))
