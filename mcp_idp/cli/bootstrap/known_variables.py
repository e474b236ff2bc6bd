"""All environment variables of the stack, to detect misspelled ones.

Compose passes a service only the variables that its file lists, so a misspelled name in `.env` reaches no service. For
this check alone, the bootstrap receives the whole of `.env`; the compose file itself sets the variables that the
bootstrap must not read from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.config.env import EnvReader
from mcp_idp.config.stack_settings import KNOWN_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def find_typos(variables: Mapping[str, str]) -> Iterator[str]:
    """Yields a warning for each unknown variable that resembles a known one; it does not contain the value."""
    return EnvReader(variables).find_typos(KNOWN_NAMES)
