"""Parses the challenge of a response."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


def challenge(response: httpx.Response) -> dict[str, str]:
    """Returns the parameters of the only Bearer challenge; asserts that each occurs once."""
    (value,) = response.headers.get_list("www-authenticate")
    scheme, _, rest = value.partition(" ")
    assert scheme == "Bearer"
    parameters = re.findall(r'(\w+)="([^"\\]*)"(?:, |$)', rest)
    assert ", ".join(f'{name}="{text}"' for name, text in parameters) == rest
    assert len(dict(parameters)) == len(parameters)
    return dict(parameters)
