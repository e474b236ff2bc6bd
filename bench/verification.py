"""Measures the verification of new and of known tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.utils import base64url_decode

from bench import thresholds
from bench.defaults import DEFAULTS
from bench.issuer import Issuer
from bench.results import Figure, SampleSize, compared
from bench.sampling import cpu, measure
from mcp_idp.access.policy import load_access
from mcp_idp.tokens.issuers import IssuerVerifier
from mcp_idp.util.clock import Clock

if TYPE_CHECKING:
    from bench.sampling import Sample

_NEW = 20  # tokens in a sample, which takes some milliseconds
_CALLS = 100


async def verification(sample_size: SampleSize) -> list[Figure]:
    """Compares the verification of a new token and of a known one with the signature check alone."""
    issuer = Issuer(DEFAULTS.server_url)
    async with issuer.http() as http:
        provider = IssuerVerifier(DEFAULTS, load_access(DEFAULTS.access_file), Clock(), http)
        cases = {"raw": _raw(issuer), "cold": new(issuer, provider), "warm": known(issuer, provider)}
        samples = await measure(cases, sample_size.rounds)
    return [
        compared("verifying a new token / raw RS256", samples["cold"], samples["raw"]),
        compared("verifying a known token / raw RS256", samples["warm"], samples["raw"], thresholds.CACHE_HIT),
    ]


def _raw(issuer: Issuer) -> Sample:
    """Returns a sample of the signature check alone, by `cryptography`."""
    signed, _, signature = issuer.token().rpartition(".")
    message, signature_bytes, key = signed.encode(), base64url_decode(signature), issuer.signers[-1][1].public_key()

    async def verify() -> None:
        key.verify(signature_bytes, message, PKCS1v15(), SHA256())

    return cpu(verify, _CALLS)


def new(issuer: Issuer, provider: IssuerVerifier) -> Sample:
    """Returns a sample with a different token each time; signing is not counted."""

    async def sample() -> float:
        tokens = iter([issuer.token() for _ in range(_NEW)])

        async def verify() -> None:
            await provider.verify(next(tokens))

        return await cpu(verify, _NEW)()

    return sample


def known(issuer: Issuer, provider: IssuerVerifier) -> Sample:
    """Returns a sample with the same token each time."""
    token = issuer.token()

    async def verify() -> None:
        await provider.verify(token)

    return cpu(verify, _CALLS)
