"""Runs `mcp-idp demo`: starts both processes, logs in, calls tools, and prints what to try next."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.cli.common.installation import find_checkout
from mcp_idp.cli.common.launcher import as_launched
from mcp_idp.cli.demo.nanoidp_config import ROLES_CLAIM, write_access, write_provider
from mcp_idp.config.settings import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx2

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.common.console import StepReporter
    from mcp_idp.cli.demo.processes import ManagedProcess, ProcessGroup
    from mcp_idp.cli.login.options import LoginStrategy

SERVER_PORT, PROVIDER_PORT = 3000, 9010
_READY_SECONDS = 60
_PACKAGE_FOLDER = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of the demo.

    Attributes:
        user: The demo user who logs in.
        keep: Keep both processes running until Ctrl-C.
        server_port: The server's port.
        provider_port: The provider's port.
        application: The application to serve, as `mcp-idp serve` takes it; None serves the demo's own.
    """

    user: str
    keep: bool
    server_port: int
    provider_port: int
    application: str | None = None


class DemoScenario:
    """One run of the demo.

    Args:
        options: The options.
        access: The access policy with the demo users.
        home: A temporary directory for configuration and logs.
        children: Starts the processes.
    """

    def __init__(self, options: DemoOptions, access: AccessPolicy, home: Path, children: ProcessGroup) -> None:
        self._options = options
        self._access = access
        self._home = home
        self._children = children
        self._issuer = f"http://localhost:{options.provider_port}"
        self._url = f"http://localhost:{options.server_port}/mcp"
        self._checkout = find_checkout()

    def run(self) -> int:
        """Starts both processes, logs in, calls tools and prints the next steps. Returns the exit code."""
        began = time.monotonic()
        provider = self._start_provider()
        server = self._start_server()
        # Imported while both processes start, because the imports take about as long.
        from mcp_idp.cli.common.console import StepReporter, open_console  # noqa: PLC0415 - see above
        from mcp_idp.cli.common.redaction import Redactor  # noqa: PLC0415 - see above

        narrator = StepReporter(open_console(), Redactor())
        self._introduce(narrator)
        with narrator.waiting("starting both"):
            provider.wait_until_ready(
                f"http://127.0.0.1:{self._options.provider_port}/.well-known/openid-configuration", _READY_SECONDS
            )
            server.wait_until_ready(f"http://127.0.0.1:{self._options.server_port}/readyz", _READY_SECONDS)
        narrator.message(f"  both ready after {time.monotonic() - began:.1f} s")
        code = self._log_in(narrator)
        if code == 0:
            self._conclude(narrator)
        else:
            narrator.message("--- the server's last output ---")
            for line in server.tail().splitlines():
                narrator.message(f"  {line}")
        if self._options.keep and code == 0:
            self._keep(narrator, (provider, server))
        return code

    def _start_provider(self) -> ManagedProcess:
        directory = write_provider(self._access, self._options.provider_port, self._home)
        command = [sys.executable, "-m", "mcp_idp.cli.demo.provider", str(directory), str(self._options.provider_port)]
        log = self._home / "provider.log"
        extra = {"PYTHONPATH": str(_PACKAGE_FOLDER)}  # the working directory is the provider's own
        return self._children.start("identity provider", command, cwd=self._home, log=log, extra=extra)

    def _start_server(self) -> ManagedProcess:
        settings = {
            "OAUTH_SERVER_URL": self._issuer,
            # set explicitly: when the demo itself runs in a container, the server requires it
            "OAUTH_INTERNAL_URL": self._issuer,
            "OAUTH_PROVIDER": "nanoidp",
            "MCP_PUBLIC_URL": self._url,
            "HOST": "127.0.0.1",
            "PORT": str(self._options.server_port),
            "ACCESS_FILE": str(write_access(self._access, self._home)),
        }
        if self._options.application is not None:  # its own variables, but no setting of another deployment
            settings = {name: value for name, value in os.environ.items() if name not in NAMES} | settings
        words, folder = self._server_module()
        command, log = [sys.executable, "-m", *words], self._home / "server.log"
        return self._children.start("MCP server", command, cwd=folder, log=log, extra=settings)

    def _server_module(self) -> tuple[list[str], Path]:
        """Returns the module to run, with its arguments, and its working directory."""
        if self._options.application is not None:
            return ["mcp_idp.cli", "serve", self._options.application], Path.cwd()
        # The checkout's own server is run as it stands there; this command imports nothing of it.
        return (["mcp_server"], self._checkout) if self._checkout else (["mcp_idp.cli.demo.server"], self._home)

    def _introduce(self, narrator: StepReporter) -> None:
        narrator.message("An identity provider and the MCP server, on this machine only, for this run only:")
        narrator.message(f"  identity provider  {self._issuer}  (nanoidp)")
        narrator.message(f"  MCP server         {self._url}")

    def _log_in(self, narrator: StepReporter) -> int:
        from mcp_idp.cli.login.flow import run  # noqa: PLC0415 - see `run`
        from mcp_idp.cli.login.form_login import FormLogin  # noqa: PLC0415 - see `run`
        from mcp_idp.cli.login.options import LoginOptions  # noqa: PLC0415 - see `run`

        user = self._options.user
        narrator.message()
        narrator.message(as_launched(f"Logging in as '{user}' as mcp-idp login --headless --user {user} does:"))
        access = self._access.model_copy(update={"roles_claim": ROLES_CLAIM})
        plan = LoginOptions(url=self._url, user=user, access=access, issuer=self._issuer)
        password = self._access.demo_users[user].password

        def login(pages: httpx2.AsyncClient) -> LoginStrategy:
            return FormLogin(narrator, pages, user, password, issuer=self._issuer)

        return asyncio.run(run(plan, narrator, login)).exit_code

    def _conclude(self, narrator: StepReporter) -> None:
        for line in keycloak_differences(self._access, self._options.user):
            narrator.message(line)
        if not self._options.keep:
            narrator.message()
            narrator.message("What next", style="bold")
            demo, login = as_launched("mcp-idp demo --keep"), as_launched("mcp-idp login")
            narrator.message(f"  {demo:<25}  the same, and both stay up for your own client")
            if self._options.application is not None:
                narrator.message(f"  mcp-idp serve {self._options.application}   the same with your own provider")
            elif self._checkout:
                narrator.message(f"  docker compose up --wait   the same server with Keycloak; then {login}")
                narrator.message("  mcp_server/tools.py        the tools: add yours there")
            else:
                narrator.message("  mcp-idp serve MODULE:APP   your own MCP application behind OAuth")
            narrator.message("Both processes end now; nothing stays on this machine.")

    def _keep(self, narrator: StepReporter, children: Sequence[ManagedProcess]) -> None:
        narrator.message()
        narrator.message("Both stay up until Ctrl-C. Connect your client to", style="bold")
        narrator.message(f"  {self._url}")
        narrator.message(f"  for example: claude mcp add --transport http demo {self._url}")
        narrator.message(f"               {as_launched('mcp-idp login')} {self._url}")
        narrator.message("and log in as one of these (demo passwords, good for nothing else):")
        for name, user in self._access.demo_users.items():
            roles = ", ".join(self._access.roles_of_demo_user(user)) or "none"
            narrator.message(f"  {name:<10} password {user.password:<10} roles {roles}")
        narrator.message(
            "Cursor cannot register here: this provider rejects its cursor:// redirect URI; Keycloak accepts it."
        )
        pause = threading.Event()
        while True:
            for child in children:
                child.check()
            pause.wait(1)


def keycloak_differences(access: AccessPolicy, user: str) -> list[str]:
    """Returns lines that describe how this provider differs from the compose stack's Keycloak.

    Args:
        access: The access policy.
        user: The demo user who logged in.
    """
    roles = set(access.roles_of_demo_user(access.demo_users[user]))
    theirs = [name for name in access.login_scopes if roles & set(access.scopes[name].roles)]
    there = (
        f"'{user}' would get: {' '.join(theirs)}" if theirs else f"'{user}' would get a token that this server rejects"
    )
    return [
        "",
        "Differences from Keycloak:",
        f"  nanoidp grants every requested scope to every user; roles have no effect. On Keycloak {there}.",
        "  The login page is also the consent page, and the subject is the user name.",
    ]
