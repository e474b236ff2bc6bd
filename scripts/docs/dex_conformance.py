"""The server's requirements with Dex as the provider: how each is tested there, or why it cannot be.

Writes docs/dex-conformance.md: `python -m scripts.docs.dex_conformance`. A requirement of the areas below is tested by
rows of the corpus that are sent at Dex, or by a test in tests/integration/test_dex*.py that carries its id; otherwise
`LIMITS` or `NOT_APPLICABLE` has the reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.testing.corpus.all_attacks import CORPUS
from tests.conformance.marks import ids_in
from tests.conformance.model import manifest
from tests.support.dex_rows import rows_at_dex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.conformance.model import Requirement

TABLE = Path(__file__).parents[2] / "docs" / "dex-conformance.md"
AREAS = ("auth", "transport_security", "body", "metadata", "scopes", "sessions", "jwt", "jwks", "discovery")

ROWS = {
    "auth.other_scheme": ("scheme",),
    "auth.malformed": ("one_header", "one_token", "empty_token"),
    "auth.header_only": ("header_only",),
    "auth.every_method": ("every_method",),
    "transport_security.origin": ("origin", "origin_whole", "one_origin"),
    "transport_security.host": ("host", "host_whole", "one_host"),
    "body.json": ("duplicate_members", "one_message", "json_errors", "utf8_only"),
    "body.length": ("body_length", "declared_body", "counted_body"),
    "body.json_values": ("values_bound", "depth_bound"),
    "scopes.every_revision": ("tool_scope",),
    "scopes.listed_tools_only": ("tool_listed",),
    "sessions.owner": ("session_subject", "session_client"),
    "jwt.shape": ("compact_shape", "one_spelling"),
    "jwt.length": ("token_length",),
    "jwt.header": ("header_length", "json_object", "kid_text", "critical_extensions", "duplicate_members"),
    "jwt.algorithm": ("algorithm_list", "key_algorithm"),
    "jwt.header_type": ("header_type",),
    "jwt.header_keys": ("signature",),
    "jwt.signature": ("signature",),
    "jwt.issuer": ("issuer",),
    "jwt.audience": ("audience", "audience_texts"),
    "jwt.one_resource": ("other_resource",),
    "jwt.times": ("expired", "expiry_required", "numeric_dates", "boolean_dates", "date_range", "not_before"),
    "jwt.lifetime": ("lifetime",),
    "jwt.sender_constrained": ("sender_bound",),
    "jwt.claims": ("text_claims", "actor", "text_lists", "duplicate_members", "no_constants", "finite_numbers"),
}
"""The checks whose rows test a requirement at Dex."""

_NO_SCOPES = "Dex has no custom scopes"
LIMITS = {
    "auth.insufficient_scope": f"{_NO_SCOPES}: no login grants more, so a missing group is 403 without a challenge",
    "scopes.one_challenge": f"{_NO_SCOPES}: the rejection is a 403 without a challenge, and names the groups",
    "jwt.scopes": f"{_NO_SCOPES}: none is read from its tokens, the user's groups grant the scopes",
    "jwt.token_type": "holds for the ID token of a login (`c_hash`), for codes and refresh tokens; the ID token of a "
    "refresh looks like an access token and is accepted",
    "jwt.end_user": "Dex's tokens do not mark a user; Dex issues no token without one (`dex.grants`)",
    "jwks.filter": "Dex publishes RSA keys for signatures only: there is no key to filter out",
}
"""What Dex makes impossible, in whole or in part, and why."""

_SERVER_ONLY = "the provider is not involved"
_DOCUMENT = "the document is a file of the registration proxy, which forwards Dex's keys"
NOT_APPLICABLE = {
    "jwt.no_audience": "Dex issues no token without `aud`: it is the client's id.",
    **dict.fromkeys(
        (
            "transport_security.preflight",
            "body.memory_per_user",
            "auth.unknown_path",
            "scopes.by_arguments",
            "scopes.undecided",
            "scopes.every_primitive",
            "scopes.checked_again",
            "auth.any_header",
            "auth.fail_closed",
            "auth.provider_error",
            "body.any_body",
            "body.surrogates",
            "jwt.any_claims",
            "sessions.required",
            "sessions.delete",
            "sessions.get_stream",
            "sessions.identity",
            "sessions.stream_expiry",
        ),
        _SERVER_ONLY,
    ),
    "jwks.unreadable_key": _DOCUMENT,
    "discovery.private_address": _DOCUMENT,
}
"""Requirements that a test with Dex would not test better than one without it, and why."""

_HEAD = """\
# The server's requirements with Dex

The tests verify the server's requirements with a provider of their own and with a real Keycloak. This page lists which
of those about requests, challenges, scopes, tokens, keys and discovery also hold with a real Dex. Written by `python
-m scripts.docs.dex_conformance`. *Rows* are those of [the attacks](attacks.md) that are sent at Dex.
"""


def requirements() -> dict[str, Requirement]:
    """Returns the requirements of the areas, by id."""
    return {name: row for name, row in manifest().items() if name.split(".")[0] in AREAS}


def by_tests() -> dict[str, list[str]]:
    """Returns, by requirement, the tests with a real Dex that carry its id."""
    found: dict[str, list[str]] = {}
    for path in sorted((TABLE.parents[1] / "tests" / "integration").glob("test_dex*.py")):
        for name, ids in ids_in(path).items():
            for one in ids & requirements().keys():
                found.setdefault(one, []).append(f"{path.stem}: {name.removeprefix('test_').replace('_', ' ')}")
    return found


def _covered_rows() -> Iterator[tuple[str, str, str]]:
    rows, tests = rows_at_dex(CORPUS), by_tests()
    for name, requirement in requirements().items():
        if name in LIMITS or name in NOT_APPLICABLE:
            continue
        count = sum(row.check in ROWS.get(name, ()) for row in rows)
        by = [*([f"{count} rows"] if count else []), *tests.get(name, ())]
        yield f"`{name}`", requirement.behaviour, "; ".join(by)


def _reasons(reasons: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, why in reasons.items():
        yield f"`{name}`", requirements()[name].behaviour, why


def _table(last: str, lines: Iterable[tuple[str, str, str]]) -> str:
    head = f"| requirement | behaviour | {last} |\n|---|---|---|\n"
    return head + "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def table() -> str:
    """Returns the whole page."""
    parts = [
        _HEAD,
        "## What Dex makes impossible\n",
        _table("at Dex", _reasons(LIMITS)),
        "## What holds\n",
        _table("tested by", _covered_rows()),
        "## What does not depend on the provider\n",
        _table("why", _reasons(NOT_APPLICABLE)),
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
