"""Attacks by one issuer on another, and through false metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from mcp_idp.errors import TokenErrorReason
from mcp_idp.testing.corpus.keys import TWO
from mcp_idp.testing.corpus.model import Stage, token, unavailable
from mcp_idp.testing.corpus.token_forge import HEADER, claiming, forge
from mcp_idp.testing.issuer import ISSUER, Issuer, public_jwk

OTHER = "http://localhost:8080/realms/other"


@dataclass
class _TwoIssuers(Issuer):
    """Two issuers at one host, with different keys under one kid."""

    other: Issuer = field(
        default_factory=lambda: Issuer(url=OTHER, realm="other", keys=[public_jwk(TWO, kid="one", alg="RS256")])
    )

    async def respond(self, request: httpx.Request) -> httpx.Response:
        if f"/realms/{self.other.realm}" in request.url.path:
            return await self.other.respond(request)
        return await super().respond(request)


TRUSTED = Stage("two issuers", _TwoIssuers, access={"issuers": {OTHER: {}}}, good=lambda i: i.other.token(key=TWO))


_ISSUERS = (
    token(
        "another trusted issuer's name with our provider's signature",
        "RFC 8725 section 3.8; RFC 9700 section 4.4",
        "issuer_keys",
        lambda i: claiming(i, iss=OTHER),
        TokenErrorReason.SIGNATURE,
        TRUSTED,
    ),
    token(
        "our provider's name with another trusted issuer's signature",
        "RFC 8725 section 3.8",
        "signature",
        lambda i: i.token(key=TWO),
        TokenErrorReason.SIGNATURE,
        TRUSTED,
    ),
    token(
        "both trusted issuers in one iss",
        "RFC 7519 section 4.1.1",
        "issuer",
        lambda i: claiming(i, iss=f"{ISSUER} {OTHER}"),
        TokenErrorReason.ISSUER,
        TRUSTED,
    ),
    token(
        "iss twice, once of each trusted issuer",
        "RFC 8259 section 4",
        "duplicate_members",
        lambda i: forge(HEADER, str(i.claims()).replace("'", '"')[:-1].encode() + f',"iss":"{OTHER}"}}'.encode()),
        TokenErrorReason.CLAIMS_MALFORMED,
        TRUSTED,
    ),
)


def _metadata(**members: Any) -> Stage:
    """Returns a stage whose provider publishes these members. No token is accepted there: its metadata is unusable."""
    return Stage("false metadata", lambda: Issuer(metadata=members), good=None)


@dataclass
class _KeysAtAnyHost(Issuer):
    """A provider whose keys are served at any host, so that only the requested URL matters."""

    async def respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/keys":
            return httpx.Response(200, stream=httpx.ByteStream(json.dumps({"keys": self.keys}).encode()))
        return await super().respond(request)


PUBLIC = "https://login.example.com/realms/mcp"


AT_PUBLIC = {"server_url": PUBLIC, "issuer": PUBLIC}


WRONG_ISSUER = _metadata(issuer="http://attacker.example/realms/mcp")


INTERNAL_KEYS = Stage(
    "metadata with a private address",
    lambda: _KeysAtAnyHost(url=PUBLIC, metadata={"jwks_uri": "https://169.254.169.254/keys"}),
    settings=AT_PUBLIC,
    good=None,
)
CLEARTEXT_KEYS = Stage(
    "metadata with keys over http",
    lambda: _KeysAtAnyHost(url=PUBLIC, metadata={"jwks_uri": "http://keys.example.com/keys"}),
    settings=AT_PUBLIC,
    good=None,
)


VALID_METADATA = Stage("valid metadata", lambda: _KeysAtAnyHost(url=PUBLIC), settings=AT_PUBLIC)


_METADATA = (
    unavailable(
        "metadata that names another issuer",
        "RFC 8414 section 3.3; RFC 9700 section 4.4",
        "metadata_issuer",
        Issuer.token,
        WRONG_ISSUER,
        "the document is of the issuer 'http://attacker.example",
    ),
    unavailable(
        "metadata whose key set is inside our network",
        "RFC 9728 section 7.7",
        "no_way_inside",
        Issuer.token,
        INTERNAL_KEYS,
        "points inside this network",
    ),
    unavailable(
        "metadata whose key set is fetched over http",
        "RFC 8414 section 2",
        "no_downgrade",
        Issuer.token,
        CLEARTEXT_KEYS,
        "is not https",
    ),
)


ATTACKS = (*_ISSUERS, *_METADATA)
