"""Registration requests that may succeed but must not get what they request."""

from __future__ import annotations

import json
from typing import Any

from tests.client_compat.malicious_registrations import EVIL, GOOD, Hostile

_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_GRANT = "RFC 9700 section 2.4"


def _row(name: str, source: str, /, **members: Any) -> Hostile:
    return Hostile(name, source, json.dumps({"redirect_uris": [GOOD], **members}).encode())


NARROWED = (
    _row(
        "client_credentials, with a secret",
        "weakness S1",
        grant_types=["client_credentials"],
        token_endpoint_auth_method="client_secret_post",
        scope="mcp:tools",
    ),
    _row(
        "the password grant", _GRANT, grant_types=["password", "authorization_code"], token_endpoint_auth_method="none"
    ),
    _row("the implicit grant", "RFC 9700 section 2.1.2", grant_types=["implicit"], response_types=["token"]),
    _row("a token beside the code", "RFC 9700 section 2.1.2", response_types=["code id_token token"]),
    _row("a device code", "RFC 8628 section 5.4", grant_types=[_DEVICE]),
    _row("token exchange", "RFC 8693 section 5", grant_types=[_EXCHANGE]),
    _row(
        "a key of its own in place of a secret",
        "RFC 7523",
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": []},
    ),
    _row("unsigned ID tokens", "RFC 8725 section 3.2", id_token_signed_response_alg="none"),
    _row("unsigned request objects", "RFC 9101 section 10.1", request_object_signing_alg="none"),
    _row("a subject of its own", "OpenID Connect Core section 8", subject_type="pairwise"),
    _row("markup for a name", "weakness S8", client_name="<script>alert(1)</script>"),
    _row("another client's name", "RFC 7591 section 5", client_name="Visual Studio Code"),
    _row("an empty list of redirect URIs", "weakness S6", redirect_uris=[]),
    _row("every scope there is", "RFC 6749 section 3.3", scope="mcp:tools mcp:notes.read mcp:notes.write mcp:admin"),
    Hostile("nothing at all", "weakness S6", b"{}"),
    Hostile(
        "the redirect URIs twice, the foreign one first",
        "RFC 8259 section 4",
        f'{{"redirect_uris":["{EVIL}"],"redirect_uris":["{GOOD}"]}}'.encode(),
    ),
)
