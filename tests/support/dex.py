"""A real Dex behind its front, for tests: the files rendered by our own bootstrap, people who log in without a browser.

with running_dex(tmp_path) as dex:
    client = dex.register(redirect_uris=[REDIRECT])
    tokens = dex.log_in("reader", client["client_id"])
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx
import yaml

from mcp_idp.cli.bootstrap.dex.commands import DexRun
from mcp_idp.cli.login.html_forms import Form, read_page
from mcp_idp.config import load_settings
from tests.support.compose_stack import free_port
from tests.support.keycloak.realm import pkce_pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.config.settings import Settings

REPOSITORY = Path(__file__).parents[2]
REDIRECT = "http://127.0.0.1:33333/callback"
PUBLIC_URL = "http://localhost:9/mcp"  # nothing of ours can be there
REQUESTED_SCOPES = "mcp:tools mcp:notes.read offline_access"  # what a client asks for that has read the challenge
_READY_SECONDS = 60
_PATIENCE = 60  # a busy machine is no fault: comparing a password takes long on purpose

Json = dict[str, Any]


def compose() -> Json:
    """docker-compose.dex.yml: the tests must meet the very same images and switches."""
    content: Json = yaml.safe_load((REPOSITORY / "docker-compose.dex.yml").read_text(encoding="utf-8"))
    return content


@dataclass
class Dex:
    """One Dex and its front, as people and programs see them."""

    folder: Path
    port: int = field(default_factory=free_port)
    config: str = "dex.yaml"
    public_url: str = PUBLIC_URL
    containers: dict[str, Any] = field(default_factory=dict)
    other_origins: tuple[str, ...] = ()  # origins of other providers that a login may lead through
    names_itself: bool = False

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def token_url(self) -> str:
        return f"{self.issuer}/token"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the command line."""
        return {
            "OAUTH_SERVER_URL": self.issuer,
            "MCP_PUBLIC_URL": self.public_url,
            "ACCESS_FILE": str(self.folder / "idp-config" / "access.yaml"),
            "DEX_FILES": str(self.folder / "run"),
            "DEX_CONFIG": self.config,
        }

    def settings(self, **variables: str) -> Settings:
        """Of a server that trusts this Dex."""
        names = {name: self.environment[name] for name in ("OAUTH_SERVER_URL", "MCP_PUBLIC_URL", "ACCESS_FILE")}
        return load_settings({**names, "OAUTH_PROVIDER": "dex", **variables})

    def write_sources(self, dex: Json | None = None, **members: Any) -> None:
        """Our own files, with some members of access.yaml, and of dex.yaml, replaced."""
        folder = self.folder / "idp-config"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(REPOSITORY / "idp-config", folder)
        access = yaml.safe_load((folder / "access.yaml").read_text(encoding="utf-8"))
        access |= {**members, "registration": {**access["registration"], **members.pop("registration", {})}}
        (folder / "access.yaml").write_text(yaml.safe_dump(access, sort_keys=False))
        base = yaml.safe_load((folder / "dex" / "dex.yaml").read_text(encoding="utf-8"))
        (folder / "dex" / "dex.yaml").write_text(yaml.safe_dump({**base, **(dex or {})}))

    def render(self) -> list[str]:
        """What the verb `render` does; its lines."""
        message: list[str] = []
        DexRun(self.environment, message.append).write()
        return message

    def logs(self, name: str = "dex") -> str:
        """All that a container said."""
        return str(self.containers[name].get_wrapped_container().logs().decode())

    def restart(self) -> None:
        """Stop Dex and start it again; the front stays."""
        self.containers["dex"].get_wrapped_container().restart(timeout=5)
        self.wait()

    def part(self) -> None:
        """Take the front away, as an outage does; `restore` brings it back."""
        self.containers["front"].get_wrapped_container().stop(timeout=5)

    def restore(self) -> None:
        """Bring the front back."""
        self.containers["front"].get_wrapped_container().start()
        self.wait()

    def wait(self) -> None:
        """Until the front passes on what Dex says."""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.issuer}/keys", timeout=2).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)  # polling a process that tells nobody when it is ready
        raise TimeoutError(self.logs() + self.logs("front"))

    def register(self, **document: Any) -> Json:
        """Register as anybody can (RFC 7591); the answer's members and its `status`."""
        return self.send_registration(document)

    def send_registration(self, body: Json, initial_access_token: str | None = None) -> Json:
        """The same; the front knows no invitations (RFC 7591 section 3), so one changes nothing."""
        headers = {"Authorization": f"Bearer {initial_access_token}"} if initial_access_token else {}
        response = httpx.post(f"{self.issuer}/register", json=body, headers=headers, timeout=_PATIENCE)
        return {"status": response.status_code, **response.json()}

    def authorize(self, user: str, **parameters: str) -> Json:
        """Log `user` in and agree: the parameters that came back, or the last page; nothing is asked for but these."""
        query = {"response_type": "code", **parameters}
        return self.visit(user, f"{self.issuer}/auth?{urlencode(query)}")

    def authorization_url(self, client_id: str, *, start: str = "/auth", **parameters: str) -> str:
        """Where a client sends a person's browser."""
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": REDIRECT,
            "state": "st",
            "scope": REQUESTED_SCOPES,
            "resource": self.public_url,
            "code_challenge": "x" * 43,
            "code_challenge_method": "S256",
            **parameters,
        }
        return f"{self.issuer}{start}?{urlencode({name: value for name, value in query.items() if value})}"

    def visit(self, user: str, url: str, *, agree: bool = True) -> Json:
        """Let `user` go where `url` leads and fill the forms: the parameters that came back, or the last page."""
        login_user = _DemoUser(user, (self.issuer, *self.other_origins), agree=agree)
        return login_user.go(url)

    def visit_client(self, user: str, url: str) -> None:
        """The same, and then on to the client's own redirect URI, where it waits for the answer."""
        back = self.visit(user, url)
        httpx.get(back.pop("to"), params=back, timeout=_PATIENCE).raise_for_status()

    def log_in(self, user: str, client_id: str, **parameters: str) -> Json:
        """The whole authorization code flow with PKCE; the token endpoint's answer, with its `status`."""
        verifier, pkce = pkce_pair()
        back = self.visit(user, self.authorization_url(client_id, **{**pkce, **parameters}))
        if "code" not in back:
            return back
        redirect = parameters.get("redirect_uri", REDIRECT)
        return self.token(
            grant_type="authorization_code",
            code=back["code"],
            client_id=client_id,
            redirect_uri=redirect,
            code_verifier=verifier,
        )

    def refresh(self, client_id: str, refresh_token: str) -> Json:
        """What a client does when its access token has ended."""
        return self.token(grant_type="refresh_token", client_id=client_id, refresh_token=refresh_token)

    def token(self, **form: str) -> Json:
        """The token endpoint's answer, with its `status`."""
        response = httpx.post(self.token_url, data=form, timeout=_PATIENCE)
        return {"status": response.status_code, **response.json()}


class _DemoUser:
    """Fills the forms of providers. Cookies are kept by hand: some are marked Secure over http, as browsers allow."""

    def __init__(self, user: str, providers: tuple[str, ...], *, agree: bool) -> None:
        self._user = user
        self._providers = providers
        self._agree = agree
        self._cookies: dict[str, str] = {}

    def go(self, url: str) -> Json:
        method, data = "GET", None
        for _ in range(20):
            if not url.startswith(self._providers):
                back = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
                return {**back, "to": url.partition("?")[0]}
            response = self._send(method, url, data)
            method, data = "GET", None
            if response.has_redirect_location:
                url = urljoin(url, response.headers["location"])
                continue
            forms = [form for form in read_page(response.text, url).forms if form.method == "post"]
            if not forms or response.is_error:
                return {"status": response.status_code, "page": response.text}
            form = forms[0] if self._agree else forms[-1]
            method, url, data = "POST", form.action, self._filled(form)
        raise AssertionError("the login goes round in circles")

    def _filled(self, form: Form) -> dict[str, str]:
        if form.password_field is not None and form.name_field is not None:
            form.name_field.value = form.password_field.value = self._user
        return form.form_data()

    def _send(self, method: str, url: str, data: dict[str, str] | None) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"Cookie": cookie} if cookie else {}
        response = httpx.request(method, url, data=data, headers=headers, timeout=_PATIENCE)
        for line in response.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            self._cookies[name] = rest.partition(";")[0]
        return response


@contextmanager
def running_dex(
    folder: Path,
    *,
    config: str = "dex.yaml",
    env: dict[str, str] | None = None,
    dex: Json | None = None,
    other_containers: dict[str, str] | None = None,
    public_url: str = PUBLIC_URL,
    direct: int | None = None,
    **members: Any,
) -> Iterator[Dex]:
    """Render the files and start both containers on them as docker-compose.dex.yml does; stop them at the end.

    Args:
        folder: for the files.
        config: DEX_CONFIG.
        env: Dex's own environment, for connectors and storage.
        dex: members of dex.yaml to replace.
        other_containers: running containers by the name that Dex shall reach them by.
        public_url: the resource.
        direct: a port at which Dex is reached past its front, as only an attacker inside its network could.
        members: members of access.yaml to replace.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the container library's own, at import
        from testcontainers.core.network import Network  # noqa: PLC0415 - asks for the engine when imported

    server = Dex(folder, config=config, public_url=public_url)
    server.write_sources(dex, **members)
    server.render()
    with Network() as network, _reachable(other_containers or {}, str(network.name)):
        services = compose()["services"]
        back = _container(
            services["dex"]["image"], ["dex", "serve", "/run/idp/dex/config.yaml"], folder / "run" / "dex"
        )
        back.with_network(network).with_network_aliases("dex")
        back.env = {"OAUTH_SERVER_URL": server.issuer, **(env or {})}
        back.ports.update({} if direct is None else {"5556/tcp": ("127.0.0.1", direct)})
        proxy = _container(services["front"]["image"], services["front"]["command"], folder / "run" / "front")
        proxy.with_network(network).with_network_aliases("front")
        proxy.env = services["front"]["environment"]
        proxy.ports.update({"5556/tcp": ("127.0.0.1", server.port)})
        server.containers = {"dex": back, "front": proxy}
        try:
            back.start()
            proxy.start()
            server.wait()
            yield server
        finally:
            proxy.stop()
            back.stop()


@contextmanager
def _reachable(containers: dict[str, str], network: str) -> Iterator[None]:
    for alias, container in containers.items():
        subprocess.run(["docker", "network", "connect", "--alias", alias, network, container], check=True)
    try:
        yield
    finally:
        for container in containers.values():
            subprocess.run(["docker", "network", "disconnect", "--force", network, container], check=False)


def _container(image: str, command: list[str], files: Path) -> Any:
    """As locked as in the compose file; as the user whose the files are."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - asks for the engine when imported

    container = DockerContainer(
        image,
        read_only=True,
        cap_drop=["ALL"],
        cap_add=["NET_BIND_SERVICE"],
        security_opt=["no-new-privileges:true"],
        user=str(os.getuid()),
        entrypoint="",
        mem_limit="256m",
    )
    container.with_command(command).with_tmpfs_mount("/tmp")  # noqa: S108 - the container's
    return container.with_volume_mapping(str(files), f"/run/idp/{files.name}", "ro")
