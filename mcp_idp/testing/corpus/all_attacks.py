"""The whole corpus, by family and by transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.testing.corpus import (
    bodies,
    credentials,
    floods,
    host_and_origin,
    introspection,
    issuers,
    keys,
    scopes,
    tokens_algorithm,
    tokens_claims,
    tokens_format,
    tokens_header,
    tokens_issuer_and_audience,
    tokens_roles,
    tokens_signature,
    tokens_type_and_time,
    wire,
    wire_framing,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.testing.corpus.model import Attack

    Families = Mapping[str, tuple[Attack, ...]]

_TOKENS: Families = {
    "Algorithms, and keys in the header": tokens_algorithm.ATTACKS,
    "The rest of the header": tokens_header.ATTACKS,
    "Signatures": tokens_signature.ATTACKS,
    "The format of a token": tokens_format.ATTACKS,
    "Issuer and audience": tokens_issuer_and_audience.ATTACKS,
    "Validity period and token type": tokens_type_and_time.ATTACKS,
    "The encoding of claims, and what they grant": tokens_claims.ATTACKS,
    "Rights in roles, not in scopes": tokens_roles.ATTACKS,
    "The provider's keys": keys.ATTACKS,
    "Several issuers, and metadata": issuers.ATTACKS,
    "Introspection responses": introspection.ATTACKS,
}
_REQUESTS: Families = {
    "Credentials and sessions": credentials.ATTACKS,
    "The scopes of tools": scopes.ATTACKS,
    "Host and Origin": host_and_origin.ATTACKS,
    "Bodies": bodies.ATTACKS,
    "More than one client may send": floods.ATTACKS,
}
_WIRE: Families = {"The connection": wire.ATTACKS, "Where a request ends": wire_framing.ATTACKS}
FAMILIES: Families = {**_TOKENS, **_REQUESTS, **_WIRE}


def _rows(families: Families) -> tuple[Attack, ...]:
    return tuple(attack for attacks in families.values() for attack in attacks)


TOKENS, REQUESTS, WIRE = _rows(_TOKENS), _rows(_REQUESTS), _rows(_WIRE)
CORPUS = (*TOKENS, *REQUESTS, *WIRE)
