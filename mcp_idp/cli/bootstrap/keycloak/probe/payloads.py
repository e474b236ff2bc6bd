"""What strangers send through the nine holes of the usual recipe, as data: the tests and the probe send the same.

Each was reproduced on Keycloak 26.7.5 with open registration as tutorials set it up; docs/keycloak.md tells what an
attacker gains. "Own kind" is a client in Keycloak's own representation, which the endpoint `default` takes; the others
are registrations as RFC 7591 has them. The foreign host ends with `invalid` (RFC 2606): nobody is there to be asked.
"""

from __future__ import annotations

from typing import Any

from mcp_idp.cli.bootstrap.keycloak.resources.service_clients import CLIENT_CREDENTIALS

Json = dict[str, Any]

REDIRECT = "http://127.0.0.1:33333/callback"
FOREIGN_REDIRECT_URI = "https://probe.invalid/x"

# S1
BY_ITSELF: Json = {
    "redirect_uris": [REDIRECT],
    "grant_types": [CLIENT_CREDENTIALS],
    "token_endpoint_auth_method": "client_secret_post",
}
# S3: another person's `sub`, from a member of the profile that everybody may write themselves
SUB_FORGING_MAPPER: Json = {
    "name": "sub",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-usermodel-property-mapper",
    "config": {"user.attribute": "firstName", "claim.name": "sub", "access.token.claim": "true"},
}
TEN_YEAR_LIFETIME: Json = {"access.token.lifespan": "315360000"}  # S4, in seconds
SHARED_SECRET: Json = {"access.token.signed.response.alg": "HS256"}  # S5
RELATIVE_REDIRECTS = ("/callback", "callback", "//evil.example/callback", "/*")  # S6
# S7: members that hold one address, or a list of them
ADDRESSES = (
    "logo_uri",
    "tos_uri",
    "policy_uri",
    "jwks_uri",
    "sector_identifier_uri",
    "backchannel_logout_uri",
    "request_uris",
    "post_logout_redirect_uris",
    "frontchannel_logout_uri",
    "backchannel_client_notification_endpoint",
    "client_uri",
)
SPOOFED_NAME = "${client_account}"  # S8: Keycloak's word for its own account page, in the reader's language
IMPLICIT_TYPES = ("token", "id_token token", "code token")  # S9


def own_kind(client_id: str, **members: object) -> Json:
    """A client of Keycloak's own kind with an id of the sender's choice."""
    return {"clientId": client_id, "publicClient": True, "redirectUris": [REDIRECT], **members}


def native(**members: object) -> Json:
    """A registration as programs on people's machines send it."""
    return {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none", **members}


def with_address(member: str) -> Json:
    """One that names a foreign address in `member`."""
    return native(**{member: [FOREIGN_REDIRECT_URI] if member.endswith("uris") else FOREIGN_REDIRECT_URI})
