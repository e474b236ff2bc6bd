"""Finds the ports of the compose stack in the working directory, by Docker Compose.

Docker Compose is queried last: the command line, the environment and `.env` take precedence.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mcp_idp.cli.common.server_env import DOTENV, merge_environment, with_urls

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

_FILES = ("docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml")
_SECONDS = 10
_MAX_OUTPUT = 1024 * 1024
# Service and port inside its container, to the variable of the published port.
_PORTS = {
    ("mcp-server", 3000): "MCP_PORT",
    ("front", 8088): "KEYCLOAK_PORT",
    ("keycloak", 8080): "KEYCLOAK_PORT",  # a stack of an earlier release, or of `mcp-idp init`
    ("front", 5556): "DEX_PORT",
}
_SERVER = "mcp-server"
_BOOTSTRAP = "bootstrap"
# What decides which tokens the server accepts. Nothing else is read of the container's environment: no secret.
SERVER_SETTINGS = (
    "OAUTH_SERVER_URL",
    "OAUTH_PROVIDER",
    "MCP_PUBLIC_URL",
    "AUTH_TOKEN_MODE",
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "JWT_JWKS_URL",
    "OAUTH_INTROSPECT_URL",
    "ACCESS_FILE",
    "MAX_TOKEN_BYTES",
    "MAX_TOKEN_LIFETIME",
    "CLOCK_LEEWAY",
)
_NAMED_BY = {
    "server": ("MCP_PUBLIC_URL", "MCP_PORT"),
    "provider": ("OAUTH_SERVER_URL", "KEYCLOAK_PORT", "DEX_PORT"),
}

State = Literal["running", "crashing", "ended", "absent"]


@dataclass(frozen=True, slots=True)
class RunningStack:
    """The compose stack of a folder.

    Attributes:
        ports: The published ports, by the variables that set them: `MCP_PORT`, `KEYCLOAK_PORT`, `DEX_PORT`.
        server: The state of the MCP server's container.
    """

    ports: Mapping[str, str]
    server: State


@dataclass(frozen=True, slots=True)
class StackServer:
    """The MCP server of a compose stack.

    Attributes:
        settings: What it was started with, of `SERVER_SETTINGS`; unset ones are missing.
        has_bootstrap: Whether the stack has the service `bootstrap`.
    """

    settings: Mapping[str, str]
    has_bootstrap: bool


def stack_variables(
    variables: Mapping[str, str],
    dotenv: Path = DOTENV,
    *,
    needs: Collection[str] = ("server", "provider"),
    find: Callable[[Mapping[str, str]], RunningStack] | None = None,
) -> dict[str, str]:
    """Returns the environment, below it `.env`, and below that the ports that Docker Compose reports as published.

    Docker Compose is queried only if neither contains what is needed.

    Args:
        variables: The process environment.
        dotenv: Path of `.env`, which may be missing.
        needs: What the caller needs to find: `server`, `provider`, or both.
        find: Replaces `find_stack`.
    """
    merged = merge_environment(variables, dotenv)
    unknown = [name for name in needs if not any(merged.get(variable) for variable in _NAMED_BY[name])]
    if not unknown:
        return merged
    ports = (find or find_stack)(variables).ports
    variable_names = {variable for name in unknown for variable in _NAMED_BY[name]}
    return {**merged, **{name: port for name, port in ports.items() if name in variable_names}}


def stack_environment(variables: Mapping[str, str], dotenv: Path = DOTENV) -> dict[str, str]:
    """Returns `stack_variables` with the URLs of server and provider derived from the ports, where missing."""
    return with_urls(stack_variables(variables, dotenv))


def crash_hint(variables: Mapping[str, str], *, find: Callable[[Mapping[str, str]], RunningStack] | None = None) -> str:
    """Returns a line about an MCP server of the stack that was started and does not run; "" otherwise.

    Args:
        variables: The process environment.
        find: Replaces `find_stack`.
    """
    state = (find or find_stack)(variables).server
    words = {"crashing": "keeps crashing", "ended": "has ended"}
    return f"the container {_SERVER} {words[state]}: docker compose logs {_SERVER} shows why" if state in words else ""


def find_stack(
    variables: Mapping[str, str],
    folder: Path = Path(),
    *,
    list_containers: Callable[..., bytes] | None = None,
    count_restarts: Callable[..., int] | None = None,
) -> RunningStack:
    """Queries Docker Compose for the stack of a folder; without a compose file or an engine nothing is found.

    Args:
        variables: The environment, for Docker Compose.
        folder: The folder with the compose file.
        list_containers: Replaces `docker compose ps`.
        count_restarts: Replaces `docker inspect`, which returns how often the engine restarted a container.
    """
    if list_containers is None and not is_compose_project(variables, folder):
        return RunningStack({}, "absent")
    try:
        containers = _parse((list_containers or _list_containers)(variables, folder))
    except (OSError, subprocess.SubprocessError, ValueError):
        return RunningStack({}, "absent")
    servers = [container for container in containers if container.get("Service") == _SERVER]
    state = _state(servers)
    if state == "running" and _has_restarted(servers, variables, count_restarts or _count_restarts):
        state = "crashing"
    return RunningStack(_ports(containers), state)


def find_stack_server(
    variables: Mapping[str, str],
    url: str,
    folder: Path = Path(),
    *,
    list_containers: Callable[..., bytes] | None = None,
    read_environment: Callable[..., list[str]] | None = None,
) -> StackServer | None:
    """Returns the MCP server at `url`, if it is a container of the compose stack of a folder.

    Args:
        variables: The environment, for Docker Compose.
        url: The server's public URL.
        folder: The folder with the compose file.
        list_containers: Replaces `docker compose ps`.
        read_environment: Replaces `docker inspect`, which returns the environment of a container.
    """
    if list_containers is None and not is_compose_project(variables, folder):
        return None
    try:
        containers = _parse((list_containers or _list_containers)(variables, folder))
        has_bootstrap = any(container.get("Service") == _BOOTSTRAP for container in containers)
        for container in containers:
            if container.get("Service") == _SERVER and container.get("State") == "running":
                words = (read_environment or _read_environment)(variables, str(container.get("ID", "")))
                pairs = (word.partition("=")[::2] for word in words)
                settings = {name: value for name, value in pairs if name in SERVER_SETTINGS and value}
                if settings.get("MCP_PUBLIC_URL") == url:
                    return StackServer(settings, has_bootstrap)
    except (OSError, subprocess.SubprocessError, ValueError):
        pass  # without an engine there is no stack
    return None


def _read_environment(variables: Mapping[str, str], container: str) -> list[str]:
    """Returns the environment of a container, as `NAME=value`.

    Raises:
        OSError: Docker cannot be run.
        SubprocessError: Docker does not respond in time, or fails.
        ValueError: The output is not JSON.
    """
    command = ["docker", "inspect", "--type", "container", "--format", "{{json .Config.Env}}", "--", container]
    done = subprocess.run(  # noqa: S603 - a fixed command; the id comes from Docker
        command, env=dict(variables), capture_output=True, timeout=_SECONDS, check=True
    )
    words = json.loads(done.stdout[:_MAX_OUTPUT])
    return [word for word in words if isinstance(word, str)] if isinstance(words, list) else []


def is_compose_project(variables: Mapping[str, str], folder: Path) -> bool:
    """Returns whether there is a compose file, and the program `docker`."""
    has_file = bool(variables.get("COMPOSE_FILE")) or any((folder / name).is_file() for name in _FILES)
    return has_file and shutil.which("docker", path=variables.get("PATH", "")) is not None


def _list_containers(variables: Mapping[str, str], folder: Path) -> bytes:
    """Returns the output of `docker compose ps`: one JSON object a line, for each container.

    Raises:
        OSError: Docker cannot be run.
        SubprocessError: Docker does not respond in time, or fails.
    """
    command = ["docker", "compose", "ps", "--all", "--format", "json"]
    done = subprocess.run(  # noqa: S603 - a fixed command
        command, cwd=folder, env=dict(variables), capture_output=True, timeout=_SECONDS, check=True
    )
    return done.stdout[:_MAX_OUTPUT]


def _has_restarted(
    servers: list[dict[str, Any]], variables: Mapping[str, str], count_restarts: Callable[..., int]
) -> bool:
    """Returns whether no server is healthy and the engine has restarted one.

    A server that ends at its start is shown as running for the second that each attempt takes.
    """
    if any(server.get("Health") == "healthy" for server in servers):
        return False
    try:
        return any(count_restarts(variables, str(server.get("ID", ""))) > 0 for server in servers)
    except (OSError, subprocess.SubprocessError, ValueError):
        return False


def _count_restarts(variables: Mapping[str, str], container: str) -> int:
    """Returns how often the engine restarted a container.

    Raises:
        OSError: Docker cannot be run.
        SubprocessError: Docker does not respond in time, or fails.
        ValueError: The output is not a number.
    """
    command = ["docker", "inspect", "--type", "container", "--format", "{{.RestartCount}}", "--", container]
    done = subprocess.run(  # noqa: S603 - a fixed command; the id comes from Docker
        command, env=dict(variables), capture_output=True, timeout=_SECONDS, check=True
    )
    return int(done.stdout[:_MAX_OUTPUT])


def _parse(output: bytes) -> list[dict[str, Any]]:
    """Parses one object a line, or an array, as Docker Compose before 2.21 prints it.

    Raises:
        ValueError: It is not JSON.
    """
    text = output.decode()
    found = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]
    return [container for container in found if isinstance(container, dict)]


def _ports(containers: list[dict[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for container in containers:
        for publisher in container.get("Publishers") or []:
            name = _PORTS.get((container.get("Service", ""), publisher.get("TargetPort")))
            port = publisher.get("PublishedPort")
            if name is not None and isinstance(port, int) and port > 0:
                found.setdefault(name, str(port))
    return found


def _state(servers: list[dict[str, Any]]) -> State:
    states = [server.get("State") for server in servers]
    if not states:
        return "absent"
    if "running" in states:
        return "running"
    return "crashing" if "restarting" in states else "ended"
