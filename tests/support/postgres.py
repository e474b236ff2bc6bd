"""A PostgreSQL database for Dex, with its persistent state including the signing key."""

from __future__ import annotations

import json
import secrets
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTGRES = "dex.yaml,postgres.yaml"  # DEX_CONFIG
_IMAGE = "postgres:17"
_PATIENCE = 120
_SIGNING_KEY = "select convert_from(signing_key, 'UTF8') from keys"


@dataclass
class Postgres:
    """A database server.

    Attributes:
        container: its container.
        password: the password of the user `dex`.
    """

    container: Any
    password: str = field(repr=False)

    @property
    def for_dex(self) -> dict[str, str]:
        """The environment variables that idp-config/dex/postgres.yaml uses."""
        return {
            "DEX_POSTGRES_HOST": "database",
            "DEX_POSTGRES_PASSWORD": self.password,
            "DEX_POSTGRES_SSL": "disable",
        }

    @property
    def other_containers(self) -> dict[str, str]:
        """The container by the host name at which Dex reaches it."""
        return {"database": str(self.container.id)}

    def signing_key(self) -> dict[str, Any]:
        """Returns Dex's private signing key as a JWK."""
        command = ["psql", "-U", "dex", "-At", "-c", _SIGNING_KEY]
        found = self.container.exec_run(command, environment={"PGPASSWORD": self.password})
        assert found.exit_code == 0, found.output
        key: dict[str, Any] = json.loads(found.output)
        return key


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Starts the server with an empty database for Dex; stops it at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of testcontainers at import
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - contacts the engine at import

    password = secrets.token_urlsafe(16)
    database = DockerContainer(_IMAGE, mem_limit="256m")
    database.env = {"POSTGRES_USER": "dex", "POSTGRES_DB": "dex", "POSTGRES_PASSWORD": password}
    database.start()
    try:
        container = database.get_wrapped_container()
        end = time.monotonic() + _PATIENCE
        # By TCP: during the initialization PostgreSQL listens on its Unix socket only.
        while container.exec_run("pg_isready -h 127.0.0.1 -U dex").exit_code and time.monotonic() < end:
            time.sleep(0.2)  # polls, because the process does not signal that it is ready
        yield Postgres(container, password)
    finally:
        database.stop()
