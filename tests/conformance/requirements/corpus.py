"""What the corpus of hostile tokens and requests shows."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "corpus.tokens",
        "RFC 8725; RFC 9068 section 4",
        "Every hostile token of the corpus is refused with the expected status, challenge and logged reason.",
    ),
    Requirement(
        "corpus.requests",
        "RFC 6750; RFC 9110; MCP transports 2026-07-28",
        "Every hostile request of the corpus gets the expected answer, in which nothing of the request comes back.",
    ),
    Requirement(
        "corpus.wire",
        "RFC 9112",
        "Every hostile connection of the corpus gets the expected answer, and nothing behind it is read as a request.",
    ),
    Requirement(
        "corpus.controls",
        "ours",
        "On every stage of the corpus a good token passes: no row fails for a reason of its own.",
    ),
    Requirement("corpus.size", "ours", "The corpus has at least 120 rows, each another sentence and another attack."),
    Requirement(
        "corpus.removal",
        "ours",
        "The checks of the modules that decide who is let in are found by their form, and each is removed by itself.",
    ),
    Requirement("corpus.proof", "ours", "Without any one of the checks at least one test fails."),
    Requirement("corpus.importable", "ours", "The corpus needs the library and its dependencies, and no test tool."),
    Requirement("corpus.table", "ours", "docs/attacks.md lists the corpus as it is."),
    Requirement(
        "corpus.any_input",
        "ours",
        "No header, token, claim or body, whatever is in it, gives a 500 or a challenge that cannot be read back.",
    ),
    Requirement(
        "corpus.dex",
        "ours",
        "Against a real Dex every row that it has a place for is answered as docs/attacks.md says, and others say why.",
    ),
    Requirement(
        "corpus.dex_tokens",
        "ours; limits of Dex",
        "What Dex gives out besides access tokens is refused, but for the ID token of a refresh, which is named.",
    ),
)
