"""The probe cases for S1 to S9: what an unauthenticated client sends, and which response shows the weakness."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.keycloak.probe import payloads
from mcp_idp.cli.bootstrap.keycloak.probe.anonymous_client import CREATED, OK, STANDARD
from mcp_idp.cli.bootstrap.keycloak.resources.service_clients import CLIENT_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_idp.cli.bootstrap.keycloak.probe.anonymous_client import AnonymousClient
    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings

    ProbeCase = Callable[[AnonymousClient, KeycloakSettings], "CaseResult"]

_MAX_MESSAGE_CHARACTERS = 160
_FETCHED = 400  # Keycloak tried to fetch the sector identifier; it rejects one without fetching with 403


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of a probe case.

    Attributes:
        opened: what the probe obtained, in words; empty if the weakness is absent.
        closed: how Keycloak rejected it, in words.
    """

    opened: str = ""
    closed: str = ""


def _token_without_user(anonymous_client: AnonymousClient, settings: KeycloakSettings) -> CaseResult:
    """Requests a token without a user, with the scope in the registration and without.

    A registration without scopes may request every scope that the realm offers.
    """
    scope, closed = settings.access.base_scope, ""
    for members in ({"scope": scope}, {}):
        status, client = anonymous_client.register(STANDARD, {**payloads.SERVICE_CLIENT, **members})
        if status != CREATED:
            closed = _format_response(status, client)
            continue
        form = {"client_id": client["client_id"], "client_secret": str(client.get("client_secret"))}
        status, response = anonymous_client.token(grant_type=CLIENT_CREDENTIALS, scope=scope, **form)
        closed = _format_response(status, response)
        audience = _claims(str(response.get("access_token", ""))).get("aud")
        if settings.public_url in (audience if isinstance(audience, list) else [audience]):
            return CaseResult(f"a token for {settings.public_url}, without any user")
        if status == OK:
            closed = "a token without the audience, not valid here"
    return CaseResult(closed=closed)


def _native_format(anonymous_client: AnonymousClient, _: KeycloakSettings) -> CaseResult:
    status, response = anonymous_client.register("default", anonymous_client.client_representation("s2"))
    return _registration_result(status, response, "a client with an id of its choice")


def _case_stores_member(
    suffix: str, outcome: str, is_stored: Callable[[payloads.Json], bool], **members: object
) -> ProbeCase:
    """Builds a probe case that registers a client in Keycloak's own format and checks which members are stored.

    Args:
        suffix: suffix of the client id.
        outcome: the result in words if the members are stored.
        is_stored: checks the client representation in the response.
        members: the members to send.
    """

    def run_case(anonymous_client: AnonymousClient, _: KeycloakSettings) -> CaseResult:
        status, response = anonymous_client.register(
            "default", anonymous_client.client_representation(suffix, **members)
        )
        if status == CREATED and not is_stored(response):
            return CaseResult(closed="registered without it")
        return _registration_result(status, response, outcome)

    return run_case


def _relative_redirects(anonymous_client: AnonymousClient, _: KeycloakSettings) -> CaseResult:
    return _first_accepted(
        anonymous_client,
        ((uri, payloads.native(redirect_uris=[uri])) for uri in payloads.RELATIVE_REDIRECTS),
        "redirects to",
    )


def _third_party_urls(anonymous_client: AnonymousClient, _: KeycloakSettings) -> CaseResult:
    bodies = ((member, payloads.with_third_party_url(member)) for member in payloads.URL_MEMBERS)
    return _first_accepted(anonymous_client, bodies, "a third-party URL in")


def _implicit_flow(anonymous_client: AnonymousClient, _: KeycloakSettings) -> CaseResult:
    """Tries the implicit flow, the only one of S9 whose acceptance shows before a user has logged in."""
    body = payloads.native(grant_types=["implicit"], response_types=["token"])
    status, client = anonymous_client.register(STANDARD, body)
    if status != CREATED:
        return CaseResult(closed=_format_response(status, client))
    query = {"client_id": client["client_id"], "redirect_uri": payloads.REDIRECT, "scope": "openid", "nonce": "n"}
    if anonymous_client.gets_login_page(response_type="token", **query):
        return CaseResult("the login page, for a token in the URL")
    return CaseResult(closed="the implicit flow is rejected")


PROBE_CASES: dict[str, ProbeCase] = {
    "S1": _token_without_user,
    "S2": _native_format,
    "S3": _case_stores_member(
        "s3",
        "a client with a mapper that writes sub",
        lambda client: any(mapper.get("name") == "sub" for mapper in client.get("protocolMappers") or []),
        protocolMappers=[payloads.SUB_FORGING_MAPPER],
    ),
    "S4": _case_stores_member(
        "s4",
        "a client whose tokens are valid for ten years",
        lambda client: payloads.TEN_YEAR_LIFETIME.items() <= (client.get("attributes") or {}).items(),
        attributes=payloads.TEN_YEAR_LIFETIME,
    ),
    "S5": _case_stores_member(
        "s5",
        "a client whose tokens are signed with a shared secret",
        lambda client: payloads.SHARED_SECRET.items() <= (client.get("attributes") or {}).items(),
        attributes=payloads.SHARED_SECRET,
    ),
    "S6": _relative_redirects,
    "S7": _third_party_urls,
    "S8": _case_stores_member(
        "s8",
        "a client with a name of Keycloak's own",
        lambda client: client.get("name") == payloads.SPOOFED_NAME,
        name=payloads.SPOOFED_NAME,
    ),
    "S9": _implicit_flow,
}


def _first_accepted(
    anonymous_client: AnonymousClient, bodies: Iterator[tuple[str, payloads.Json]], outcome: str
) -> CaseResult:
    """Sends several registrations and returns the first that is accepted.

    A `sector_identifier_uri` also counts if the response shows that Keycloak tried to fetch it.
    """
    closed = ""
    for name, body in bodies:
        status, response = anonymous_client.register(STANDARD, body)
        if status == CREATED or (status == _FETCHED and name == "sector_identifier_uri"):
            return CaseResult(f"{outcome} {name}: {status}")
        closed = _format_response(status, response)
    return CaseResult(closed=closed)


def _registration_result(status: int, response: payloads.Json, outcome: str) -> CaseResult:
    return CaseResult(outcome) if status == CREATED else CaseResult(closed=_format_response(status, response))


def _format_response(status: int, response: payloads.Json) -> str:
    message = str(response.get("error_description") or response.get("error") or "")
    return f"{status} {message[:_MAX_MESSAGE_CHARACTERS]}".strip()


def _claims(token: str) -> payloads.Json:
    """Decodes the payload of a token that the provider has just issued, without verification."""
    try:
        payload = token.split(".")[1]
        value = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
