"""Every limit over real sockets, with an attacker's requests."""

from __future__ import annotations

import gc
import json
import re
import threading
import weakref
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.http_server.limits import HttpLimits
from mcp_idp.http_server.protocol import protocol_with_limits
from tests.support.raw_http import HOST, LARGE, Served, served

if TYPE_CHECKING:
    from collections.abc import Iterator

GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST /next HTTP/1.1\r\n" + HOST
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LIMITS = HttpLimits(body_bytes=64 * 1024)


@pytest.fixture(scope="module")
def shared() -> Iterator[Served]:
    with served(LIMITS) as server:
        yield server


@pytest.fixture
def server(shared: Served) -> Served:
    shared.once(GET + b"\r\n")  # a response shows that tasks of the previous test are done
    shared.app.seen.clear()
    shared.app.headers.clear()
    shared.app.ended.clear()
    return shared


@pytest.fixture
def hasty() -> Iterator[Served]:
    with served(HttpLimits(header_seconds=0.3, body_seconds=0.2)) as server:
        yield server


def head_of(size: int, path: bytes = b"/") -> bytes:
    start = b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"X: "
    return start + b"a" * (size - len(start) - 4) + b"\r\n\r\n"


# ---- sizes


@pytest.mark.requirement("http.header_length")
@pytest.mark.parametrize("piece", [1 << 20, LIMITS.header_bytes - 1, 1000], ids=["one", "two", "many"])
def test_a_head_of_exactly_the_bound_passes_and_one_byte_more_is_answered_431_and_closed(
    server: Served, piece: int
) -> None:
    with server.connect() as connection:
        for size in (LIMITS.header_bytes, LIMITS.header_bytes):
            head = head_of(size)
            connection.send(*(head[i : i + piece] for i in range(0, size, piece)))
            assert connection.read_response().status == 200
        head = head_of(LIMITS.header_bytes + 1, b"/over")
        connection.send(*(head[i : i + piece] for i in range(0, len(head), piece)))
        response = connection.read_response()
        assert connection.rest() == b""
    assert response.status == 431
    assert response.headers["connection"] == "close"
    assert json.loads(response.body).keys() == {"error", "error_description"}
    assert server.app.seen == ["/", "/"]


@pytest.mark.requirement("http.header_length")
def test_a_head_that_begins_with_the_end_of_another_request_has_the_same_bound(server: Served) -> None:
    for size, status in ((LIMITS.header_bytes, 200), (LIMITS.header_bytes + 100, 431)):
        head = head_of(size)
        with server.connect() as connection:
            assert connection.send(GET + b"\r\n" + head[:3000]).read_response().status == 200
            assert connection.send(head[3000:]).read_response().status == status


@pytest.mark.requirement("http.header_length")
@pytest.mark.parametrize(
    "start",
    [b"GET /", GET + b"X:", GET + b"X: ", GET, b"\r\n" * 9, GET + b"\r\n" + GET + b"Y: "],
    ids=["target", "white space", "value", "name", "line ends", "second of two"],
)
@pytest.mark.parametrize("fill", [b"a", b" "])
def test_nothing_before_the_end_of_a_head_is_read_without_bound(server: Served, start: bytes, fill: bytes) -> None:
    if start.isspace():
        fill = b"\r\n"
    with server.connect() as connection:
        connection.send(start, fill * (3 * LIMITS.header_bytes))
        received = connection.rest()
    assert re.findall(rb"HTTP/1.1 (\d+)", received)[-1] in {b"431", b"400"}
    assert len(server.app.seen) <= 1


def test_a_hundred_headers_pass_and_one_more_is_answered_431(server: Served) -> None:
    assert server.once(GET + b"x: \r\n" * 99 + b"\r\n").status == 200
    assert server.once(GET + b"x: \r\n" * 100 + b"\r\n").status == 431
    assert len(server.app.seen) == 1


@pytest.mark.requirement("http.body_length")
def test_a_declared_body_of_exactly_the_bound_passes_and_one_byte_more_is_answered_413_unread(server: Served) -> None:
    bound = LIMITS.body_bytes
    assert server.once(POST + b"Content-Length: %d\r\n\r\n" % bound + b"b" * bound).body == b"POST /next 65536"
    with server.connect() as connection:
        response = connection.send(POST + b"Content-Length: %d\r\n\r\n" % (bound + 1)).read_response()
        assert connection.rest() == b""
    assert response.status == 413
    assert server.app.seen == ["/next"]


@pytest.mark.requirement("http.body_length")
def test_a_chunked_body_of_exactly_the_bound_passes_and_one_byte_more_is_answered_413(server: Served) -> None:
    chunks = b"1000\r\n" + b"b" * 0x1000 + b"\r\n"
    assert server.once(CHUNKED + chunks * 16 + b"0\r\n\r\n").body == b"POST /next 65536"
    with server.connect() as connection:
        assert connection.send(CHUNKED + chunks * 16 + b"1\r\nb\r\n").read_response().status == 413
        assert connection.rest() == b""
    assert server.app.ended.wait(5)


@pytest.mark.requirement("http.body_length")
def test_a_chunked_body_is_bounded_even_after_its_request_was_answered(server: Served) -> None:
    with server.connect() as connection:
        connection.send(CHUNKED.replace(b"/next", b"/unread"))
        assert connection.read_response().status == 401
        assert connection.drip(b"1000\r\n" + b"b" * 0x1000 + b"\r\n", times=100)


@pytest.mark.requirement("http.chunk_overhead")
@pytest.mark.parametrize("start", [b"1;x=", b"0\r\nX: "], ids=["extension", "trailer"])
def test_chunk_extensions_and_trailers_are_bounded_like_headers(server: Served, start: bytes) -> None:
    assert server.once(CHUNKED + b"1;x=1\r\nb\r\n0\r\nX: 1\r\n\r\n").status == 200
    with server.connect() as connection:
        connection.send(CHUNKED, start, b"a" * (3 * LIMITS.header_bytes))
        assert connection.read_response().status == 413
        assert connection.rest() == b""


@pytest.mark.requirement("http.chunk_overhead")
def test_a_body_of_small_chunks_passes(server: Served) -> None:
    assert server.once(CHUNKED + b"1\r\nb\r\n" * 20_000 + b"0\r\n\r\n").body == b"POST /next 20000"


@pytest.mark.requirement("http.trailers")
def test_a_trailer_never_becomes_a_header(server: Served) -> None:
    response = server.once(CHUNKED + b"1\r\nb\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
    assert response.status == 200
    assert [name for name, _ in server.app.headers[0]] == [b"host", b"transfer-encoding"]


@pytest.mark.requirement("http.readable_rejection")
def test_a_client_that_sends_all_before_it_reads_still_reads_the_413(server: Served) -> None:
    size = 8 * 1024 * 1024
    with server.connect() as connection:
        connection.send(POST + b"Content-Length: %d\r\n\r\n" % size, b"b" * size)
        assert connection.read_response().status == 413
        assert connection.rest() == b""


@pytest.mark.requirement("http.readable_rejection")
@pytest.mark.parametrize(("seconds", "size"), [(0.2, 1 << 50), (600, 100_000)], ids=["time", "amount"])
def test_a_rejected_client_is_not_read_from_for_ever(seconds: float, size: int) -> None:
    limits = HttpLimits(linger_seconds=seconds, linger_bytes=size)
    with served(limits) as server, server.connect() as connection:
        assert connection.send(b"nonsense\r\n\r\n").read_response().status == 400
        assert connection.rest() == b""
        assert connection.is_reset_under(b"x" * 1000)


# ---- all connections together


@pytest.mark.requirement("http.header_count")
def test_more_than_a_hundred_headers_are_rejected_before_their_head_ends(server: Served) -> None:
    with server.connect() as connection:
        assert connection.send(GET + b"x: y\r\n" * 1000).read_response().status == 431
        assert connection.rest() == b""


@pytest.mark.requirement("http.connections")
def test_over_the_bound_the_oldest_connection_gets_503_and_a_request_on_a_new_one_is_answered() -> None:
    with served(HttpLimits(connections=8)) as server, ExitStack() as stack:
        halves = [stack.enter_context(server.connect()).send(GET) for _ in range(8)]
        for _ in range(3):
            assert server.once(GET + b"\r\n").status == 200
        response = halves[0].read_response()
        assert (response.status, response.headers["retry-after"]) == (503, "1")
        assert json.loads(response.body)["error"] == "server_full"
        assert halves[0].rest() == b""
        assert halves[7].send(b"\r\n").read_response().status == 200


@pytest.mark.requirement("http.connections")
def test_an_authenticated_connection_stays_and_is_closed_last_when_it_is_idle() -> None:
    with served(HttpLimits(connections=4)) as server, ExitStack() as stack:
        known, busy = (stack.enter_context(server.connect()) for _ in range(2))
        assert known.send(GET.replace(b"/ ", b"/known ") + b"\r\n").read_response().status == 200
        busy.send(GET.replace(b"/ ", b"/known/wait ") + b"\r\n")
        while not server.app.pauses:
            assert known.send(GET + b"\r\n").read_response().status == 200
        for _ in range(20):
            stack.enter_context(server.connect()).send(GET)
        assert server.once(GET + b"\r\n").status == 200
        assert known.send(GET + b"\r\n").read_response().status == 200
        for _ in range(3):
            other = stack.enter_context(server.connect())
            assert other.send(GET.replace(b"/ ", b"/known ") + b"\r\n").read_response().status == 200
        assert known.read_response().status == 503
        assert other.send(b"GET /release HTTP/1.1\r\n" + HOST + b"\r\n").read_response().status == 200
        assert busy.read_response().status == 200


@pytest.mark.requirement("http.connections")
def test_a_connection_with_a_request_in_progress_is_not_closed_though_it_is_the_oldest_of_its_user() -> None:
    with served(HttpLimits(connections=4)) as server, ExitStack() as stack:
        busy, idle = (stack.enter_context(server.connect()) for _ in range(2))
        busy.send(GET.replace(b"/ ", b"/known/wait ") + b"\r\n")
        assert idle.send(GET + b"\r\n").read_response().status == 200
        while not server.app.pauses:
            assert idle.send(GET + b"\r\n").read_response().status == 200
        assert idle.send(GET.replace(b"/ ", b"/known ") + b"\r\n").read_response().status == 200
        for _ in range(3):
            other = stack.enter_context(server.connect())
            assert other.send(GET.replace(b"/ ", b"/known ") + b"\r\n").read_response().status == 200
        assert idle.read_response().status == 503
        assert other.send(b"GET /release HTTP/1.1\r\n" + HOST + b"\r\n").read_response().status == 200
        assert busy.read_response().status == 200


@pytest.mark.requirement("http.pending_bytes")
@pytest.mark.parametrize(
    "start",
    [
        b"GET /" + b"a" * 20_000,
        GET + b"x: " + b"a" * 20_000,
        GET + b"xy: zz\r\n" * 98,
        b"GET /wait HTTP/1.1\r\n" + HOST + b"Content-Length: 90000\r\n\r\n" + b"b" * 20_000,
        b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n" + GET + b"x: " + b"a" * 20_000,
        b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n" + (GET + b"\r\n") * 3,
    ],
    ids=["target", "value", "lines", "body", "second head", "requests that wait"],
)
def test_over_the_bound_the_connections_go_in_which_most_waits(start: bytes) -> None:
    with served(HttpLimits(waiting_bytes=200_000)) as server, ExitStack() as stack:
        slow = stack.enter_context(server.connect()).send(GET)
        connections = [stack.enter_context(server.connect()).send(start) for _ in range(40)]
        for _ in range(3):
            assert server.once(GET + b"\r\n").status == 200
        assert slow.send(b"\r\n").read_response().status == 200
        server.once(b"GET /release HTTP/1.1\r\n" + HOST + b"\r\n")
        assert sum(connection.has_ended() for connection in connections) >= 25


@pytest.mark.requirement("http.pending_bytes")
@pytest.mark.parametrize("path", [b"/known", b"/unread"])
def test_an_accepted_or_answered_request_is_no_longer_pending(path: bytes) -> None:
    with served(HttpLimits(waiting_bytes=50_000, body_bytes=1 << 20)) as server, server.connect() as connection:
        head = POST.replace(b"/next", path)
        for _ in range(5):
            connection.send(head + b"Content-Length: 300000\r\n\r\n" + b"b" * 1000)
            if path == b"/unread":
                assert connection.read_response().status == 401
                connection.send(b"b" * 299_000)
            else:
                assert server.once(GET + b"\r\n").status == 200  # the application was called by then
                assert connection.send(b"b" * 299_000).read_response().body == b"POST /known 300000"
        with server.connect() as other:
            other.send(GET + b"x: " + b"a" * 30_000)
            assert server.once(GET + b"\r\n").status == 200
            assert other.send(b"\r\n\r\n").read_response().status == 200


@pytest.mark.parametrize(
    "behind",
    [
        GET + b"x: " + b"a" * 20_000,
        GET + b"xy: zz\r\n" * 98,
        GET + b"x: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000,
        (GET + b"\r\n") * 4,
    ],
    ids=["half a head", "lines", "a whole one", "a target", "many"],
)
def test_over_the_bound_a_request_that_is_served_is_still_answered(behind: bytes) -> None:
    known = GET.replace(b"/ ", b"/known/wait ") + b"\r\n"
    with served(HttpLimits(waiting_bytes=15_000)) as server, server.connect() as connection:
        connection.send(known)
        while not server.app.pauses:
            assert server.once(GET + b"\r\n").status == 200
        connection.send(behind)
        for _ in range(3):
            assert server.once(GET + b"\r\n").status == 200
        server.once(b"GET /release HTTP/1.1\r\n" + HOST + b"\r\n")
        assert connection.read_response().body == b"GET /known/wait 0"
        assert connection.rest() == b""


@pytest.mark.parametrize("path", [b"/large", b"/known/large", b"/large?x"])
@pytest.mark.parametrize("requests", [2, 5])
def test_a_client_that_reads_nothing_is_cut_off(path: bytes, requests: int) -> None:
    request = b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    with served(HttpLimits(write_seconds=0.2)) as server, server.connect(receive_bytes=4096) as connection:
        assert connection.send(request * requests).is_reset_unread()
        assert server.once(GET + b"\r\n").status == 200


def test_a_stream_that_is_not_read_is_cut_off() -> None:
    stream = b"GET /flood HTTP/1.1\r\n" + HOST + b"\r\n"
    with served(HttpLimits(write_seconds=0.2)) as server, server.connect(receive_bytes=4096) as connection:
        assert connection.send(stream).is_reset_unread()
        assert server.app.ended.wait(10)


def test_a_client_that_reads_slowly_is_not_cut_off() -> None:
    large = b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n"
    with served(HttpLimits(write_seconds=0.5)) as server, server.connect(receive_bytes=4096) as connection:
        head = connection.send(large).head()
        assert head.headers["content-length"] == str(LARGE)
        for _ in range(32):
            assert len(connection.read(LARGE // 32)) == LARGE // 32
            assert not connection.is_reset_unread(30)  # in all this takes longer than may pass without reading
        assert connection.send(GET + b"\r\n").read_response().status == 200


def test_over_the_bound_those_who_read_nothing_go_and_others_read_on() -> None:
    large = b"GET /known/large/as/bob HTTP/1.1\r\n" + HOST + b"\r\n"
    with served(HttpLimits(unsent_bytes=10 * LARGE)) as server, ExitStack() as stack:
        other = stack.enter_context(server.connect(receive_bytes=4096))
        other.send(b"GET /known/large/as/ada HTTP/1.1\r\n" + HOST + b"\r\n")
        unread = [stack.enter_context(server.connect(receive_bytes=4096)).send(large * 2) for _ in range(12)]
        while sum(connection.is_reset_unread(0) for connection in unread) < 2:
            assert server.once(GET + b"\r\n").status == 200
        assert len(other.read_response().body) == LARGE


# ---- time


@pytest.mark.requirement("http.request_time")
@pytest.mark.parametrize(
    ("start", "drip"),
    [
        (b"", b""),
        (b"G", b""),
        (GET, b"x"),
        (b"", b"\r\n"),
        (GET + b"\r\n", b"\r\n"),
        (GET + b"\r\n" + GET, b"x"),
        (POST + b"Content-Length: 4000000\r\n\r\n", b"x"),
        (CHUNKED.replace(b"/next", b"/unread"), b"1\r\nx\r\n"),
    ],
    ids=["nothing", "one byte", "head", "line ends", "ends after", "second head", "body", "answered body"],
)
def test_a_request_that_is_not_complete_in_time_ends_the_connection_however_it_drips(
    hasty: Served, start: bytes, drip: bytes
) -> None:
    with hasty.connect() as connection:
        connection.send(start)
        if start.count(b"\r\n\r\n") and b"/next" not in start:
            connection.read_response()
        assert connection.drip(drip, times=500)


@pytest.mark.requirement("http.request_time")
def test_the_time_for_a_head_does_not_end_a_request_that_is_being_answered(hasty: Served) -> None:
    with hasty.connect() as patient, hasty.connect() as idle, hasty.connect() as other:
        patient.send(GET.replace(b"/ ", b"/wait ") + b"\r\n" + b"GET /half")
        assert idle.rest() == b""
        other.close()
        assert hasty.once(b"GET /release HTTP/1.1\r\n" + HOST + b"\r\n").status == 200
        assert patient.read_response().body == b"GET /wait 0"
        assert patient.rest() == b""


@pytest.mark.requirement("http.request_time")
def test_a_slow_head_that_was_complete_in_time_leaves_no_deadline_behind(hasty: Served) -> None:
    with hasty.connect() as connection:
        request = GET + b"\r\n"
        for piece in (b"GET /", b" HTTP/1.1\r\n", HOST):
            assert not connection.drip(piece, times=1)
        assert connection.send(b"\r\n").read_response().status == 200
        with hasty.connect() as idle:
            assert idle.rest() == b""
        assert connection.send(request).read_response().status == 200


@pytest.mark.requirement("http.request_time")
def test_a_body_that_waits_for_the_application_is_not_late(hasty: Served) -> None:
    size = 3_000_000
    with hasty.connect() as client, hasty.connect() as idle:
        request = b"POST /wait HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % size + b"b" * size
        sending = threading.Thread(target=client.send, args=(request,))
        sending.start()
        assert idle.rest() == b""
        hasty.once(b"GET /release HTTP/1.1\r\n" + HOST + b"\r\n")
        sending.join()
        assert client.read_response().body == b"POST /wait 3000000"


# ---- where a request begins and ends


@pytest.mark.requirement("http.smuggling")
@pytest.mark.parametrize(
    "request_",
    [
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        POST + b"Content-Length: 1, 2\r\n\r\nx",
        POST + b"Content-Length: +1\r\n\r\nx",
        POST + b"Content-Length: 0x1\r\n\r\nx",
        POST + b"Content-Length: 1_0\r\n\r\nx",
        POST + b"Content-Length: \r\n\r\n",
        POST + b"Content-Length: 18446744073709551617\r\n\r\nx",
        POST + b"Content-Length : 1\r\n\r\nx",
        POST + b"X: a\r\n Content-Length: 1\r\n\r\nx",
        POST + b"X: a\r\n\tb\r\n\r\n",
        b"POST /next HTTP/1.1\r\n Host: here\r\n\r\n",
        POST + b"X: a\nY: b\r\n\r\n",
        POST + b"X: a\rY: b\r\n\r\n",
        POST + b"X: a\r\n\n",
        POST + b"X: a\0b\r\n\r\n",
        POST + b"X: a\x01b\r\n\r\n",
        POST + b"X: a\x7fb\r\n\r\n",
        POST + b"X\0: a\r\n\r\n",
        POST + b"X\x01: a\r\n\r\n",
        POST + b": a\r\n\r\n",
        POST + b"no colon\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\n" + HOST + b"\n",
        CHUNKED + b"1\nx\n0\n\n",
        CHUNKED + b"0x1\r\nx\r\n0\r\n\r\n",
        CHUNKED + b"1\r\nxx\r\n0\r\n\r\n",
        CHUNKED + b"1;a\nb\r\nx\r\n0\r\n\r\n",
        CHUNKED + b"11111111111111111\r\nx\r\n",
        CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_a_request_whose_end_can_be_read_in_two_ways_is_answered_400_and_nothing_after_it_is_read(
    server: Served, request_: bytes
) -> None:
    with server.connect() as connection:
        response = connection.send(request_ + SMUGGLED).read_response()
        assert connection.rest() == b""
    assert response.status == 400
    assert json.loads(response.body)["error"] == "invalid_request"
    assert "/smuggled" not in server.app.seen


@pytest.mark.requirement("http.transfer_coding")
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: identity\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: xchunked\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ],
)
def test_the_only_transfer_coding_is_chunked_and_only_in_http_1_1(server: Served, request_: bytes, status: int) -> None:
    with server.connect() as connection:
        assert connection.send(request_ + SMUGGLED).read_response().status == status
        assert connection.rest() == b""
    assert server.app.seen == []


@pytest.mark.requirement("http.host_header")
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("hosts", [b"", HOST + HOST, HOST + b"hOST: there\r\n"], ids=["none", "same twice", "two"])
def test_a_request_has_one_host_and_only_http_1_0_may_have_none(server: Served, hosts: bytes, version: bytes) -> None:
    response = server.once(b"GET / HTTP/" + version + b"\r\n" + hosts + b"\r\n")
    assert response.status == (200 if version == b"1.0" and not hosts else 400)


@pytest.mark.requirement("http.target")
@pytest.mark.parametrize(
    ("start", "status", "path"),
    [
        (b"GET http://here/a?b=c", 200, "/a?b=c"),
        (b"GET HTTP://HERE", 200, "/"),
        (b"OPTIONS *", 200, "*"),
        (b"GET //there/a", 200, "//there/a"),
        (b"GET http://there/a", 400, None),
        (b"GET http://user@here/a", 400, None),
        (b"GET ftp://here/a", 400, None),
        (b"GET *", 400, None),
        (b"GET /a#b", 400, None),
        (b"GET a", 400, None),
        (b"CONNECT here:443", 501, None),
        (b"CONNECT /", 501, None),
        (b"BREW /", 400, None),
    ],
)
def test_a_request_target_is_a_path_or_names_our_host(
    server: Served, start: bytes, status: int, path: str | None
) -> None:
    assert server.once(start + b" HTTP/1.1\r\n" + HOST + b"\r\n").status == status
    assert server.app.seen == ([path] if path else [])


@pytest.mark.requirement("http.version")
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04", 400),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", 505),
        (b"GET /\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01", 400),
    ],
    ids=["h2 preface", "2.0", "1.2", "0.9", "simple", "TLS"],
)
def test_other_versions_and_protocols_are_rejected_and_closed(server: Served, request_: bytes, status: int) -> None:
    with server.connect() as connection:
        assert connection.send(request_).read_response().status == status
        assert connection.rest() == b""
    assert server.app.seen == []


@pytest.mark.requirement("http.upgrade")
@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c"])
@pytest.mark.parametrize(
    "body",
    [
        b"\r\n",
        b"Content-Length: 0\r\n\r\n",
        b"Content-Length: 50\r\n\r\n" + SMUGGLED.ljust(50)[:50],
        b"Transfer-Encoding: chunked\r\n\r\n29\r\n" + SMUGGLED.ljust(41)[:41] + b"\r\n0\r\n\r\n",
    ],
    ids=["none", "empty", "length", "chunked"],
)
@pytest.mark.parametrize("split", [False, True])
def test_an_upgrade_is_ignored_and_its_body_stays_a_body(
    server: Served, upgrade: bytes, body: bytes, *, split: bool
) -> None:
    request = POST + b"Connection: Upgrade\r\nUpgrade: " + upgrade + b"\r\n" + body + GET + b"\r\n"
    with server.connect() as connection:
        connection.send(*((request[i : i + 1] for i in range(len(request))) if split else (request,)))
        length = {b"Con": 0, b"Tra": 41}.get(body[:3], 0) if b"50" not in body else 50
        assert connection.read_response().body == b"POST /next %d" % length
        assert connection.read_response().body == b"GET / 0"
    assert server.app.seen == ["/next", "/"]


@pytest.mark.requirement("http.upgrade")
def test_the_body_of_an_upgrade_is_bounded_too(server: Served) -> None:
    chunk = b"1000\r\n" + b"b" * 0x1000 + b"\r\n"
    with server.connect() as connection:
        connection.send(
            POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 17
        )
        assert connection.read_response().status == 413


# ---- order


@pytest.mark.requirement("http.pipelining")
def test_pipelined_requests_are_answered_in_order_and_handled_one_by_one(server: Served) -> None:
    with server.connect() as connection:
        connection.send(
            GET + b"\r\n" + POST + b"Content-Length: 3\r\n\r\nabc" + CHUNKED + b"2\r\nde\r\n0\r\n\r\n",
            GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n" + SMUGGLED,
        )
        bodies = [connection.read_response().body for _ in range(3)]
        assert bodies == [b"GET / 0", b"POST /next 3", b"POST /next 2"]
        assert connection.read_response().status == 400
        assert connection.rest() == b""


@pytest.mark.requirement("http.pipelining")
@pytest.mark.parametrize(
    "bad", [b"nonsense\r\n\r\n", CHUNKED + b"nonsense\r\n", head_of(40_000)], ids=["head", "body", "size"]
)
def test_a_rejection_waits_for_the_responses_before_it(server: Served, bad: bytes) -> None:
    with server.connect() as connection, server.connect() as idle:
        connection.send(GET.replace(b"/ ", b"/wait ") + b"\r\n" + bad)
        assert idle.send(GET + b"\r\n").read_response().status == 200
        assert idle.send(b"GET /release HTTP/1.1\r\n" + HOST + b"\r\n").read_response().status == 200
        assert connection.read_response().body == b"GET /wait 0"
        assert connection.read_response().status in {400, 431}
        assert connection.rest() == b""
    assert "/next" not in server.app.seen


@pytest.mark.requirement("http.pipelining")
def test_a_client_cannot_make_requests_wait_without_bound() -> None:
    with served(HttpLimits(pipelined=2)) as server, server.connect() as connection:
        connection.send((GET + b"\r\n") * 10)
        received = connection.rest()
    assert received.count(b"HTTP/1.1 200") == 3
    assert len(server.app.seen) == 3


@pytest.mark.requirement("http.pipelining")
def test_a_request_in_progress_sees_the_disconnect_of_its_client_though_others_wait(server: Served) -> None:
    with server.connect() as connection:
        connection.send(GET.replace(b"/ ", b"/stream ") + b"\r\n" + GET + b"\r\n")
        assert connection.head().status == 200
    assert server.app.ended.wait(5)
    assert server.app.seen == ["/stream"]


@pytest.mark.requirement("http.pipelining")
def test_a_started_response_is_not_followed_by_a_rejection_of_its_own_body(server: Served) -> None:
    with server.connect() as connection:
        connection.send(CHUNKED.replace(b"/next", b"/stream"))
        assert connection.head().status == 200
        assert (connection.line(), connection.line()) == (b"5\r\n", b"event\r\n")
        connection.send(b"nonsense\r\n")
        assert connection.rest() == b""
    assert server.app.ended.wait(5)


@pytest.mark.requirement("http.expect")
def test_a_connection_ends_after_a_request_with_expect_100_continue(server: Served) -> None:
    with server.connect() as connection:
        connection.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert connection.line() == b"HTTP/1.1 100 Continue\r\n"
        assert connection.line() == b"\r\n"
        response = connection.send(b"ab").read_response()
        assert (response.body, response.headers["connection"]) == (b"POST /next 2", "close")
        assert connection.rest() == b""
    with server.connect() as connection:
        connection.send(POST.replace(b"/next", b"/unread") + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert connection.read_response().status == 401
        assert connection.rest() == b""


@pytest.mark.requirement("http.unchanged")
def test_ordinary_requests_share_one_connection_in_every_form(server: Served) -> None:
    with server.connect() as connection:
        for _ in range(3):
            assert connection.send(GET + b"Accept: a\tb\r\nName: \xc3\xa9\r\n\r\n").read_response().body == b"GET / 0"
            assert connection.send(b"\r\n" + POST + b"Content-Length: 3\r\n\r\n", b"abc").read_response().status == 200
            assert connection.send(CHUNKED, b"3;a=b\r\nab", b"c\r\n0\r\n\r\n").read_response().body == b"POST /next 3"
            request = b"GET /a%20b?c HTTP/1.1\r\n" + HOST + b"\r\n"
            response = connection.send(*(request[i : i + 1] for i in range(len(request)))).read_response()
            assert response.body == b"GET /a%20b?c 0"
            assert "connection" not in response.headers


@pytest.mark.requirement("http.unchanged")
@pytest.mark.parametrize("head", [b"GET / HTTP/1.0\r\n\r\n", GET + b"Connection: close\r\n\r\n"], ids=["1.0", "close"])
def test_a_request_that_wants_the_end_gets_it_and_nothing_after_it_runs(server: Served, head: bytes) -> None:
    with ExitStack() as stack:
        connection = stack.enter_context(server.connect())
        response = connection.send(head + SMUGGLED).read_response()
        assert (response.status, response.headers["connection"]) == (200, "close")
        assert connection.rest() == b""
    assert server.app.seen == ["/"]


# ---- what remains


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("request_", "is_answered"),
    [
        (GET + b"\r\n", True),
        (GET, False),
        ((GET + b"\r\n") * 5, True),
        (POST + b"Content-Length: 60000\r\n\r\n" + b"a" * 50_000, False),
        (b"POST /unread HTTP/1.1\r\n" + HOST + b"Content-Length: 60000\r\n\r\n" + b"a" * 50_000, True),
        (b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n", True),
        (b"GET /stream HTTP/1.1\r\n" + HOST + b"\r\n", True),
        (b"GET /known/as/bob HTTP/1.1\r\n" + HOST + b"\r\n", True),
        (b"not HTTP\r\n\r\n", True),
        (POST + b"Content-Length: 100000\r\n\r\n", True),
        (CHUNKED + b"fffff\r\n" + b"a" * 100_000, True),
    ],
    ids=[
        "idle",
        "head",
        "pipelined",
        "body",
        "answered before its body",
        "large",
        "stream",
        "user",
        "not HTTP",
        "long",
        "long chunk",
    ],
)
def test_nothing_remains_of_a_connection_that_ended(request_: bytes, *, is_answered: bool, is_reset: bool) -> None:
    made: list[weakref.ref[Any]] = []

    class Recorded(protocol_with_limits(LIMITS)):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(weakref.ref(self))

    with served(LIMITS, Recorded) as server, server.connect() as other:
        for _ in range(20):
            with server.connect() as connection:
                connection.send(request_)
                if is_answered:
                    connection.line()
                if is_reset:
                    connection.reset_on_close()
        for _ in range(3000):
            assert other.send(GET + b"\r\n").read_response().status == 200
            if sum(each() is not None for each in made) == 1:
                break
        else:
            pytest.fail(f"{sum(each() is not None for each in made)} of {len(made)} connections remain")
