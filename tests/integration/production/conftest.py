"""One stack for this folder. Every test leaves it intact, except those of the last file, which change its image."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.support.production.deployment import LOGIN, MCP, UP, USER, Production

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def production(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    stack = Production(folder=tmp_path_factory.mktemp("production"), patience=1800)
    stack.password_file.parent.mkdir(mode=0o700)
    stack.password_file.write_text(secrets.token_hex(32))
    stack.variables.update(
        COMPOSE_FILE="docker-compose.yml:docker-compose.production.yml",
        MCP_HOST=MCP,
        LOGIN_HOST=LOGIN,
        HTTPS_PORT=f"127.0.0.1:{stack.https_port}",
        HTTP_PORT=f"127.0.0.1:{stack.http_port}",
        DATABASE_PASSWORD_FILE=str(stack.password_file),
        KEYCLOAK_HEAP="-Xms64m -Xmx384m",
    )
    try:
        stack.compose("build")
        stack.compose(*UP)
        stack.trust_caddy()
        login = {"type": "password", "value": USER, "temporary": False}
        names = {"firstName": "Ada", "lastName": "L", "email": "ada@example.test", "emailVerified": True}
        user = {"username": USER, "enabled": True, "credentials": [login], **names}
        stack.bootstrap_users("create", "users", "-r", "mcp", "-f", "-", stdin=json.dumps(user))
        stack.bootstrap_users("add-roles", "-r", "mcp", "--uusername", USER, "--rolename", "mcp-reader")
        yield stack
    finally:
        down = ("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5")
        stack.compose("--profile", "tools", *down, check=False)
