"""Reads and validates the files in idp-config/dex."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.util import strict_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_idp.cli.bootstrap.dex.settings import DexSettings

Json = dict[str, Any]

# Set by the bootstrap from the access file and the environment.
_MANAGED_KEYS = ("issuer", "web", "telemetry", "staticClients", "staticPasswords", "enablePasswordDB")
_NEVER = {
    "authproxy": "trusts a request header",
    "mockCallback": "accepts every user",
    "mockPassword": "has one public password",
}
_CONNECTOR_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,40}", re.ASCII)
Path_ = Annotated[str, StringConstraints(pattern=r"^/[a-z]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProxyConfig(_Strict):
    """The content of `front.yaml`.

    Attributes:
        pool: The number of static clients in the pool for native clients.
        vendor_loopback: Additional redirect URIs by vendor.
        resources: Further MCP servers: the name of the access file, beside that of the first server, by public URL.
    """

    model_config = ConfigDict(title="front.yaml")

    pool: int = Field(ge=1, le=100)
    vendor_loopback: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    resources: dict[str, Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]] = Field(
        default_factory=dict
    )


class Metadata(_Strict):
    """The content of `metadata.yaml`.

    Attributes:
        endpoints: Metadata member to path below the issuer.
        members: Further metadata members with their values.
        scopes: Dex's own scopes.
    """

    model_config = ConfigDict(title="metadata.yaml")

    endpoints: dict[str, Path_]
    members: dict[str, tuple[str, ...]]
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DexTemplates:
    """The files that were read.

    Attributes:
        dex: Dex's own configuration.
        proxy: The proxy's configuration.
        metadata: The metadata's fixed parts.
        caddyfile: The template of the proxy's Caddyfile.
        register: The template of registration responses.
    """

    dex: Json
    proxy: ProxyConfig
    metadata: Metadata
    caddyfile: str
    register: str

    @property
    def connectors(self) -> list[Json]:
        """Dex's connectors: the sources of user accounts other than the demo users."""
        found: list[Json] = self.dex.get("connectors") or []
        return found


def read_source(settings: DexSettings) -> DexTemplates:
    """Reads the files.

    Raises:
        ConfigError: A file is missing or invalid; the message is one line that names it.
    """
    folder = settings.sources
    try:
        source = DexTemplates(
            dex=_merged([(name, _mapping(folder / name)) for name in settings.config]),
            proxy=ProxyConfig.model_validate(_mapping(folder / "front.yaml")),
            metadata=Metadata.model_validate(_mapping(folder / "metadata.yaml")),
            caddyfile=(folder / "Caddyfile").read_text(encoding="utf-8"),
            register=(folder / "register.json").read_text(encoding="utf-8"),
        )
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{folder} {error.title}: {place}: {first['msg']}") from error
    for connector in source.connectors:
        _check_connector(connector)
    return source


def _mapping(path: Path) -> Json:
    try:
        content = strict_yaml.loads(path.read_text(encoding="utf-8"))
    except (strict_yaml.StrictYamlError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: must be a mapping")
    return content


def _merged(files: list[tuple[str, Json]]) -> Json:
    """Merges the files: members of later files replace earlier ones, connectors are concatenated."""
    merged: Json = {}
    for name, content in files:
        for member, value in content.items():
            if member in _MANAGED_KEYS:
                raise ConfigError(f"{name}: {member} is derived from the access file and the environment: remove it")
            merged[member] = [*merged.get(member, []), *(value or [])] if member == "connectors" else value
    return merged


def _check_connector(connector: Json) -> None:
    kind, name = connector.get("type"), connector.get("id")
    if not isinstance(name, str) or not _CONNECTOR_ID.fullmatch(name) or name == "local":
        raise ConfigError(f"connectors: the id {name!r} must consist of a-z, 0-9 and '-', and not be 'local'")
    if kind in _NEVER:
        raise ConfigError(f"connectors.{name}: the type {kind} {_NEVER[kind]}: use another one")
