"""A Valkey that can be stopped and started again at the same port."""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.compose_stack import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_IMAGE = "valkey/valkey:8"
_PATIENCE = 60


@dataclass
class Valkey:
    """Attributes: the container that it runs in, and the URL by which servers of this machine reach it."""

    container: Any
    url: str

    def stop(self) -> None:
        self.container.stop(timeout=1)

    def start(self) -> None:
        self.container.start()
        end = time.monotonic() + _PATIENCE
        while self.container.exec_run("valkey-cli ping").output.strip() != b"PONG" and time.monotonic() < end:
            time.sleep(0.1)  # polling a process that tells nobody when it is ready

    def names(self) -> list[str]:
        """The names of all that it holds."""
        found: bytes = self.container.exec_run("valkey-cli --scan").output
        return found.decode().split()


@contextmanager
def running_valkey() -> Iterator[Valkey]:
    """Start it empty; stop it at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the container library's own, at import
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - asks for the engine when imported

    port = free_port()
    server = DockerContainer(_IMAGE, mem_limit="128m")
    server.ports["6379"] = ("127.0.0.1", port)  # type: ignore[assignment] # as Docker's own library takes it
    server.start()
    try:
        valkey = Valkey(server.get_wrapped_container(), f"redis://127.0.0.1:{port}/0")
        valkey.start()
        yield valkey
    finally:
        server.stop()
