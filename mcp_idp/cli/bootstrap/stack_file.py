"""The file in which `apply` stores the addresses of the compose stack, for the service `login`.

`docker compose run --rm login` may run in another shell than `docker compose up`, with other ports in its environment.
The login therefore reads the addresses that the stack was started with. The MCP server has no access to the file, which
names the only issuer that gets the password.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_STORED = ("OAUTH_SERVER_URL", "MCP_PUBLIC_URL", "CONNECT_TO")
_PLAIN = re.compile(r"[!%&(-\[\]-~]*", re.ASCII)  # no spaces, quotes, # and $: it needs no quotes in a `.env` file


def store_addresses(variables: Mapping[str, str]) -> None:
    """Writes the addresses to the file that STACK_FILE names, as a `.env` file; without STACK_FILE does nothing.

    Args:
        variables: The environment.

    Raises:
        ConfigError: The file cannot be written, or an address cannot be written in it.
    """
    path = variables.get("STACK_FILE", "").strip()
    if not path:
        return
    addresses = {name: value for name in _STORED if (value := variables.get(name, "").strip())}
    for name, value in addresses.items():
        if not _PLAIN.fullmatch(value):
            raise ConfigError(f"{name}: write it without spaces, quotes, # and $")
    text = "".join(f"{name}={value}\n" for name, value in addresses.items())
    temporary = Path(f"{path}.new")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"STACK_FILE={path}: cannot be written ({error.strerror})") from error
