"""How each of the nine holes is tried: what a stranger sends, and by which answer it is open."""

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
_FETCHED = 400  # to a sector identifier: Keycloak went to fetch it, rather than refusing it (403)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """In words, what was got; else why not."""

    opened: str = ""
    closed: str = ""


def _a_token_by_itself(anonymous_client: AnonymousClient, settings: KeycloakSettings) -> CaseResult:
    """With its scope registered, and without: a registration without scopes may ask for all that the realm offers."""
    scope, closed = settings.access.base_scope, ""
    for members in ({"scope": scope}, {}):
        status, client = anonymous_client.register(STANDARD, {**payloads.BY_ITSELF, **members})
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


def _own_kinds(anonymous_client: AnonymousClient, _: KeycloakSettings) -> CaseResult:
    status, response = anonymous_client.register("default", anonymous_client.own_kind("s2"))
    return _registered(status, response, "a client with an id of its choice")


def _case_stores_member(
    what: str, words: str, is_stored: Callable[[payloads.Json], bool], **members: object
) -> ProbeCase:
    """A trial that registers a client of Keycloak's own kind with `members` and looks whether they were `is_stored`."""

    def run_case(anonymous_client: AnonymousClient, _: KeycloakSettings) -> CaseResult:
        status, response = anonymous_client.register("default", anonymous_client.own_kind(what, **members))
        if status == CREATED and not is_stored(response):
            return CaseResult(closed="registered without it")
        return _registered(status, response, words)

    return run_case


def _relative(anonymous_client: AnonymousClient, _: KeycloakSettings) -> CaseResult:
    return _first(
        anonymous_client,
        ((uri, payloads.native(redirect_uris=[uri])) for uri in payloads.RELATIVE_REDIRECTS),
        "redirects to",
    )


def _addresses(anonymous_client: AnonymousClient, _: KeycloakSettings) -> CaseResult:
    bodies = ((member, payloads.with_address(member)) for member in payloads.ADDRESSES)
    return _first(anonymous_client, bodies, "a foreign address in")


def _flows(anonymous_client: AnonymousClient, _: KeycloakSettings) -> CaseResult:
    """The implicit flow: the one whose end shows before anybody has logged in."""
    body = payloads.native(grant_types=["implicit"], response_types=["token"])
    status, client = anonymous_client.register(STANDARD, body)
    if status != CREATED:
        return CaseResult(closed=_format_response(status, client))
    query = {"client_id": client["client_id"], "redirect_uri": payloads.REDIRECT, "scope": "openid", "nonce": "n"}
    if anonymous_client.sees_a_login_page(response_type="token", **query):
        return CaseResult("the login page, for a token in the URL")
    return CaseResult(closed="the implicit flow is rejected")


PROBE_CASES: dict[str, ProbeCase] = {
    "S1": _a_token_by_itself,
    "S2": _own_kinds,
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
    "S6": _relative,
    "S7": _addresses,
    "S8": _case_stores_member(
        "s8",
        "a client with a name of Keycloak's own",
        lambda client: client.get("name") == payloads.SPOOFED_NAME,
        name=payloads.SPOOFED_NAME,
    ),
    "S9": _flows,
}


def _first(anonymous_client: AnonymousClient, bodies: Iterator[tuple[str, payloads.Json]], words: str) -> CaseResult:
    """The first of several registrations that is taken, or is answered as if its address had been fetched."""
    closed = ""
    for name, body in bodies:
        status, response = anonymous_client.register(STANDARD, body)
        if status == CREATED or (status == _FETCHED and name == "sector_identifier_uri"):
            return CaseResult(f"{words} {name}: {status}")
        closed = _format_response(status, response)
    return CaseResult(closed=closed)


def _registered(status: int, response: payloads.Json, words: str) -> CaseResult:
    return CaseResult(words) if status == CREATED else CaseResult(closed=_format_response(status, response))


def _format_response(status: int, response: payloads.Json) -> str:
    words = str(response.get("error_description") or response.get("error") or "")
    return f"{status} {words[:_MAX_MESSAGE_CHARACTERS]}".strip()


def _claims(token: str) -> payloads.Json:
    """The payload of a token that the provider has just handed out, not verified."""
    try:
        payload = token.split(".")[1]
        value = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
