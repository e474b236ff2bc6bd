"""Reads the issuer that a token names, before anything of the token is verified, to choose the verifier."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from itertools import islice

# Within a JSON string the quotes around iss would be escaped. Both patterns are linear: no two of their parts match the
# same text.
_ISSUER_MEMBER = re.compile(rb'"iss"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}("(?:[^"\\]|\\.){0,2048}+")', re.DOTALL)
_JSON_STRING = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
_MAX_ISSUER_MEMBERS = 8
_JWS_SEGMENTS = 3


def unverified_issuer(token: str, max_bytes: int) -> str:
    """Returns the `iss` claim of a JWT without verifying it.

    Args:
        token: the token as received.
        max_bytes: longer tokens are not parsed.

    Returns:
        The issuer, or "" if the token is too long, is not a JWT, or has no readable `iss`.
    """
    parts = token.split(".", 3) if len(token) <= max_bytes else []
    if len(parts) != _JWS_SEGMENTS:
        return ""
    try:
        return _first_issuer(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return ""


def _first_issuer(payload: bytes) -> str:
    """Returns the first `iss` among the members of a JSON object, without building the other values.

    A payload that is ambiguous or no JSON is rejected by the verifier that is chosen here, when the signature has been
    verified.

    Raises:
        ValueError: the issuer is not a JSON string in UTF-8.
    """
    for found in islice(_ISSUER_MEMBER.finditer(payload), _MAX_ISSUER_MEMBERS):
        before = _JSON_STRING.sub(b"", payload[: found.start()])
        depth = before.count(b"{") + before.count(b"[") - before.count(b"}") - before.count(b"]")
        if depth == 1:
            issuer = json.loads(found[1])
            return issuer if isinstance(issuer, str) else ""
    return ""
