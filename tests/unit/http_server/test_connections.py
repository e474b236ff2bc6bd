"""Which connections are closed if there are too many, or if they hold too many bytes."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field

import pytest

from mcp_idp.http_server.connections import Connections


@dataclass(eq=False)
class Connected:
    name: str
    gone: list[str] = field(default_factory=list)
    waiting: int = 0
    is_idle: bool = True

    def shed(self) -> None:
        self.gone.append(self.name)


class Crowd:
    """Named connections, and those that were closed."""

    def __init__(self, max_connections: int, max_waiting_bytes: int = 1000) -> None:
        self.all = Connections(max_connections, max_waiting_bytes)
        self.gone: list[str] = []

    def come(self, names: str) -> list[Connected]:
        come = [Connected(name, self.gone) for name in names]
        for connection in come:
            self.all.add(connection)
        return come


@pytest.mark.requirement("http.connections")
def test_the_oldest_goes_on_which_no_token_was_verified() -> None:
    crowd = Crowd(4)
    a, b, *_ = crowd.come("abcd")
    crowd.all.mark_authenticated(a)
    crowd.come("e")
    assert crowd.gone == ["b"]
    crowd.all.remove(b)  # as at its end
    crowd.come("fg")
    assert crowd.gone == ["b", "c", "d"]


@pytest.mark.requirement("http.connections")
def test_after_anonymous_connections_the_longest_idle_one_is_closed_then_the_new_one() -> None:
    crowd = Crowd(3)
    a, b, c = crowd.come("abc")
    for connection in (a, b, c, b, a):
        crowd.all.mark_authenticated(connection)
    c.is_idle = False
    crowd.come("d")
    assert crowd.gone == ["b"]
    a.is_idle = False
    crowd.come("e")
    assert crowd.gone == ["b", "d"]
    (f,) = crowd.come("f")
    crowd.all.mark_authenticated(f)
    f.is_idle = False
    crowd.come("g")
    assert crowd.gone == ["b", "d", "e", "g"]


@pytest.mark.requirement("http.connections")
def test_a_disconnected_client_releases_its_memory() -> None:
    crowd = Crowd(2)
    for _ in range(5):
        for connection in crowd.come("ab"):
            crowd.all.add_waiting(connection, 500)
            crowd.all.remove(connection)
    assert crowd.gone == []


@pytest.mark.requirement("http.connections")
def test_a_connection_closed_during_verification_is_not_counted() -> None:
    crowd = Crowd(2)
    for connection in crowd.come("ab"):
        crowd.all.remove(connection)
        crowd.all.mark_authenticated(connection)
        crowd.all.add_waiting(connection, 2000)
    c, _ = crowd.come("cd")
    crowd.all.add_waiting(c, 900)
    assert crowd.gone == []


@pytest.mark.requirement("http.pending_bytes")
def test_the_connection_with_the_most_pending_bytes_is_closed() -> None:
    crowd = Crowd(9, 1000)
    a, b, c = crowd.come("abc")
    crowd.all.add_waiting(a, 400)
    crowd.all.add_waiting(b, 500)
    crowd.all.add_waiting(c, 50)
    assert crowd.gone == []
    crowd.all.add_waiting(c, 100)
    assert crowd.gone == ["b"]
    crowd.all.clear_waiting(a)
    crowd.all.add_waiting(c, 800)
    assert crowd.gone == ["b"]
    crowd.all.add_waiting(c, 100)
    assert crowd.gone == ["b", "c"]
    crowd.all.add_waiting(a, 1000)
    crowd.all.clear_waiting(a)
    crowd.all.clear_waiting(a)
    assert crowd.gone == ["b", "c"]


@pytest.mark.requirement("http.connections")
def test_there_are_fewer_than_the_process_may_open_files() -> None:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    crowd = Crowd(files)
    connections = [Connected("", crowd.gone) for _ in range(files - 63)]
    for connection in connections:
        crowd.all.add(connection)
    assert len(crowd.gone) == 1
