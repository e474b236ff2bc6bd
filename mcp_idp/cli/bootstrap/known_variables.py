"""Every variable that some part of the stack reads: what is written almost like one of them is a typing error.

Compose hands a service only the variables that its file lists, so a misspelt line of `.env` reaches nobody. The
bootstrap is handed the whole of `.env` for this alone; what it must not read of it, the compose file sets itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.auth0.settings import NAMES as AUTH0
from mcp_idp.cli.bootstrap.dex.settings import NAMES as DEX
from mcp_idp.cli.bootstrap.entra.settings import NAMES as ENTRA
from mcp_idp.cli.bootstrap.keycloak.settings import NAMES as KEYCLOAK
from mcp_idp.config.env import COMPOSE_ONLY_VARIABLES, EnvReader
from mcp_idp.config.settings import NAMES as SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KNOWN = frozenset({*SERVER, *COMPOSE_ONLY_VARIABLES, *KEYCLOAK, *DEX, *AUTH0, *ENTRA})


def find_typos(variables: Mapping[str, str]) -> Iterator[str]:
    """A line for each variable that is none of ours and looks like one; no value is in it."""
    return EnvReader(variables).find_typos(KNOWN)
