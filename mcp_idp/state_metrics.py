"""The metrics that are read from the parts of a server whenever metrics are collected."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mcp_idp.mcp_protocol.sessions import SessionLimiter
    from mcp_idp.observability.audit import AuditLog
    from mcp_idp.observability.metrics import Metrics
    from mcp_idp.tokens.issuers import IssuerVerifier


def observe_state(
    metrics: Metrics,
    usage: Callable[[], Mapping[str, int]],
    sessions: SessionLimiter,
    issuers: Sequence[IssuerVerifier],
    audit: AuditLog | None,
) -> None:
    """Adds the metrics that are read from the parts of a server.

    Args:
        metrics: the instruments.
        usage: returns how many percent of each part of the memory plan are used.
        sessions: the sessions.
        issuers: the verifier of each issuer.
        audit: the audit log, if there is one.
    """
    metrics.observe(
        "mcp_idp.memory.usage",
        "1",
        "Share of each part of the memory plan that is used.",
        lambda: [(percent / 100, {"part": part}) for part, percent in usage().items()],
    )
    metrics.observe("mcp_idp.sessions", "{session}", "Open sessions.", lambda: [(sessions.count, {})])
    metrics.observe(
        "mcp_idp.jwks.age",
        "s",
        "Time since an issuer's keys were fetched.",
        lambda: [(v.keys.age, {"issuer": v.rules.issuer}) for v in issuers if math.isfinite(v.keys.age)],
    )
    metrics.observe(
        "mcp_idp.jwks.fetches",
        "{fetch}",
        "Fetches of an issuer's keys.",
        lambda: [
            (count, {"issuer": v.rules.issuer, "outcome": outcome})
            for v in issuers
            for outcome, count in (("success", v.keys.fetches - v.keys.failures), ("failure", v.keys.failures))
        ],
        total=True,
    )
    metrics.observe(
        "mcp_idp.token.cache.lookups",
        "{lookup}",
        "Requests whose token's status was known (hit), and the others.",
        lambda: [
            (count, {"issuer": v.rules.issuer, "result": result})
            for v in issuers
            for result, count in zip(("hit", "miss"), v.cache_lookups, strict=True)
        ],
        total=True,
    )
    if audit is not None:
        metrics.observe(
            "mcp_idp.audit.available",
            "1",
            "1 if the audit log can be written, else 0: all calls are rejected then.",
            lambda: [(int(audit.is_available), {})],
        )
