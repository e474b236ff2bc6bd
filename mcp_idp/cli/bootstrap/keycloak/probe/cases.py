"""How each of the nine holes is tried: what a stranger sends, and by which answer it is open."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.keycloak.probe import payloads
from mcp_idp.cli.bootstrap.keycloak.probe.anonymous_client import CREATED, OK, STANDARD
from mcp_idp.cli.bootstrap.keycloak.resources.service_clients import MACHINE_GRANT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_idp.cli.bootstrap.keycloak.probe.anonymous_client import Stranger
    from mcp_idp.cli.bootstrap.keycloak.settings import BootstrapSettings

    Attempt = Callable[[Stranger, BootstrapSettings], "Seen"]

_MOST_WORDS = 160
_FETCHED = 400  # to a sector identifier: Keycloak went to fetch it, rather than refusing it (403)


@dataclass(frozen=True, slots=True)
class Seen:
    """In words, what was got; else why not."""

    opened: str = ""
    closed: str = ""


def _a_token_by_itself(stranger: Stranger, settings: BootstrapSettings) -> Seen:
    """With its scope registered, and without: a registration without scopes may ask for all that the realm offers."""
    scope, closed = settings.access.base_scope, ""
    for members in ({"scope": scope}, {}):
        status, client = stranger.register(STANDARD, {**payloads.BY_ITSELF, **members})
        if status != CREATED:
            closed = _said(status, client)
            continue
        form = {"client_id": client["client_id"], "client_secret": str(client.get("client_secret"))}
        status, answer = stranger.token(grant_type=MACHINE_GRANT, scope=scope, **form)
        closed = _said(status, answer)
        audience = _claims(str(answer.get("access_token", ""))).get("aud")
        if settings.public_url in (audience if isinstance(audience, list) else [audience]):
            return Seen(f"a token for {settings.public_url}, without any person")
        if status == OK:
            closed = "a token without the audience, good for nothing here"
    return Seen(closed=closed)


def _own_kinds(stranger: Stranger, _: BootstrapSettings) -> Seen:
    status, answer = stranger.register("default", stranger.own_kind("s2"))
    return _registered(status, answer, "a client with an id of its choice")


def _keeps(what: str, words: str, kept: Callable[[payloads.Json], bool], **members: object) -> Attempt:
    """A trial that registers a client of Keycloak's own kind with `members` and looks whether they were `kept`."""

    def attempt(stranger: Stranger, _: BootstrapSettings) -> Seen:
        status, answer = stranger.register("default", stranger.own_kind(what, **members))
        if status == CREATED and not kept(answer):
            return Seen(closed="registered without it")
        return _registered(status, answer, words)

    return attempt


def _relative(stranger: Stranger, _: BootstrapSettings) -> Seen:
    return _first(
        stranger, ((uri, payloads.native(redirect_uris=[uri])) for uri in payloads.RELATIVE_REDIRECTS), "redirects to"
    )


def _addresses(stranger: Stranger, _: BootstrapSettings) -> Seen:
    bodies = ((member, payloads.with_address(member)) for member in payloads.ADDRESSES)
    return _first(stranger, bodies, "a foreign address in")


def _flows(stranger: Stranger, _: BootstrapSettings) -> Seen:
    """The implicit flow: the one whose end shows before anybody has logged in."""
    body = payloads.native(grant_types=["implicit"], response_types=["token"])
    status, client = stranger.register(STANDARD, body)
    if status != CREATED:
        return Seen(closed=_said(status, client))
    query = {"client_id": client["client_id"], "redirect_uri": payloads.REDIRECT, "scope": "openid", "nonce": "n"}
    if stranger.sees_a_login_page(response_type="token", **query):
        return Seen("the login page, for a token in the URL")
    return Seen(closed="the implicit flow is refused")


TRIALS: dict[str, Attempt] = {
    "S1": _a_token_by_itself,
    "S2": _own_kinds,
    "S3": _keeps(
        "s3",
        "a client with a mapper that writes sub",
        lambda client: any(mapper.get("name") == "sub" for mapper in client.get("protocolMappers") or []),
        protocolMappers=[payloads.FORGING],
    ),
    "S4": _keeps(
        "s4",
        "a client whose tokens live for ten years",
        lambda client: payloads.ETERNAL.items() <= (client.get("attributes") or {}).items(),
        attributes=payloads.ETERNAL,
    ),
    "S5": _keeps(
        "s5",
        "a client whose tokens are signed with a shared secret",
        lambda client: payloads.SHARED_SECRET.items() <= (client.get("attributes") or {}).items(),
        attributes=payloads.SHARED_SECRET,
    ),
    "S6": _relative,
    "S7": _addresses,
    "S8": _keeps(
        "s8",
        "a client with a name of Keycloak's own",
        lambda client: client.get("name") == payloads.SPOOFED_NAME,
        name=payloads.SPOOFED_NAME,
    ),
    "S9": _flows,
}


def _first(stranger: Stranger, bodies: Iterator[tuple[str, payloads.Json]], words: str) -> Seen:
    """The first of several registrations that is taken, or is answered as if its address had been fetched."""
    closed = ""
    for name, body in bodies:
        status, answer = stranger.register(STANDARD, body)
        if status == CREATED or (status == _FETCHED and name == "sector_identifier_uri"):
            return Seen(f"{words} {name}: {status}")
        closed = _said(status, answer)
    return Seen(closed=closed)


def _registered(status: int, answer: payloads.Json, words: str) -> Seen:
    return Seen(words) if status == CREATED else Seen(closed=_said(status, answer))


def _said(status: int, answer: payloads.Json) -> str:
    words = str(answer.get("error_description") or answer.get("error") or "")
    return f"{status} {words[:_MOST_WORDS]}".strip()


def _claims(token: str) -> payloads.Json:
    """The payload of a token that the provider has just handed out, not verified."""
    try:
        payload = token.split(".")[1]
        value = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
