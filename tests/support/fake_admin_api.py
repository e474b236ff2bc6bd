"""A fake Keycloak admin API with configurable responses."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.http_server import Handler, listening

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def keycloak(statuses: dict[str, int]) -> Iterator[str]:
    """Serves a fake admin API and yields its URL; `statuses` maps path prefixes to statuses, other paths are 404."""

    class AdminHandler(Handler):
        def respond(self) -> None:
            status = next((code for start, code in statuses.items() if self.path.startswith(start)), 404)
            tokens = {"access_token": "a.b.c", "expires_in": 300, "token_type": "Bearer"}
            self.send(status, json.dumps(tokens if status == 200 else {"error": "no"}).encode())

    with listening(AdminHandler) as port:
        yield f"http://localhost:{port}"


TOKEN = "/realms/master/protocol/openid-connect/token"
