"""All environment variables of the stack, to detect misspelled ones.

Compose passes a service only the variables that its file lists, so a misspelled name in `.env` reaches no service. For
this check alone, the bootstrap receives the whole of `.env`; the compose file itself sets the variables that the
bootstrap must not read from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.auth0.settings import NAMES as AUTH0
from mcp_idp.cli.bootstrap.dex.settings import NAMES as DEX
from mcp_idp.cli.bootstrap.entra.settings import NAMES as ENTRA
from mcp_idp.cli.bootstrap.keycloak.settings import NAMES as KEYCLOAK
from mcp_idp.config.env import COMPOSE_ONLY_VARIABLES, EnvReader
from mcp_idp.config.settings import NAMES as SERVER
from mcp_idp.registrar.settings import NAMES as REGISTRAR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KNOWN = frozenset({*SERVER, *COMPOSE_ONLY_VARIABLES, *KEYCLOAK, *DEX, *AUTH0, *ENTRA, *REGISTRAR})


def find_typos(variables: Mapping[str, str]) -> Iterator[str]:
    """Yields a warning for each unknown variable that resembles a known one; it does not contain the value."""
    return EnvReader(variables).find_typos(KNOWN)
