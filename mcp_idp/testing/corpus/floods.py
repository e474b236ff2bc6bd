"""More requests than one client may send, in the forms in which it pretends to be several."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcp_idp.config.rate_limit_settings import NO_LIMITS
from mcp_idp.testing.corpus.model import Attack, Request, Stage, bearer, call
from mcp_idp.testing.issuer import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = "RFC 6585 section 4; OWASP API4:2023"
HERE = "198.51.100.7"
OVER_ADDRESS, OVER_USER = "address_over_limit", "too_many_requests"


def _stage(name: str, **limits: Any) -> Stage:
    return Stage(name, settings={"limits": replace(NO_LIMITS, **limits)})


ADDRESS = _stage("one request a second of an address", address_rate=1)
USER = _stage("one request a second of a user", user_rate=1)
NEW_TOKENS = _stage("one new token a second of a user", new_tokens=1)
TOOL = Stage(
    "a tool once a minute", settings={"limits": NO_LIMITS}, access={"tool_limits": {"whoami": {"calls_per_minute": 1}}}
)
_IN_TEN_SECONDS = 10


def _crowd(one: Callable[[int], Request], before: int = _IN_TEN_SECONDS) -> Request:
    """The last of `before` and one more requests."""
    return replace(one(before), crowd=tuple(one(n) for n in range(before)))


def _from(client: str, token: str | None = None, **changes: Any) -> Request:
    return call(token, client=client, **changes)


def _flood(name: str, check: str, stage: Stage, send: Callable[[Any], Request]) -> Attack:
    message = OVER_ADDRESS if stage is ADDRESS else OVER_USER
    return Attack(
        name=name, source=SOURCE, check=check, send=send, status=429, challenge=None, message=message, stage=stage
    )


ATTACKS = (
    _flood("requests without a token", "address_limit", ADDRESS, lambda _: _crowd(lambda _: _from(HERE))),
    _flood(
        "requests with another invalid token each",
        "address_limit",
        ADDRESS,
        lambda _: _crowd(lambda n: _from(HERE, f"invalid-{n}")),
    ),
    _flood(
        "signed tokens for another audience, each used once",
        "address_limit",
        ADDRESS,
        lambda i: _crowd(lambda n: _from(HERE, i.token(aud="http://other", jti=str(n)))),
    ),
    _flood(
        "requests for a host that is not allowed",
        "address_limit",
        ADDRESS,
        lambda _: _crowd(lambda n: _from(HERE, hosts=(b"host-%d.example" % n,))),
    ),
    _flood(
        "requests for another path each",
        "address_limit",
        ADDRESS,
        lambda _: _crowd(lambda n: _from(HERE, path=f"/{n}")),
    ),
    _flood(
        "a good token in two headers at once",
        "known_by_one_header",
        ADDRESS,
        lambda i: _crowd(
            lambda n: _from(HERE, i.token()) if n == 0 else call(i.token(), bearer(i.token()), client=HERE)
        ),
    ),
    _flood(
        "another address of one /64 each time",
        "address_network",
        ADDRESS,
        lambda _: _crowd(lambda n: _from(f"2001:db8:1:2:{n:x}::{n:x}")),
    ),
    _flood(
        "one IPv4 address in the forms that IPv6 has for it",
        "address_of_ipv4",
        ADDRESS,
        lambda _: _crowd(
            lambda n: _from((HERE, "::ffff:198.51.100.7", f"2002:c633:6407:{n:x}::1", "64:ff9b::c633:6407")[n % 4])
        ),
    ),
    _flood(
        "another string that is not an address each time, as a proxy might forward it",
        "address_readable",
        ADDRESS,
        lambda _: _crowd(lambda n: _from(f"_hidden-{n}")),
    ),
    _flood(
        "a link-local address with another interface each time",
        "address_network",
        ADDRESS,
        lambda _: _crowd(lambda n: _from(f"fe80::1%eth{n}")),
    ),
    _flood("calls with one token", "user_limit", USER, lambda i: _crowd(lambda _: _from(HERE, i.token()))),
    _flood(
        "calls from another address and with another token of one login each time",
        "user_limit",
        USER,
        lambda i: _crowd(lambda n: _from(f"198.51.100.{n}", i.token(jti=str(n)))),
    ),
    _flood(
        "calls with tokens that name no user and differ only in their last part",
        "user_limit",
        USER,
        lambda i: _crowd(lambda n: _from(HERE, i.token(sub=..., exp=NOW + 200 + n))),
    ),
    _flood(
        "calls by another registered client each time",
        "user_in_all_clients",
        USER,
        lambda i: _crowd(lambda n: _from(HERE, i.token(azp=f"client-{n}")), 4 * _IN_TEN_SECONDS),
    ),
    _flood(
        "a new token for each call",
        "new_token_limit",
        NEW_TOKENS,
        lambda i: _crowd(lambda n: _from(HERE, i.token(jti=str(n)))),
    ),
    _flood("calls of a limited tool", "tool_limit", TOOL, lambda i: _crowd(lambda _: _from(HERE, i.token()), 1)),
    _flood(
        "calls of a limited tool by another client each time",
        "tool_limit",
        TOOL,
        lambda i: _crowd(lambda n: _from(HERE, i.token(azp=f"client-{n}")), 1),
    ),
)
