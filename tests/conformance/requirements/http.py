"""HTTP/1.1 on the connection: limits, framing and shutdown."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "http.header_length",
        "RFC 6585 section 5",
        "A request line with headers over 32 KiB gets 431 and the connection is closed; no more of it is read.",
    ),
    Requirement(
        "http.header_count",
        "RFC 6585 section 5",
        "A request with more than 100 headers gets 431.",
    ),
    Requirement(
        "http.request_time",
        "RFC 9112 section 9.5",
        "A head not complete 10 s after its first byte, or a body 60 s after its head, ends the connection, "
        "however slowly it arrives; the time of the response does not count.",
    ),
    Requirement(
        "http.body_length",
        "RFC 9110 section 15.5.14",
        "A body over 4 MiB gets 413: unread if its length is declared, at the limit if it is not.",
    ),
    Requirement(
        "http.chunk_overhead",
        "RFC 9112 section 7.1.1",
        "Extensions and trailers of a chunked body are bounded like headers.",
    ),
    Requirement(
        "http.connections",
        "RFC 9110 section 15.6.4",
        "The number of connections is bounded: over the limit the oldest without a verified token is closed, "
        "then an idle one, with 503 and `Retry-After`.",
    ),
    Requirement(
        "http.pending_bytes",
        "RFC 9110 section 15.6.4",
        "The bytes received for requests without a verified token are bounded: over the limit the connection "
        "that holds most is closed.",
    ),
    Requirement(
        "http.trailers",
        "RFC 9110 section 6.5.1",
        "A trailer is never merged into the headers.",
    ),
    Requirement(
        "http.readable_rejection",
        "RFC 9112 section 9.6",
        "A client that is still sending can read the rejection; the server reads from it for a bounded time "
        "and amount only.",
    ),
    Requirement(
        "http.smuggling",
        "RFC 9112 sections 2.2, 5, 6.3 and 11.2",
        "A request whose end is ambiguous gets 400, and nothing after it is read as a request.",
    ),
    Requirement(
        "http.transfer_coding",
        "RFC 9112 section 6.1",
        "Chunked is the only transfer coding, once, and only in HTTP/1.1.",
    ),
    Requirement(
        "http.host_header",
        "RFC 9112 section 3.2",
        "A request with more than one Host, or an HTTP/1.1 request without one, gets 400.",
    ),
    Requirement(
        "http.target",
        "RFC 9112 sections 3.2.1 to 3.2.4",
        "A request target is a path, an absolute URL with the host of Host, or * for OPTIONS; CONNECT gets 501.",
    ),
    Requirement(
        "http.version",
        "RFC 9110 section 15.6.6",
        "Versions other than HTTP/1.1 and 1.0, the HTTP/2 preface and TLS are rejected and the connection is closed.",
    ),
    Requirement(
        "http.upgrade",
        "RFC 9110 section 7.8",
        "An Upgrade is ignored: the request is an ordinary one, and its body is not the next request.",
    ),
    Requirement(
        "http.pipelining",
        "RFC 9112 section 9.3.2",
        "Pipelined requests are handled one by one and answered in order, rejections included; the queue is short.",
    ),
    Requirement(
        "http.expect",
        "RFC 9110 section 10.1.1",
        "The connection ends after a request that expected 100-continue, so that nobody guesses whether its "
        "body follows.",
    ),
    Requirement(
        "http.unchanged",
        "RFC 9112 section 9.3",
        "Ordinary requests in HTTP/1.1 and 1.0 pass unchanged, in any fragments, and reuse their connection.",
    ),
    Requirement(
        "http.graceful_shutdown",
        "RFC 9112 section 9.6",
        "A request in progress when the signal arrives gets its response, with `Connection: close`.",
    ),
    Requirement(
        "http.listening",
        "RFC 3986 section 3.2.2",
        "Every address of HOST, brackets allowed, listens on one port; for PORT=0 the log names it.",
    ),
)
