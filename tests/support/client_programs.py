"""Runs MCP clients that people use, as they are published; a user logs in whenever one opens the browser.

workspace = Workspace(tmp_path, "http://localhost:3000/mcp", "reader")
FASTMCP.call(workspace, "whoami")
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters, stdio_client

from tests.support.compose_stack import REPOSITORY, free_port
from tests.support.npm_packages import install_packages
from tests.support.terminal import Dialog, has_terminal, hold_dialog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PACKAGES = REPOSITORY / "tests" / "clients" / "programs"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours and cursor movements of a terminal
_ACCESS_TOKEN = re.compile(r'("(?:access_token|accessToken)"\s*:\s*)"[^"]*"')
_PATIENCE = 150  # seconds that a command may take; a busy machine is slow
_BROWSER = """\
#!/bin/sh
# Some programs run $BROWSER, some xdg-open, some open; those that wait for it would never listen for the redirect.
printf '%s\\n' "$1" >>'{folder}/opened'
cd '{repository}' && '{python}' -m tests.support.login_program "$1" >>'{folder}/login.log' 2>&1 </dev/null &
"""


def require_programs(*, full: bool = False) -> None:
    """Installs the programs of the lock; without npm the test is skipped, or fails if REQUIRE_CONTAINERS=1.

    Args:
        full: whether to install those of `./scripts/test --full` too.
    """
    npm = shutil.which("npm")
    if npm is None or (full and not has_terminal()):
        missing = "NPM" if npm is None else "TMUX"
        reason = f"NO {missing}: no real client program was tested"
        if os.environ.get("REQUIRE_CONTAINERS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    # Not `npm ci`: it fails where a registry lacks an optional package for another operating system.
    command = (npm, "install", "--no-save")
    if full:
        install_packages(PACKAGES, *command, "--include=dev", stamp=".installed-full")
    else:
        install_packages(PACKAGES, *command, "--omit=dev", fuller_stamp=".installed-full")


def pinned_version(package: str) -> str:
    """Returns the version of an npm package that tests/clients/programs pins."""
    pins = json.loads((PACKAGES / "package.json").read_text(encoding="utf-8"))
    version: str = {**pins["dependencies"], **pins["devDependencies"]}[package]
    return version


@dataclass(frozen=True)
class Ran:
    """A program that ended, or was ended.

    Attributes:
        code: its exit status; None if it ran longer than it may.
        output: standard output and standard error.
    """

    code: int | None
    output: str


@dataclass
class Workspace:
    """An empty home and working directory for the programs of one user.

    Attributes:
        folder: where it is created.
        url: the MCP server.
        user: who logs in when a program opens the browser; the name is the password.
        variables: further environment variables of the programs.
        patience: seconds that a command may take.
    """

    folder: Path
    url: str
    user: str
    variables: dict[str, str] = field(default_factory=dict)
    patience: float = _PATIENCE

    def __post_init__(self) -> None:
        for name in ("home", "bin", "work"):
            (self.folder / name).mkdir(parents=True)
        script = _BROWSER.format(folder=self.folder, repository=REPOSITORY, python=sys.executable)
        for name in ("browser", "xdg-open", "open"):
            (self.folder / "bin" / name).write_text(script, encoding="utf-8")
            (self.folder / "bin" / name).chmod(0o755)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the programs; their node comes first in PATH."""
        node = [found.parent for found in PACKAGES.glob("node_modules/node-*/bin/node")]
        # The commands of these two are stubs until their install scripts have run, and none of them runs here.
        node += PACKAGES.glob("node_modules/@anthropic-ai/claude-code-*/")
        node += sorted(PACKAGES.glob("node_modules/opencode-*-*/bin/"))
        path = [self.folder / "bin", *node, PACKAGES / "node_modules" / ".bin", Path(sys.executable).parent]
        return {
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            "HOME": str(self.home),
            "BROWSER": str(self.folder / "bin" / "browser"),
            "LOGIN_USER": self.user,
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "MCP_AUTO_OPEN_ENABLED": "true",  # Inspector opens no browser without a terminal otherwise
            "MCP_OAUTH_CALLBACK_URL": f"http://127.0.0.1:{free_port()}/oauth/callback",  # Inspector, in parallel runs
            **self.variables,
        }

    @property
    def authorizations(self) -> list[dict[str, str]]:
        """The parameters of each authorization request that a program opened in the browser."""
        opened = self.folder / "opened"
        urls = opened.read_text(encoding="utf-8").split() if opened.exists() else []
        return [{name: values[0] for name, values in parse_qs(urlsplit(url).query).items()} for url in urls]

    @property
    def scopes(self) -> list[set[str]]:
        """The scopes that each authorization request asked for."""
        return [set(one.get("scope", "").split()) for one in self.authorizations]

    @property
    def pages(self) -> str:
        """The text of the pages at which a login ended instead of the program."""
        log = self.folder / "login.log"
        return log.read_text(encoding="utf-8") if log.exists() else ""

    def run(self, *words: str) -> Ran:
        """Runs a program without a terminal; ends it and its children after `patience` seconds."""
        with subprocess.Popen(
            words,
            cwd=self.folder / "work",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=self.patience)
                return Ran(process.returncode, _ESCAPES.sub("", output))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
                return Ran(None, _ESCAPES.sub("", output))

    def hold(self, dialog: Dialog) -> Ran:
        """Runs a program on a terminal; the status is None if it did not reach its end in time."""
        # A tmux server that ends still uses its socket, so each dialog has one of its own.
        with TemporaryDirectory(prefix="terminal-", ignore_cleanup_errors=True) as folder:
            socket, work = Path(folder) / "socket", self.folder / "work"
            screen = hold_dialog(dialog, socket, work, self.environment, self.patience)
        return Ran(0 if screen.reached else None, screen.text)

    @asynccontextmanager
    async def bridge(self, *words: str) -> AsyncIterator[Client]:
        """Connects through a program that is an MCP server on standard input and output, as a desktop client does."""
        parameters = StdioServerParameters(
            command=words[0], args=list(words[1:]), env=self.environment, cwd=self.folder / "work"
        )
        with (self.folder / "bridge.log").open("a", encoding="utf-8") as log, anyio.fail_after(_PATIENCE):
            async with Client(stdio_client(parameters, errlog=log), mode="legacy") as client:
                yield client

    @property
    def bridge_log(self) -> str:
        """The standard error of the programs that `bridge` ran."""
        return (self.folder / "bridge.log").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Program:
    """A client program and its commands. `{url}` and `{tool}` stand for the server and the tool.

    Attributes:
        name: what people call it.
        package: the npm or Python package.
        version: the pinned version.
        list_command: lists the tools, or shows whether the server is connected.
        listed: what its output contains then.
        call_command: calls a tool without arguments; empty if only a model can.
        bridge: starts the program as an MCP server on standard input and output, if that is how it is used; tools are
            then listed and called through it.
        files: configuration to write first: contents by path below the working directory, or below the home if it
            begins with `~/`.
        variables: environment variables that it needs.
        login_dialog: logs in on a terminal, after the commands.
        list_dialog: lists the tools on a terminal, instead of `list_command`.
        login_commands: log in; empty if listing opens the browser by itself.
        logout_command: deletes the login; empty if there is none.
    """

    name: str
    package: str
    version: str
    list_command: tuple[str, ...] = ()
    listed: str = "whoami"
    call_command: tuple[str, ...] = ()
    bridge: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    login_commands: tuple[tuple[str, ...], ...] = ()
    login_dialog: Dialog | None = None
    list_dialog: Dialog | None = None
    logout_command: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """The name in commands: lower case, with hyphens."""
        return self.name.lower().replace(" ", "-")

    @property
    def can_call(self) -> bool:
        """Whether it calls tools without a model."""
        return bool(self.call_command or self.bridge)

    def log_in(self, workspace: Workspace) -> Ran:
        """Configures the server and logs in; does nothing more than that if listing opens the browser by itself."""
        workspace.variables |= self.variables
        for path, text in self.files.items():
            file = workspace.home / path[2:] if path.startswith("~/") else workspace.folder / "work" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            content = text.replace("{url}", workspace.url).replace("{work}", str(workspace.folder / "work"))
            file.write_text(content, encoding="utf-8")
        ran = Ran(0, "")
        for command in self.login_commands:
            ran = workspace.run(*_filled(command, workspace))
            if ran.code != 0:
                return ran
        return workspace.hold(self.login_dialog) if self.login_dialog else ran

    def list_tools(self, workspace: Workspace) -> Ran:
        """Lists the tools; the output contains their names."""
        if self.bridge:
            return _through_bridge(self, workspace, None)
        if self.list_dialog:
            return workspace.hold(self.list_dialog)
        return workspace.run(*_filled(self.list_command, workspace))

    def call(self, workspace: Workspace, tool: str) -> Ran:
        """Calls a tool without arguments; the output contains its result or the error."""
        if self.bridge:
            return _through_bridge(self, workspace, tool)
        return workspace.run(*_filled(self.call_command, workspace, tool))

    def log_out(self, workspace: Workspace) -> Ran:
        """Deletes the login."""
        return workspace.run(*_filled(self.logout_command, workspace))


def invalidate_access_tokens(workspace: Workspace) -> int:
    """Replaces every access token in a JSON file of the home by one that is none; returns the number of files."""
    changed = 0
    for file in workspace.home.rglob("*.json"):
        text = file.read_text(encoding="utf-8")
        invalid = _ACCESS_TOKEN.sub(r'\1"expired"', text)
        if invalid != text:
            file.write_text(invalid, encoding="utf-8")
            changed += 1
    return changed


def _filled(command: tuple[str, ...], workspace: Workspace, tool: str = "") -> list[str]:
    return [word.format(url=workspace.url, tool=tool) for word in command]


def _through_bridge(program: Program, workspace: Workspace, tool: str | None) -> Ran:
    try:
        return anyio.run(partial(_ask_bridge, program, workspace, tool))
    except (ExceptionGroup, MCPError, TimeoutError) as error:
        return Ran(1, f"{error!r}\n{workspace.bridge_log}")


async def _ask_bridge(program: Program, workspace: Workspace, tool: str | None) -> Ran:
    async with workspace.bridge(*_filled(program.bridge, workspace)) as client:
        if tool is None:
            return Ran(0, (await client.list_tools()).model_dump_json())
        result = await client.call_tool(tool, {})
        return Ran(int(result.is_error), result.model_dump_json())


FASTMCP = Program(
    name="FastMCP",
    package="fastmcp",
    version=installed_version("fastmcp"),
    list_command=("fastmcp", "list", "{url}", "--auth", "oauth"),
    call_command=("fastmcp", "call", "{url}", "{tool}", "--auth", "oauth"),
)
_INSPECTOR = ("mcp-inspector", "--cli", "{url}", "--transport", "http", "--method")
INSPECTOR = Program(
    name="Inspector CLI",
    package="@modelcontextprotocol/inspector",
    version=pinned_version("@modelcontextprotocol/inspector"),
    list_command=(*_INSPECTOR, "tools/list"),
    call_command=(*_INSPECTOR, "tools/call", "--tool-name", "{tool}"),
)
MCP_REMOTE = Program(
    name="mcp-remote",
    package="mcp-remote",
    version=pinned_version("mcp-remote"),
    bridge=("mcp-remote", "{url}"),
)

# The programs below are installed for `./scripts/test --full` only.
_CODEX_APP_SERVER = (sys.executable, str(Path(__file__).with_name("codex_app_server.py")), "demo")
CODEX = Program(
    name="Codex",
    package="@openai/codex",
    version=pinned_version("@openai/codex"),
    login_commands=(("codex", "mcp", "add", "demo", "--url", "{url}"),),
    list_command=_CODEX_APP_SERVER,
    call_command=(*_CODEX_APP_SERVER, "{tool}"),
    logout_command=("codex", "-c", 'mcp_oauth_credentials_store="file"', "mcp", "logout", "demo"),  # not the keyring
)
CLAUDE_CODE = Program(
    name="Claude Code",
    package="@anthropic-ai/claude-code",
    version=pinned_version("@anthropic-ai/claude-code"),
    login_commands=(
        ("claude", "mcp", "add", "--transport", "http", "demo", "{url}"),
        ("script", "--quiet", "--return", "--command", "claude mcp login demo", os.devnull),  # it wants a terminal
    ),
    list_command=("claude", "mcp", "list"),
    listed="Connected",
    logout_command=("claude", "mcp", "logout", "demo"),
)
MCPORTER = Program(
    name="mcporter",
    package="mcporter",
    version=pinned_version("mcporter"),
    files={"config/mcporter.json": '{"mcpServers": {"demo": {"url": "{url}", "auth": "oauth"}}}'},
    login_commands=(("mcporter", "auth", "demo"),),
    list_command=("mcporter", "list", "demo"),
    call_command=("mcporter", "call", "demo.{tool}"),
)
OPENCODE = Program(
    name="opencode",
    package="opencode-ai",
    version=pinned_version("opencode-ai"),
    files={
        "opencode.json": '{"autoupdate": false, "mcp": {"demo": {"type": "remote", "url": "{url}", "enabled": true}}}'
    },
    login_commands=(("opencode", "mcp", "auth", "demo"),),
    list_command=("opencode", "mcp", "list"),
    listed="connected",
    logout_command=("opencode", "mcp", "logout", "demo"),
)
_PROMPT = "Type your message"
GEMINI = Program(
    name="Gemini CLI",
    package="@google/gemini-cli",
    version=pinned_version("@google/gemini-cli"),
    files={
        "~/.gemini/trustedFolders.json": '{"{work}": "TRUST_FOLDER"}',
        "~/.gemini/settings.json": '{"security": {"auth": {"selectedType": "gemini-api-key"}}, '
        '"mcpServers": {"demo": {"url": "{url}", "type": "http"}}}',
    },
    variables={"GEMINI_API_KEY": "none"},
    login_dialog=Dialog(
        ("gemini",),
        (
            (_PROMPT, ("/mcp auth demo",)),
            (r">\s+/mcp auth demo", ("Enter",)),
            ("Do you want to continue", ("Enter",)),
        ),
        r"Successfully\s+authenticated",
    ),
    list_command=("gemini", "mcp", "list"),
    listed="Connected",
)
QWEN = Program(
    name="Qwen Code",
    package="@qwen-code/qwen-code",
    version=pinned_version("@qwen-code/qwen-code"),
    # No model answers there.
    variables={"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "none"},
    login_commands=(("qwen", "mcp", "add", "--transport", "http", "demo", "{url}", "--scope", "user"),),
    login_dialog=Dialog(
        ("qwen",),
        (
            (_PROMPT, ("/mcp",)),
            (r">\s+/mcp", ("Enter",)),
            ("demo .*needs authentication", ("Enter",)),
            (r"[^\w\s│] Reconnect", ("Down",)),
            (r"[^\w\s│] Disable", ("Down",)),
            (r"[^\w\s│] Authenticate", ("Enter",)),
        ),
        "Authentication successful",
    ),
    list_command=("qwen", "mcp", "list"),
    listed="Connected",
)
COPILOT = Program(
    name="Copilot CLI",
    package="@github/copilot",
    version=pinned_version("@github/copilot"),
    login_commands=(("copilot", "mcp", "add", "--transport", "http", "demo", "{url}"),),
    list_dialog=Dialog(
        ("copilot",),
        ((r"1\. Yes", ("Enter",)), ("/ commands", ("/mcp",)), (r"[^\w\s│]\s*/mcp", ("Enter",))),
        r"mcp:demo\s+\d+ tokens",
    ),
    listed="tokens",
)
CLINE = Program(
    name="Cline",
    package="cline",
    version=pinned_version("cline"),
    login_commands=(("cline", "mcp", "install", "demo", "{url}", "--transport", "http", "--yes", "--json"),),
    login_dialog=Dialog(
        ("cline", "mcp"),
        (
            ("● List servers", ("Down", "Down", "Down", "Down")),
            ("● Authorize OAuth", ("Enter",)),
            ("● demo", ("Enter",)),
        ),
        "OAuth authorization completed",
    ),
    list_dialog=Dialog(("cline", "mcp"), (("● List servers", ("Enter",)),), r"auth: \w+ \w+"),
    listed="oauth authorized",  # it lists servers; it fetched the tools when it logged in
)
FULL = (CODEX, CLAUDE_CODE, MCPORTER, OPENCODE, GEMINI, QWEN, COPILOT, CLINE)
PROGRAMS = (FASTMCP, INSPECTOR, MCP_REMOTE, *FULL)

if __name__ == "__main__":  # prints the name in commands of the program in a package
    sys.stdout.write(next(one.slug for one in PROGRAMS if one.package == sys.argv[1]) + "\n")
