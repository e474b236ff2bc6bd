"""Callers that differ are different, whatever Python takes for equal."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from mcp_idp.auth.context import AuthenticatedCaller
from mcp_idp.principal import ClaimValue, Principal

BASE = Principal(
    issuer="https://one", subject=None, client="c", scopes=frozenset({"mcp:tools"}), expires_at=1.0, roles=None
)


@pytest.mark.parametrize(
    ("one", "other"),
    list(combinations([True, 1, 1.0, "1", "True", ("1",), False, 0, 0.0, -0.0, 2**53, float(2**53)], 2)),
    ids=repr,
)
def test_callers_whose_claims_differ_in_type_only_are_distinct(one: ClaimValue, other: ClaimValue) -> None:
    first, second = (replace(BASE, claims=(("vip", value),)) for value in (one, other))
    assert first != second
    assert len({first, second}) == 2
    tokens = [AuthenticatedCaller(each, frozenset()).access_token.token for each in (first, second)]
    assert tokens[0] != tokens[1]


def test_what_is_the_same_is_one() -> None:
    first, second = (replace(BASE, claims=(("a", True), ("b", ("x", "y")))) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert first.claim("a") is True
