"""The nine holes, tried from outside as a stranger would, on a Keycloak whose administrator asks for it.

`check` judges a realm by what it reads; this tries. It needs the admin client for two things: only who may remove
clients is the owner, and what a trial registers is removed through the admin API at the end, whatever happened.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from scripts.bootstrap.failures import Failure, ProviderUnreachable
from scripts.bootstrap.keycloak import exploits
from scripts.bootstrap.keycloak.actual import find_client
from scripts.bootstrap.keycloak.machines import MACHINE_GRANT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.bootstrap.keycloak.session import Session
    from scripts.bootstrap.settings import BootstrapSettings

PATIENCE = 60  # seconds for an answer: the first login page of a Keycloak that has just started takes long
_CREATED = 201
_OK = 200
_MOST_WORDS = 160
_FETCHED = 400  # to a sector identifier: Keycloak went to fetch it, rather than refusing it (403)


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying one hole.

    Attributes:
        id: S1 to S9.
        open: whether a stranger gets in.
        seen: the answer that says so.
    """

    id: str
    open: bool
    seen: str


@dataclass(slots=True)
class Stranger:
    """Somebody without an account, who registers clients and remembers which.

    Attributes:
        made: client ids, to be removed; those that were asked for stand here before any answer came.
    """

    issuer: str
    http: httpx.Client
    made: list[str] = field(default_factory=list)
    mark: str = field(default_factory=lambda: f"probe-{secrets.token_hex(4)}")

    def register(self, kind: str, body: exploits.Json) -> tuple[int, exploits.Json]:
        """Send `body` to a registration endpoint: the status and the answer."""
        if wanted := body.get("clientId"):
            self.made.append(wanted)
        answer = self.http.post(f"{self.issuer}/clients-registrations/{kind}", json=body)
        found = _object(answer)
        if answer.status_code == _CREATED and (client_id := found.get("client_id")):
            self.made.append(client_id)
        return answer.status_code, found

    def token(self, **form: str) -> tuple[int, exploits.Json]:
        """The token endpoint's answer."""
        answer = self.http.post(f"{self.issuer}/protocol/openid-connect/token", data=form)
        return answer.status_code, _object(answer)

    def sees_a_login_page(self, **query: str) -> bool:
        """Whether the authorization endpoint shows a page of 200 to this request, rather than refusing it."""
        answer = self.http.get(f"{self.issuer}/protocol/openid-connect/auth", params=query)
        return answer.status_code == _OK

    def own_kind(self, what: str, **members: object) -> exploits.Json:
        """A client of Keycloak's own kind that nobody else has the id of."""
        return exploits.own_kind(f"{self.mark}-{what}", **members)


def probe(session: Session, settings: BootstrapSettings, http: httpx.Client) -> list[Trial]:
    """Try all nine, in their order; what was registered is gone when this ends.

    Raises:
        ProviderUnreachable: Keycloak stopped answering.
        Forbidden: the admin client may not make and remove clients, so this is not its Keycloak: nothing was tried.
        Failure: something could not be removed; the text names it.
    """
    stranger = Stranger(settings.internal_url, http)
    _own(session, stranger.mark)
    try:
        return [
            Trial(name, bool(seen.opened), seen.opened or seen.closed)
            for name, attempt in _TRIALS.items()
            for seen in [attempt(stranger, settings)]
        ]
    except httpx.TransportError as error:
        raise ProviderUnreachable("Keycloak stopped answering during the probe") from error
    finally:
        _remove(session, stranger.made)


@dataclass(frozen=True, slots=True)
class _Seen:
    """In words, what was got; else why not."""

    opened: str = ""
    closed: str = ""


if TYPE_CHECKING:
    _Attempt = Callable[[Stranger, BootstrapSettings], _Seen]


def _own(session: Session, mark: str) -> None:
    """Make a client as an administrator and remove it: what could not be removed must not be made by a stranger."""
    session.write("POST", ("clients",), {"clientId": mark, "enabled": False})
    _remove(session, [mark])


def _remove(session: Session, client_ids: list[str]) -> None:
    left = []
    for client_id in dict.fromkeys(client_ids):
        try:
            found = find_client(session, client_id)
            if found is not None:
                session.write("DELETE", ("clients", found["id"]))
        except Failure:
            left.append(client_id)
    if left:
        raise Failure(f"clients of the probe could not be removed, remove them by hand: {', '.join(left)}")


def _a_token_by_itself(stranger: Stranger, settings: BootstrapSettings) -> _Seen:
    """With its scope registered, and without: a registration without scopes may ask for all that the realm offers."""
    scope, closed = settings.access.base_scope, ""
    for members in ({"scope": scope}, {}):
        status, client = stranger.register("openid-connect", {**exploits.BY_ITSELF, **members})
        if status != _CREATED:
            closed = _said(status, client)
            continue
        form = {"client_id": client["client_id"], "client_secret": str(client.get("client_secret"))}
        status, answer = stranger.token(grant_type=MACHINE_GRANT, scope=scope, **form)
        closed = _said(status, answer)
        audience = _claims(str(answer.get("access_token", ""))).get("aud")
        if settings.public_url in (audience if isinstance(audience, list) else [audience]):
            return _Seen(f"a token for {settings.public_url}, without any person")
        if status == _OK:
            closed = "a token without the audience, good for nothing here"
    return _Seen(closed=closed)


def _own_kinds(stranger: Stranger, _: BootstrapSettings) -> _Seen:
    status, answer = stranger.register("default", stranger.own_kind("s2"))
    return _registered(status, answer, "a client with an id of its choice")


def _keeps(what: str, words: str, kept: Callable[[exploits.Json], bool], **members: object) -> _Attempt:
    """A trial that registers a client of Keycloak's own kind with `members` and looks whether they were `kept`."""

    def attempt(stranger: Stranger, _: BootstrapSettings) -> _Seen:
        status, answer = stranger.register("default", stranger.own_kind(what, **members))
        if status == _CREATED and not kept(answer):
            return _Seen(closed="registered without it")
        return _registered(status, answer, words)

    return attempt


def _relative(stranger: Stranger, _: BootstrapSettings) -> _Seen:
    return _first(
        stranger, ((uri, exploits.native(redirect_uris=[uri])) for uri in exploits.RELATIVE_REDIRECTS), "redirects to"
    )


def _addresses(stranger: Stranger, _: BootstrapSettings) -> _Seen:
    bodies = ((member, exploits.with_address(member)) for member in exploits.ADDRESSES)
    return _first(stranger, bodies, "a foreign address in")


def _flows(stranger: Stranger, _: BootstrapSettings) -> _Seen:
    """The implicit flow: the one whose end shows before anybody has logged in."""
    body = exploits.native(grant_types=["implicit"], response_types=["token"])
    status, client = stranger.register("openid-connect", body)
    if status != _CREATED:
        return _Seen(closed=_said(status, client))
    query = {"client_id": client["client_id"], "redirect_uri": exploits.REDIRECT, "scope": "openid", "nonce": "n"}
    if stranger.sees_a_login_page(response_type="token", **query):
        return _Seen("the login page, for a token in the URL")
    return _Seen(closed="the implicit flow is refused")


_TRIALS: dict[str, _Attempt] = {
    "S1": _a_token_by_itself,
    "S2": _own_kinds,
    "S3": _keeps(
        "s3",
        "a client with a mapper that writes sub",
        lambda client: any(mapper.get("name") == "sub" for mapper in client.get("protocolMappers") or []),
        protocolMappers=[exploits.FORGING],
    ),
    "S4": _keeps(
        "s4",
        "a client whose tokens live for ten years",
        lambda client: exploits.ETERNAL.items() <= (client.get("attributes") or {}).items(),
        attributes=exploits.ETERNAL,
    ),
    "S5": _keeps(
        "s5",
        "a client whose tokens are signed with a shared secret",
        lambda client: exploits.SHARED_SECRET.items() <= (client.get("attributes") or {}).items(),
        attributes=exploits.SHARED_SECRET,
    ),
    "S6": _relative,
    "S7": _addresses,
    "S8": _keeps(
        "s8",
        "a client with a name of Keycloak's own",
        lambda client: client.get("name") == exploits.SPOOFED_NAME,
        name=exploits.SPOOFED_NAME,
    ),
    "S9": _flows,
}


def _first(stranger: Stranger, bodies: Iterator[tuple[str, exploits.Json]], words: str) -> _Seen:
    """The first of several registrations that is taken, or is answered as if its address had been fetched."""
    closed = ""
    for name, body in bodies:
        status, answer = stranger.register("openid-connect", body)
        if status == _CREATED or (status == _FETCHED and name == "sector_identifier_uri"):
            return _Seen(f"{words} {name}: {status}")
        closed = _said(status, answer)
    return _Seen(closed=closed)


def _registered(status: int, answer: exploits.Json, words: str) -> _Seen:
    return _Seen(words) if status == _CREATED else _Seen(closed=_said(status, answer))


def _said(status: int, answer: exploits.Json) -> str:
    words = str(answer.get("error_description") or answer.get("error") or "")
    return f"{status} {words[:_MOST_WORDS]}".strip()


def _object(answer: httpx.Response) -> exploits.Json:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _claims(token: str) -> exploits.Json:
    """The payload of a token that the provider has just handed out, not verified."""
    try:
        payload = token.split(".")[1]
        value = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
