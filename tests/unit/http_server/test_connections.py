"""Who goes when there are too many connections, or too much is held in them."""

from __future__ import annotations

import resource
import tracemalloc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from mcp_idp.http_server.connections import Connections
from tests.support.app import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(eq=False)
class Connected:
    name: str
    gone: list[str] = field(default_factory=list)
    host: str = ""
    waiting: int = 0
    unsent: int = 0
    is_idle: bool = True
    unread: int = 0
    serves: bool = False

    def measure_unsent(self) -> int:
        return self.unread

    def shed(self) -> bool:
        self.gone.append(self.name)
        return not self.serves

    def cut(self) -> None:
        self.gone.append(self.name)


class Crowd:
    """Named connections, and those that were closed."""

    def __init__(self, max_connections: int, max_waiting: int = 1000, max_unsent: int = 1000) -> None:
        self.clock = FakeClock()
        self.all = Connections(max_connections, max_waiting, max_unsent, self.clock.clock.monotonic)
        self.gone: list[str] = []

    def come(self, names: str, host: str = "", user: str = "") -> list[Connected]:
        """Connections from `host`, on which a token of `user` is verified at once, if one is named."""
        come = [Connected(name, self.gone, host) for name in names]
        for connection in come:
            self.all.add(connection)
            if user:
                self.all.mark_authenticated(connection, user)
        return come


def test_the_oldest_goes_on_which_no_token_was_verified() -> None:
    crowd = Crowd(4)
    a, b, *_ = crowd.come("abcd")
    crowd.all.mark_authenticated(a, "ada")
    crowd.come("e")
    assert crowd.gone == ["b"]
    crowd.all.remove(b)  # as at its end
    crowd.come("fg")
    assert crowd.gone == ["b", "c", "d"]


def test_the_address_goes_first_that_holds_most_whatever_the_order() -> None:
    crowd = Crowd(8)
    crowd.come("a", "192.0.2.1")
    crowd.come("bcdefg", "192.0.2.2")
    crowd.come("h", "192.0.2.3")
    crowd.come("ijk", "192.0.2.4")
    assert crowd.gone == ["b", "c", "d"]
    crowd.come("l", "192.0.2.5")
    assert crowd.gone == ["b", "c", "d", "e"]
    crowd.come("m", "192.0.2.6")  # now the fourth has as many as the second, and is younger
    assert crowd.gone == ["b", "c", "d", "e", "i"]


@pytest.mark.parametrize(
    ("hosts", "group"),
    [
        (("2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"), True),
        (("2001:db8::1", "2001:db8:0:1::1", "2001:db8:1::1"), False),
        (("::ffff:192.0.2.1", "192.0.2.1", "::ffff:c000:201"), True),
        (("::ffff:192.0.2.1", "::ffff:192.0.2.2", "::ffff:192.0.2.3"), False),
        (("fe80::1%eth0", "fe80::2%eth0", "fe80::3%eth0"), True),
    ],
)
def test_an_address_is_a_network_of_64_bits_or_one_of_ipv4(hosts: tuple[str, str, str], *, group: bool) -> None:
    crowd = Crowd(5)
    crowd.come("ab", "198.51.100.7")
    for name, host in zip("cde", hosts, strict=True):
        crowd.come(name, host)
    crowd.come("f", "198.51.100.8")
    assert crowd.gone == (["c"] if group else ["a"])


def test_unknown_addresses_over_their_share_lose_connections_before_a_larger_user() -> None:
    crowd = Crowd(16)
    crowd.come("ABCDEFGHIJ", "192.0.2.1", "ada")
    crowd.come("abcdef", "192.0.2.2")
    crowd.come("KL", "192.0.2.1", "ada")
    assert crowd.gone == ["a", "b"]


def test_one_user_who_holds_all_keeps_no_newcomer_out() -> None:
    crowd = Crowd(16)
    crowd.come("ABCDEFGHIJKLMNOP", "192.0.2.1", "ada")
    (a,) = crowd.come("a", "192.0.2.2")
    crowd.come("QRST", "192.0.2.1", "ada")
    crowd.come("b", "192.0.2.3")
    assert crowd.gone == list("ABCDEF")
    crowd.all.mark_authenticated(a, "bob")
    crowd.come("UV", "192.0.2.1")  # no user has authenticated on them, but their address is known by now
    crowd.come("W", "192.0.2.1", "ada")
    assert crowd.gone == list("ABCDEFGHI")


def test_an_address_is_known_for_a_minute_after_a_token_was_verified_there() -> None:
    for seconds, gone in ((59.0, ["C"]), (61.0, ["b"])):
        crowd = Crowd(8)
        (proxy_connection,) = crowd.come("A", "192.0.2.1", "ada")
        crowd.come("b", "192.0.2.1")
        crowd.clock.forward(seconds)
        crowd.all.remove(proxy_connection)
        crowd.come("CDEFGHI", "192.0.2.2", "bob")
        assert crowd.gone == []
        crowd.come("b", "192.0.2.1")
        assert crowd.gone == gone, seconds


def test_of_a_user_the_connection_goes_that_has_been_idle_for_longest_and_never_one_in_use() -> None:
    crowd = Crowd(3)
    a, b, c = crowd.come("abc")
    for connection in (a, b, c, b, a):
        crowd.all.mark_authenticated(connection, "ada")
    c.is_idle = False
    crowd.come("d")
    assert crowd.gone == ["b"]
    a.is_idle = False
    crowd.come("e")
    assert crowd.gone == ["b", "d"]
    (f,) = crowd.come("f")
    crowd.all.mark_authenticated(f, "ada")
    f.is_idle = False
    crowd.come("g")
    assert crowd.gone == ["b", "d", "e", "g"]


def test_a_smaller_user_loses_one_where_all_of_the_largest_are_in_use() -> None:
    crowd = Crowd(6)
    for connection in crowd.come("ABCD", "192.0.2.1", "ada"):
        connection.is_idle = False
    crowd.come("ef", "192.0.2.2", "bob")
    crowd.come("G", "192.0.2.3", "cyd")
    assert crowd.gone == ["e"]


def test_who_has_left_makes_room() -> None:
    crowd = Crowd(2)
    for _ in range(5):
        for connection in crowd.come("ab"):
            crowd.all.add_waiting(connection, 500)
            crowd.all.remove(connection)
    assert (crowd.gone, len(crowd.all), crowd.all.waiting, crowd.all.unsent) == ([], 0, 0, 0)


@pytest.mark.requirement("http.connections")
def test_a_connection_closed_during_verification_is_not_counted() -> None:
    crowd = Crowd(2)
    for connection in crowd.come("ab"):
        crowd.all.remove(connection)
        crowd.all.mark_authenticated(connection, "ada")
        crowd.all.add_waiting(connection, 2000)
        crowd.all.update_unsent(connection)
    c, _ = crowd.come("cd")
    crowd.all.add_waiting(c, 900)
    assert crowd.gone == []


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
    (d,) = crowd.come("d", "192.0.2.2")
    crowd.all.add_waiting(a, 300)
    crowd.all.add_waiting(d, 400)
    (e,) = crowd.come("e")
    crowd.all.add_waiting(e, 310)  # two of one address, each less than the other address has in one
    assert crowd.gone == ["b", "c", "e"]


def test_one_that_serves_an_authenticated_request_only_loses_what_waits_behind_it() -> None:
    crowd = Crowd(9, 1000)
    a, b = crowd.come("ab")
    a.serves = True
    crowd.all.add_waiting(a, 900)
    crowd.all.add_waiting(b, 200)
    assert (crowd.gone, a.waiting, len(crowd.all), crowd.all.waiting) == (["a"], 0, 2, 200)


def test_over_the_limit_the_largest_holder_loses_its_connection_with_most_unread_bytes() -> None:
    crowd = Crowd(9, max_unsent=1000)
    a, b = crowd.come("ab", "192.0.2.1", "ada")
    (c,) = crowd.come("c", "192.0.2.2", "bob")
    a.unread, b.unread, c.unread = 300, 200, 400
    crowd.all.sweep()
    assert (crowd.gone, crowd.all.unsent) == ([], 900)
    b.unread = 301
    crowd.all.update_unsent(b)
    assert (crowd.gone, crowd.all.unsent) == (["b"], 700)
    c.unread = 10
    crowd.all.update_unsent(c)
    a.unread = 990
    crowd.all.sweep()
    assert (crowd.gone, crowd.all.unsent) == (["b"], 1000)
    c.unread = 11
    crowd.all.sweep()
    assert (crowd.gone, crowd.all.unsent) == (["b", "a"], 11)


def test_what_is_unread_is_the_users_once_the_token_is_verified() -> None:
    crowd = Crowd(9, max_unsent=1000)
    a, b, c = crowd.come("abc")
    a.unread, b.unread, c.unread = 500, 300, 200
    crowd.all.sweep()
    for connection in (b, c):
        crowd.all.mark_authenticated(connection, "ada")
    a.unread = 501
    crowd.all.sweep()
    assert (crowd.gone, crowd.all.unsent) == (["a"], 500)


def test_an_address_without_a_token_loses_a_connection_even_if_it_is_in_use() -> None:
    crowd = Crowd(2)
    for connection in crowd.come("ab", "192.0.2.1"):
        connection.is_idle = False
    crowd.come("c", "192.0.2.2")
    assert crowd.gone == ["a"]


def test_of_the_addresses_where_a_token_was_verified_the_earliest_is_forgotten_first() -> None:
    for others, gone in ((4094, ["C"]), (4095, ["b"])):
        crowd = Crowd(8)
        for number in range(1 + others):  # and one more below
            (connection,) = crowd.come("A", f"10.0.{number >> 8}.{number & 255}", "ada")
            crowd.all.remove(connection)
        crowd.come("b", "10.0.0.0")
        crowd.come("CDEFGHI", "192.0.2.2", "bob")
        assert crowd.gone == []
        crowd.come("b", "10.0.0.0")
        assert crowd.gone == gone, others


def test_nothing_remains_of_addresses_and_users_that_have_left() -> None:
    crowd = Crowd(8)

    def come_and_go(numbers: range) -> int:
        for number in numbers:
            (connection,) = crowd.come("a", "192.0.2.1", f"user {number}")
            crowd.all.remove(connection)
            (connection,) = crowd.come("a", f"2001:db8:{number:x}::1")
            crowd.all.mark_authenticated(connection, "ada")
            crowd.all.remove(connection)
        crowd.clock.forward(61)
        for connection in crowd.come("bcdefghij"):  # one too many, so old addresses are forgotten
            crowd.all.remove(connection)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = come_and_go(range(4200))  # as many as caches hold
        growth = come_and_go(range(4200, 6200)) - before
    finally:
        tracemalloc.stop()
    assert growth < 100_000


class Loop:
    """The timers that were set: seconds, and what is called then."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Callable[[], object]]] = []

    def call_later(self, seconds: float, callback: Callable[..., object], *arguments: object) -> object:
        self.timers.append((seconds, lambda: callback(*arguments)))
        return object()


def test_unread_bytes_are_measured_every_second_while_there_are_connections() -> None:
    crowd, loop = Crowd(9, max_unsent=1000), Loop()
    (a,) = crowd.come("a")
    for _ in range(2):
        crowd.all.keep_measuring(loop)  # type: ignore[arg-type] # the only method that it needs
    a.unread = 1001
    ((seconds, measure),) = loop.timers
    assert (seconds, crowd.gone) == (1.0, [])
    measure()
    assert crowd.gone == ["a"]
    assert len(loop.timers) == 1  # there is no connection
    crowd.come("b")
    crowd.all.keep_measuring(loop)  # type: ignore[arg-type]
    loop.timers.pop()[1]()
    assert len(loop.timers) == 2


@pytest.mark.requirement("http.connections")
def test_there_are_fewer_than_the_process_may_open_files() -> None:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    crowd = Crowd(files)
    connections = [Connected("", crowd.gone) for _ in range(files - 63)]
    for connection in connections:
        crowd.all.add(connection)
    assert len(crowd.gone) == 1
