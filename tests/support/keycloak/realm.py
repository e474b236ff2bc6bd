"""A real Keycloak for tests, started once, with realms created by the bootstrap, and logins without a browser.

with running_keycloak() as server:
    realm = bootstrapped(server, tmp_path)
    client = realm.register(redirect_uris=["http://127.0.0.1:33333/callback"], scope="mcp:tools")
    token = realm.log_in("reader", client["client_id"], scope="mcp:tools")["access_token"]
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx

from mcp_idp.cli.bootstrap.errors import BootstrapError
from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
from mcp_idp.cli.bootstrap.keycloak.runner import run_apply
from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Another release, to test the supported range: KEYCLOAK_VERSION=26.5.6 ./scripts/test tests/integration/…
VERSION = os.environ.get("KEYCLOAK_VERSION", "26.7.5")
IMAGE = f"quay.io/keycloak/keycloak:{VERSION}"
REPOSITORY = Path(__file__).parents[3]
REDIRECT = "http://127.0.0.1:33333/callback"
PUBLIC_URL = "http://localhost:9/mcp"  # no server of ours can listen there: `apply` checks whether the server is up
_READY_SECONDS = 480  # long because the machine may be busy
_PATIENT = partial(httpx.request, timeout=60)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Keycloak:
    """A running Keycloak, reachable from this machine only.

    Attributes:
        url: the base URL, as in its issuers.
        admin_secret: the secret of the admin client `bootstrap`.
        request: sends a request.
    """

    url: str
    admin_secret: str = field(repr=False)
    request: Callable[..., httpx.Response] = _PATIENT


@contextmanager
def running_keycloak(
    switches: Mapping[str, str | None] | None = None, *, ca: Path | None = None, hosts: tuple[str, ...] = ()
) -> Iterator[Keycloak]:
    """Starts Keycloak as in docker-compose.yml, with its issuer at a free port; stops it at the end.

    Args:
        switches: environment variables to replace, or to remove if None.
        ca: a folder with the certificate (`ca.pem`) of a CA to trust.
        hosts: host names that resolve to this machine inside the container.
    """
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - contacts the engine at import

    port, management = _free_port(), _free_port()
    url, secret = f"http://localhost:{port}", secrets.token_urlsafe(32)
    image, command = (IMAGE, "start-dev") if switches else (_built_image(), "start --optimized")
    # More memory than with compose, because one server has the realms of all tests.
    container = DockerContainer(image, command=command, mem_limit="1536m")
    # On loopback only; the methods of testcontainers publish on all addresses.
    published: dict[str, Any] = {"8080": ("127.0.0.1", port), "9000": ("127.0.0.1", management)}
    container.ports.update(published)
    # Variables that compose would substitute get their default: empty, or the value below.
    compose = {n: v for n, v in _compose_environment().items() if n.startswith("KC_") and "${" not in v}
    container.env = {
        **compose,
        "KC_HOSTNAME": url,
        "KC_BOOTSTRAP_ADMIN_CLIENT_ID": "bootstrap",
        "KC_BOOTSTRAP_ADMIN_CLIENT_SECRET": secret,
    }
    for name, value in (switches or {}).items():
        container.env.pop(name, None)
        container.env |= {} if value is None else {name: value}
    if ca is not None:
        container.with_volume_mapping(str(ca), "/ca", "ro").with_env("KC_TRUSTSTORE_PATHS", "/ca/ca.pem")
    container.with_kwargs(extra_hosts=dict.fromkeys(hosts, "host-gateway"))
    try:
        container.start()
        _wait_until_ready(f"http://127.0.0.1:{management}/health/ready")
        yield Keycloak(url, secret)
    finally:
        container.stop()


def _built_image() -> str:
    """Builds the image of docker-compose.yml, which starts faster than `start-dev`; returns its id."""
    options = {**_compose_service()["build"]["args"], "KEYCLOAK_VERSION": VERSION}
    arguments = [f"--build-arg={name}={value}" for name, value in options.items()]
    built = subprocess.run(
        ["docker", "build", "--quiet", *arguments, REPOSITORY / "idp-config/keycloak"],
        check=True,
        capture_output=True,
        text=True,
    )
    return built.stdout.strip()


def _compose_environment() -> dict[str, str]:
    """Returns Keycloak's environment from docker-compose.yml, so that the tests use the same options."""
    environment: dict[str, str] = _compose_service()["environment"]
    return environment


def _compose_service() -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - needed here only

    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))
    service: dict[str, Any] = compose["services"]["keycloak"]
    return service


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=2, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)  # polls, because the process does not signal that it is ready
    raise TimeoutError(f"Keycloak was not ready after {_READY_SECONDS} s")


def bootstrapped(server: Keycloak, folder: Path, name: str | None = None, **access: Any) -> Realm:
    """Creates a realm with `scripts/bootstrap_idp.py apply` from our access file.

    Args:
        server: the Keycloak server.
        folder: the folder for the realm's access file and secret.
        name: the name of the realm; by default a unique one.
        access: members of the access file to replace, such as `registration={"profile": "closed"}`.
    """
    realm = Realm(server, folder, name or f"test-{secrets.token_hex(4)}")
    realm.write_access(**access)
    realm.apply()
    return realm


@dataclass(slots=True)
class Realm:
    """A realm, and the operations of tests on it."""

    server: Keycloak
    folder: Path
    name: str
    public_url: str = PUBLIC_URL
    message: list[str] = field(default_factory=list)
    names_itself: bool = True

    @property
    def issuer(self) -> str:
        return f"{self.server.url}/realms/{self.name}"

    @property
    def token_url(self) -> str:
        return f"{self.issuer}/protocol/openid-connect/token"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the bootstrap command for this realm."""
        return {
            "OAUTH_SERVER_URL": self.issuer,
            "MCP_PUBLIC_URL": self.public_url,
            "KEYCLOAK_ADMIN_CLIENT_SECRET": self.server.admin_secret,
            "OAUTH_CLIENT_SECRET_FILE": str(self.folder / "client-secret"),
            "ACCESS_FILE": str(self.folder / "access.yaml"),
        }

    @property
    def client_secret(self) -> str:
        """The secret of the introspection client."""
        return (self.folder / "client-secret").read_text(encoding="utf-8").strip()

    def write_access(self, **members: Any) -> None:
        """Writes our access file with some members replaced, and Keycloak's files next to it."""
        import yaml  # noqa: PLC0415 - needed here only

        source = REPOSITORY / "idp-config"
        content = yaml.safe_load((source / "access.yaml").read_text(encoding="utf-8"))
        registration = {**content["registration"], **members.pop("registration", {})}
        (self.folder / "access.yaml").write_text(
            yaml.safe_dump({**content, **members, "registration": registration}, sort_keys=False)
        )
        (self.folder / "keycloak").mkdir(exist_ok=True)
        for file in (source / "keycloak").glob("*.yaml"):
            (self.folder / "keycloak" / file.name).write_bytes(file.read_bytes())

    def apply(self, *, internal_url: str | None = None, try_registration: bool = False, moved_from: str = "") -> int:
        """Runs `apply` and returns the number of changes. Its output lines are in `message`."""
        self.message.clear()
        variables = {**self.environment, "OAUTH_INTERNAL_URL": internal_url or self.issuer}
        settings = replace(KeycloakSettings.load(variables), moved_from=moved_from)
        return run_apply(settings, wait=30, try_registration=try_registration, log=self.message.append)

    def admin(self) -> AdminClient:
        """Returns a client of this realm's admin API."""
        session = AdminClient(KeycloakSettings.load(self.environment))
        session.log_in(30)
        return session

    def delete(self) -> None:
        """Deletes the realm, if it and its administrator still exist."""
        with suppress(BootstrapError):
            self.admin().write("DELETE", ())

    def register(self, **metadata: Any) -> Json:
        """Registers a client without credentials (RFC 7591); returns the members of the response and its `status`."""
        return self.post_client("openid-connect", {"token_endpoint_auth_method": "none", **metadata})

    def send_registration(self, body: Json, initial_access_token: str | None = None) -> Json:
        """Registers a client with exactly this body, and with an initial access token if given."""
        return self.post_client("openid-connect", body, initial_access_token)

    def post_client(self, provider: str, body: Json, token: str | None = None) -> Json:
        """Sends `body` to a registration endpoint."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.issuer}/clients-registrations/{provider}"
        response = self.server.request("POST", url, json=body, headers=headers)
        return {"status": response.status_code, **response.json()}

    def token(self, **form: str) -> Json:
        """Sends a request to the token endpoint; returns the status and the JSON members, or a proxy's `text`."""
        response = self.server.request("POST", self.token_url, data=form)
        is_json = "json" in response.headers.get("content-type", "")
        return {"status": response.status_code, **(response.json() if is_json else {"text": response.text[:200]})}

    def introspect(self, token: str) -> Json:
        """Introspects `token` as our server does (RFC 7662)."""
        form = {"token": token, "client_id": self.public_url, "client_secret": self.client_secret}
        url = f"{self.issuer}/protocol/openid-connect/token/introspect"
        response: Json = self.server.request("POST", url, data=form).json()
        return response

    def authorize(self, user: str | Visit, **parameters: str) -> Json:
        """Logs in as `user` and consents; returns the parameters of the redirect.

        Args:
            user: a user name for a new login, or a `browser` in which a user may already be logged in.
            parameters: parameters of the authorization request.

        Without a redirect, the text of the page is in `page`.
        """
        query = {"response_type": "code", "redirect_uri": REDIRECT, "state": "st", **parameters}
        url = f"{self.issuer}/protocol/openid-connect/auth?{urlencode(query)}"
        return (user if isinstance(user, Visit) else self.browser(user)).go(url, query["redirect_uri"])

    def visit(self, user: str, url: str) -> Json:
        """Opens `url` as `user`, logs in and consents; returns the text of the last page."""
        return self.browser(user).go(url, "")

    def follow(self, user: str, url: str) -> Json:
        """Opens an authorization `url` as `user`, logs in and consents; returns the parameters of the redirect."""
        (redirect_uri,) = parse_qs(urlsplit(url).query)["redirect_uri"]
        return self.browser(user).go(url, redirect_uri)

    def consent_page(self, user: str, client_id: str, *, scope: str) -> str:
        """Returns the HTML of the consent page for `user`."""
        query = {
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "client_id": client_id,
            "scope": scope,
            "code_challenge": "x" * 43,
            "code_challenge_method": "S256",
        }
        url = f"{self.issuer}/protocol/openid-connect/auth?{urlencode(query)}"
        page: str = self.browser(user, agree=False).go(url, REDIRECT)["html"]
        return page

    def browser(self, user: str, *, agree: bool = True) -> Visit:
        """Returns a browser for `user`, which keeps cookies between pages."""
        return Visit(user, self.server.request, agree=agree)

    def log_in(self, user: str | Visit, client_id: str, *, scope: str, **form: str) -> Json:
        """Runs the authorization code flow with PKCE; returns the token response."""
        verifier, pkce = pkce_pair()
        redirect_uri = form.get("redirect_uri", REDIRECT)
        back = self.authorize(user, client_id=client_id, scope=scope, redirect_uri=redirect_uri, **pkce)
        if "code" not in back:
            return back
        form = {"redirect_uri": REDIRECT, **form}
        return self.token(
            grant_type="authorization_code", code=back["code"], client_id=client_id, code_verifier=verifier, **form
        )


def pkce_pair() -> tuple[str, dict[str, str]]:
    """Returns a new code verifier and the parameters of its challenge (RFC 7636 section 4)."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return verifier, {"code_challenge": challenge, "code_challenge_method": "S256"}


def is_valid_for(token: Json, seconds: int) -> bool:
    """Tells whether these claims are valid for so many seconds; Keycloak reads the clock anew for `iat` and `exp`."""
    lifetime: int = token["exp"] - token["iat"]
    return seconds <= lifetime <= seconds + 2


def claims(token: str) -> Json:
    """Returns the payload of a token without verification; the provider has just issued it."""
    payload = token.split(".")[1]
    decoded: Json = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


class Visit:
    """A user at Keycloak's pages: fills in the login form and submits the consent form.

    It handles cookies itself: Keycloak marks them Secure over http too, which browsers accept on localhost, but HTTP
    clients do not send them back.
    """

    def __init__(self, user: str, request: Callable[..., httpx.Response], *, agree: bool = True) -> None:
        self._user = user
        self._request = request
        self._agree = agree
        self._cookies: dict[str, str] = {}

    def go(self, url: str, end: str) -> Json:
        method, form = "GET", None
        for _ in range(12):
            if re.split("[?#]", url)[0] == end:
                parameters = parse_qs(urlsplit(url).query or urlsplit(url).fragment)
                return {name: values[0] for name, values in parameters.items()}
            response = self._send(method, url, form)
            method, form = "GET", None
            if response.has_redirect_location:
                url = urljoin(url, response.headers["location"])
                continue
            action = re.search(r'<form[^>]*action="([^"]+)"', response.text)
            is_consent_page = 'name="accept"' in response.text
            if action is None or (is_consent_page and not self._agree):
                return {"status": response.status_code, "page": _text(response.text), "html": response.text}
            method, url, form = "POST", urljoin(url, unescape(action[1])), self._fill(response.text)
        raise AssertionError("the login goes round in circles")

    def _send(self, method: str, url: str, form: dict[str, str] | None) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        response = self._request(method, url, data=form, headers={"Cookie": cookie} if cookie else {})
        for line in response.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            self._cookies[name] = rest.partition(";")[0]
        return response

    def _fill(self, page: str) -> dict[str, str]:
        inputs = [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in re.findall(r"<input[^>]*>", page)]
        hidden = {tag["name"]: unescape(tag.get("value", "")) for tag in inputs if tag.get("type") == "hidden"}
        if 'name="accept"' in page:
            return {**hidden, "accept": "Yes"}
        return {**hidden, "username": self._user, "password": self._user}


def _text(page: str) -> str:
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
