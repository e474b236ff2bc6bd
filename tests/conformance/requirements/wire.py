"""What holds on the wire and at the end of the process."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "wire.header_bound",
        "ours; RFC 6585 section 5",
        "A request line with headers over 32 KiB is answered 431 and the connection closed; it is never read further.",
    ),
    Requirement(
        "wire.header_count", "ours; RFC 6585 section 5", "A request with more than 100 headers is answered 431."
    ),
    Requirement(
        "wire.header_time",
        "ours; RFC 9112 section 9.5",
        "A head not complete 10 s after its first byte, or a body 60 s after its head, ends the connection, "
        "however it drips; the time an answer takes does not count.",
    ),
    Requirement(
        "wire.body_bound",
        "ours; RFC 9110 section 15.5.14",
        "A body over 4 MiB is answered 413: unread if its length is declared, when the bound is passed if it is not.",
    ),
    Requirement(
        "wire.chunk_framing",
        "RFC 9112 section 7.1.1",
        "What a chunked body brings besides its data, extensions and trailers, is bounded like headers.",
    ),
    Requirement(
        "wire.connections",
        "ours; RFC 9110 section 15.6.4",
        "Connections are bounded all together: over the bound those go whose address had no verified token in the last "
        "minute, but for an eighth that is theirs; then an idle one of the user who has most. It is told 503 with "
        "Retry-After.",
    ),
    Requirement(
        "wire.waiting",
        "ours; RFC 9110 section 15.6.4",
        "What arrived of requests whose token is not verified is bounded all together: over the bound the user or "
        "address that holds most loses the connection that holds most, but never a response in progress to an "
        "authenticated request.",
    ),
    Requirement(
        "wire.unread",
        "ours; RFC 5482",
        "A client that does not read is cut off within 30 s; what clients have not read is bounded all together, in "
        "the process and in the kernel.",
    ),
    Requirement(
        "wire.memory",
        "ours",
        "Under each flood of test_memory.py, by one login or by unauthenticated clients, the process stays under "
        "200 MiB and serves others meanwhile.",
    ),
    Requirement("wire.trailers", "RFC 9110 section 6.5.1", "A trailer is never merged into the headers."),
    Requirement(
        "wire.refusal_readable",
        "RFC 9112 section 9.6",
        "A client that is still sending can read the refusal; it is read from for a bounded time and amount only.",
    ),
    Requirement(
        "wire.smuggling",
        "RFC 9112 sections 2.2, 5, 6.3 and 11.2",
        "A request whose end could be read in two ways is answered 400, and nothing after it is read as a request.",
    ),
    Requirement(
        "wire.transfer_coding",
        "RFC 9112 section 6.1",
        "Chunked is the only transfer coding, once, and only in HTTP/1.1.",
    ),
    Requirement(
        "wire.host",
        "RFC 9112 section 3.2",
        "A request with more than one Host, or one of HTTP/1.1 with none, is answered 400.",
    ),
    Requirement(
        "wire.target",
        "RFC 9112 sections 3.2.1 to 3.2.4",
        "A request target is a path, an absolute URL with the host of Host, or * for OPTIONS; CONNECT is answered 501.",
    ),
    Requirement(
        "wire.version",
        "RFC 9110 section 15.6.6",
        "Other versions than HTTP/1.1 and 1.0, the preface of HTTP/2 and TLS are refused and the connection closed.",
    ),
    Requirement(
        "wire.upgrade",
        "RFC 9110 section 7.8",
        "An Upgrade is not taken: the request is an ordinary one, and its body is not the next request.",
    ),
    Requirement(
        "wire.pipelining",
        "RFC 9112 section 9.3.2",
        "Pipelined requests are judged one by one and answered in order, refusals included; few may wait.",
    ),
    Requirement(
        "wire.expect",
        "RFC 9110 section 10.1.1",
        "A connection ends after a request that expected 100-continue, so nobody guesses whether its body follows.",
    ),
    Requirement(
        "wire.untouched",
        "RFC 9112 section 9.3",
        "Ordinary requests in HTTP/1.1 and 1.0 pass unchanged, in any pieces, and reuse their connection.",
    ),
    Requirement(
        "wire.stop",
        "ours",
        "On SIGTERM or SIGINT idle connections close, event streams end well, and the process exits with 0.",
    ),
    Requirement(
        "wire.stop_requests",
        "RFC 9112 section 9.6",
        "A request being answered when the signal comes gets its answer, with Connection: close.",
    ),
    Requirement(
        "wire.stop_streams",
        "ours",
        "An answer without end is cut after the grace time, its task cancelled without a traceback, and the exit is 0.",
    ),
    Requirement("wire.second_signal", "ours", "A second signal ends the process at once, with 1."),
    Requirement(
        "wire.port_taken",
        "ours",
        "An address that cannot be had is one line that says what to change, and 2, before the application starts.",
    ),
    Requirement(
        "wire.listening",
        "ours; RFC 3986 section 3.2.2",
        "Every address of HOST, brackets allowed, listens on one port; for PORT=0 the log says which.",
    ),
    Requirement("wire.start_failed", "ours", "An application that does not start ends the process with 3."),
    Requirement("wire.proxies", "ours", "Forwarded headers are believed of TRUSTED_PROXIES only."),
)
