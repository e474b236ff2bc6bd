"""The corpus against a server whose provider is a real Dex, and the tokens that Dex itself issues."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mcp_idp.providers import PROFILES
from mcp_idp.testing.corpus.all_attacks import REQUESTS, TOKENS
from mcp_idp.testing.corpus.all_attacks import WIRE as ON_THE_WIRE
from mcp_idp.testing.corpus.assertions import assert_response, assert_wire_response
from mcp_idp.testing.corpus.model import PLAIN, Stage, call
from mcp_idp.testing.corpus.wire_calls import LIMITS, WIRE, whole
from mcp_idp.testing.issuer import RESOURCE
from tests.support.compose_stack import free_port
from tests.support.corpus_server import Listening, listening, on, rows
from tests.support.dex import running_dex
from tests.support.dex_issuer import DexIssuer, issuer_of
from tests.support.dex_rows import DEX_TOKENS, LATER, LATER_SECONDS, rows_at_dex
from tests.support.postgres import POSTGRES, running_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.testing.corpus.model import Attack

pytestmark = [pytest.mark.anyio, pytest.mark.containers]


@pytest.fixture(scope="module")
def issuer(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DexIssuer]:
    folder, direct = tmp_path_factory.mktemp("dex"), free_port()
    with (
        running_postgres() as database,
        running_dex(
            folder,
            config=POSTGRES,
            env=database.for_dex,
            other_containers=database.other_containers,
            public_url=RESOURCE,
            direct=direct,
        ) as dex,
    ):
        yield issuer_of(dex, database, direct)


def at(issuer: DexIssuer, stage: Stage) -> Stage:
    """Returns the stage with Dex as the provider of its server."""
    behind = issuer.later(LATER_SECONDS) if stage is LATER else issuer
    settings = {"server_url": issuer.url, "issuer": issuer.url, "provider": PROFILES["dex"]}
    return replace(stage, issuer=lambda: behind, settings=settings)


@pytest.mark.parametrize("attack", rows(rows_at_dex((*TOKENS, *REQUESTS))))
async def test_a_hostile_token_or_request_is_answered_as_the_table_says(issuer: DexIssuer, attack: Attack) -> None:
    async with on(at(issuer, attack.stage)) as (behind, send_request):
        await assert_response(attack, behind, send_request)


@pytest.mark.parametrize("attack", rows(DEX_TOKENS))
async def test_what_dex_issues_is_accepted_only_as_the_table_says(issuer: DexIssuer, attack: Attack) -> None:
    async with on(at(issuer, attack.stage)) as (behind, send_request):
        await assert_response(attack, behind, send_request)


async def test_the_real_token_passes_and_so_does_one_in_dex_s_name(issuer: DexIssuer) -> None:
    """So the tokens above were not rejected for an unrelated reason."""
    good = (
        issuer.token(),
        issuer.token(x=1),
        issuer.refreshed["access_token"],
        issuer.for_our_audience["access_token"],
    )
    async with on(at(issuer, PLAIN)) as (_, send_request):
        assert [(await send_request(call(token))).status for token in good] == [200] * len(good)


@pytest.fixture(scope="module")
def server(issuer: DexIssuer) -> Iterator[Listening]:
    with listening(at(issuer, WIRE), LIMITS) as server:
        yield server


@pytest.mark.parametrize("attack", rows(rows_at_dex(ON_THE_WIRE)))
def test_a_hostile_connection_is_answered_as_the_table_says(server: Listening, attack: Attack) -> None:
    assert_wire_response(attack, server.issuer, server.exchange)


def test_a_good_call_passes_over_a_socket(server: Listening) -> None:
    assert b"HTTP/1.1 200" in server.exchange(whole(server.issuer) + b"GET / HTTP/1.0\r\n\r\n")
