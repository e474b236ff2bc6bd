"""A real Dex behind its registration proxy, with files rendered by the bootstrap, and logins without a browser.

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
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import yaml

from mcp_idp.cli.bootstrap.dex.commands import DexRun
from mcp_idp.config import load_settings
from tests.support.compose_stack import free_port
from tests.support.form_user import FormUser
from tests.support.keycloak.realm import pkce_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from mcp_idp.config.settings import Settings

REPOSITORY = Path(__file__).parents[2]
REDIRECT = "http://127.0.0.1:33333/callback"
PUBLIC_URL = "http://localhost:9/mcp"  # no server of ours can listen there
REQUESTED_SCOPES = "mcp:tools mcp:notes.read offline_access"  # the scopes that a client requests after the challenge
_READY_SECONDS = 60
_PATIENCE = 60  # seconds; password hashing is slow, especially on a busy machine

Json = dict[str, Any]


def compose() -> Json:
    """Parses docker-compose.dex.yml, so that the tests use the same images and options."""
    content: Json = yaml.safe_load((REPOSITORY / "docker-compose.dex.yml").read_text(encoding="utf-8"))
    return content


@dataclass
class Dex:
    """A Dex and its registration proxy, as users and clients see them."""

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
        """The environment of the bootstrap command."""
        return {
            "OAUTH_SERVER_URL": self.issuer,
            "MCP_PUBLIC_URL": self.public_url,
            "ACCESS_FILE": str(self.folder / "idp-config" / "access.yaml"),
            "DEX_FILES": str(self.folder / "run"),
            "DEX_CONFIG": self.config,
        }

    def settings(self, **variables: str) -> Settings:
        """Returns the settings of a server that trusts this Dex."""
        names = {name: self.environment[name] for name in ("OAUTH_SERVER_URL", "MCP_PUBLIC_URL", "ACCESS_FILE")}
        return load_settings({**names, "OAUTH_PROVIDER": "dex", **variables})

    def write_sources(self, dex: Json | None = None, further: Mapping[str, Json] | None = None, **members: Any) -> None:
        """Writes our own files, with some members of access.yaml and dex.yaml replaced.

        Args:
            dex: members of dex.yaml to replace.
            further: members of the access files of further servers to replace, by public URL.
            members: members of access.yaml to replace.
        """
        folder = self.folder / "idp-config"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(REPOSITORY / "idp-config", folder)
        access = yaml.safe_load((folder / "access.yaml").read_text(encoding="utf-8"))
        access |= {**members, "registration": {**access["registration"], **members.pop("registration", {})}}
        (folder / "access.yaml").write_text(yaml.safe_dump(access, sort_keys=False))
        base = yaml.safe_load((folder / "dex" / "dex.yaml").read_text(encoding="utf-8"))
        (folder / "dex" / "dex.yaml").write_text(yaml.safe_dump({**base, **(dex or {})}))
        front = yaml.safe_load((folder / "dex" / "front.yaml").read_text(encoding="utf-8"))
        for number, (url, changes) in enumerate((further or {}).items()):
            name = f"further-{number}.yaml"
            (folder / name).write_text(yaml.safe_dump({**access, **changes}, sort_keys=False))
            front.setdefault("resources", {})[url] = name
        (folder / "dex" / "front.yaml").write_text(yaml.safe_dump(front))

    def render(self) -> list[str]:
        """Runs the command `render` and returns its output lines."""
        message: list[str] = []
        DexRun(self.environment, message.append).write()
        return message

    def logs(self, name: str = "dex") -> str:
        """Returns the log of a container."""
        return str(self.containers[name].get_wrapped_container().logs().decode())

    def restart(self) -> None:
        """Restarts Dex, but not the proxy."""
        self.containers["dex"].get_wrapped_container().restart(timeout=5)
        self.wait()

    def part(self) -> None:
        """Disconnects the proxy, as in an outage; `restore` reconnects it."""
        self.containers["front"].get_wrapped_container().stop(timeout=5)

    def restore(self) -> None:
        """Reconnects the proxy."""
        self.containers["front"].get_wrapped_container().start()
        self.wait()

    def wait(self) -> None:
        """Waits until the proxy forwards responses of Dex."""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.issuer}/keys", timeout=2).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)  # polls, because the process does not signal that it is ready
        raise TimeoutError(self.logs() + self.logs("front"))

    def register(self, **document: Any) -> Json:
        """Registers a client without credentials (RFC 7591); returns the members of the response and its `status`."""
        return self.send_registration(document)

    def send_registration(self, body: Json, initial_access_token: str | None = None) -> Json:
        """Does the same; the proxy ignores initial access tokens (RFC 7591 section 3)."""
        headers = {"Authorization": f"Bearer {initial_access_token}"} if initial_access_token else {}
        response = httpx.post(f"{self.issuer}/register", json=body, headers=headers, timeout=_PATIENCE)
        return {"status": response.status_code, **response.json()}

    def authorize(self, user: str, **parameters: str) -> Json:
        """Logs in and consents, with exactly these parameters; returns those of the redirect, or the last page."""
        query = {"response_type": "code", **parameters}
        return self.visit(user, f"{self.issuer}/auth?{urlencode(query)}")

    def authorization_url(self, client_id: str, *, start: str = "/auth", **parameters: str) -> str:
        """Returns the URL to which a client sends the user's browser."""
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
        """Opens `url` as `user` and fills in the forms; returns the parameters of the redirect, or the last page."""
        login_user = FormUser(user, (self.issuer, *self.other_origins), agree=agree)
        return login_user.go(url)

    def visit_client(self, user: str, url: str) -> None:
        """Does the same and follows the redirect to the client's redirect URI, where the client waits for it."""
        back = self.visit(user, url)
        httpx.get(back.pop("to"), params=back, timeout=_PATIENCE).raise_for_status()

    def log_in(self, user: str, client_id: str, **parameters: str) -> Json:
        """Runs the authorization code flow with PKCE; returns the token response with its `status`."""
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
        """Refreshes an access token; returns the token response with its `status`."""
        return self.token(grant_type="refresh_token", client_id=client_id, refresh_token=refresh_token)

    def token(self, **form: str) -> Json:
        """Sends a request to the token endpoint; returns the response with its `status`."""
        response = httpx.post(self.token_url, data=form, timeout=_PATIENCE)
        return {"status": response.status_code, **response.json()}


@contextmanager
def running_dex(
    folder: Path,
    *,
    config: str = "dex.yaml",
    env: dict[str, str] | None = None,
    dex: Json | None = None,
    further: Mapping[str, Json] | None = None,
    other_containers: dict[str, str] | None = None,
    public_url: str = PUBLIC_URL,
    direct: int | None = None,
    recorder: Callable[[int, int], AbstractContextManager[object]] | None = None,
    **members: Any,
) -> Iterator[Dex]:
    """Renders the files and starts both containers as in docker-compose.dex.yml; stops them at the end.

    Args:
        folder: the folder for the files.
        config: DEX_CONFIG.
        env: further environment variables of Dex, for connectors and storage.
        dex: members of dex.yaml to replace.
        further: members of the access files of further servers to replace, by public URL.
        other_containers: running containers by the host name at which Dex reaches them.
        public_url: the resource.
        direct: a port at which Dex is reached directly, without the proxy, as only an attacker in its network could.
        recorder: forwards connections to the first port, where the proxy listens, from the second, that of the issuer.
        members: members of access.yaml to replace.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of testcontainers at import
        from testcontainers.core.network import Network  # noqa: PLC0415 - contacts the engine at import

    server = Dex(folder, config=config, public_url=public_url)
    server.write_sources(dex, further, **members)
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
        published = server.port if recorder is None else free_port()
        proxy.ports.update({"5556/tcp": ("127.0.0.1", published)})
        server.containers = {"dex": back, "front": proxy}
        try:
            back.start()
            proxy.start()
            with nullcontext() if recorder is None else recorder(published, server.port):
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
    """Creates a container with the restrictions of the compose file, as the user who owns the files."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - contacts the engine at import

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
