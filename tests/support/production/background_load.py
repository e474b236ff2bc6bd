"""A user who continuously logs in, refreshes and calls tools while the stack is changed."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.compose_stack import earlier_greeting, greeting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.production.deployment import Production

_OK = 200
_PATIENCE = 300  # seconds


@dataclass(slots=True)
class AtWork:
    """The results of the background load.

    Attributes:
        done: the number of successes per operation.
        again: operations that succeeded at the second attempt, with the first response.
        failed: operations that failed twice.
    """

    production: Production
    done: Counter[str] = field(default_factory=Counter)
    again: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _days: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def wait_for_days(self, count: int) -> None:
        """Waits until `count` more cycles have ended, including the current one."""
        for _ in range(count):
            assert self._days.acquire(timeout=_PATIENCE), self.failed

    def live(self, over: threading.Event) -> None:
        """Runs one cycle after the other."""
        client_id = self.production.client()
        while not over.is_set():
            try:
                self._day(client_id)
            except Exception as error:  # noqa: BLE001 - any error is a failure that the user would see
                self.failed.append(repr(error))
            self._days.release()

    def _day(self, client_id: str) -> None:
        """Runs a cycle: log in, call a tool in both protocol revisions, refresh, call again."""
        tokens = self._request_twice("login", lambda: self.production.log_in_with(client_id))
        self._call(tokens["access_token"])
        renewed = self._request_twice("refresh", lambda: self.production.refreshed(client_id, tokens))
        self._call(renewed["access_token"])

    def _call(self, token: str) -> None:
        self._request_twice("modern", lambda: self._called(greeting(token)))
        self._request_twice("earlier", lambda: self._called(earlier_greeting(token)))

    def _called(self, call: dict[str, Any]) -> dict[str, Any]:
        response = self.production.request("POST", self.production.url, **call)
        return {"status": response.status_code, "text": response.text}

    def _request_twice(self, what: str, request: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            response = request()
            assert response["status"] == _OK, response
        except Exception as error:  # noqa: BLE001 - see above
            self.again.append(f"{what}: {error!r}")
            response = request()
            assert response["status"] == _OK, f"{what}: {response}"
        self.done[what] += 1
        return response


@contextmanager
def at_work(production: Production) -> Iterator[AtWork]:
    """Runs the load until the block ends.

    It uses one user and one login at a time, because Keycloak rejects a concurrent password check of the same user.
    """
    seen, over = AtWork(production), threading.Event()
    thread = threading.Thread(target=seen.live, args=(over,))
    thread.start()
    try:
        seen.wait_for_days(1)
        yield seen
    finally:
        over.set()
        thread.join()
