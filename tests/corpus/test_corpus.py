"""The corpus against the whole application: status, challenge and reason, and that the response reflects nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_idp.testing.corpus.all_attacks import CORPUS, REQUESTS, TOKENS
from mcp_idp.testing.corpus.all_attacks import WIRE as ON_THE_WIRE
from mcp_idp.testing.corpus.assertions import assert_response, assert_wire_response
from mcp_idp.testing.corpus.benign_cases import CONTROLS, Control
from mcp_idp.testing.corpus.issuers import VALID_METADATA
from mcp_idp.testing.corpus.model import Attack, Stage, call
from mcp_idp.testing.corpus.wire_calls import CROWDED, CROWDED_LIMITS, END, LIMITS, WIRE, whole
from tests.support.corpus_server import Listening, listening, on, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("corpus.tokens")
@pytest.mark.parametrize("attack", rows(TOKENS))
async def test_a_hostile_token_is_rejected_for_its_reason(attack: Attack) -> None:
    async with on(attack.stage) as (issuer, send_request):
        await assert_response(attack, issuer, send_request)


@pytest.mark.requirement("corpus.requests")
@pytest.mark.parametrize("attack", rows(REQUESTS))
async def test_a_hostile_request_is_answered_as_expected(attack: Attack) -> None:
    async with on(attack.stage) as (issuer, send_request):
        await assert_response(attack, issuer, send_request)


@pytest.fixture(scope="module")
def server() -> Iterator[Listening]:
    with listening(WIRE, LIMITS) as server:
        yield server


@pytest.fixture(scope="module")
def crowded() -> Iterator[Listening]:
    with listening(CROWDED, CROWDED_LIMITS) as server:
        yield server


@pytest.mark.requirement("corpus.connections")
@pytest.mark.parametrize("attack", rows(ON_THE_WIRE))
def test_a_hostile_connection_is_answered_and_nothing_behind_it_is_read(
    server: Listening, crowded: Listening, attack: Attack
) -> None:
    target = crowded if attack.stage is CROWDED else server
    assert_wire_response(attack, target.issuer, target.exchange)


STAGES = {id(stage): stage for stage in (VALID_METADATA, *(attack.stage for attack in CORPUS))}


@pytest.mark.parametrize("stage", [pytest.param(stage, id=stage.name) for stage in STAGES.values() if stage.good])
async def test_a_good_token_passes_on_every_stage(stage: Stage) -> None:
    assert stage.good is not None
    async with on(stage) as (issuer, send_request):
        response = await send_request(call(stage.good(issuer)))
    assert response.status == 200, response


@pytest.mark.parametrize("control", [pytest.param(control, id=control.name) for control in CONTROLS])
async def test_valid_requests_beside_the_attacks_pass(control: Control) -> None:
    async with on(control.stage) as (issuer, send_request):
        sent = control.send(issuer)
        assert not isinstance(sent, bytes)
        response = await send_request(call(sent) if isinstance(sent, str) else sent)
    assert response.status == 200, response


def test_a_good_call_passes_over_a_socket(server: Listening) -> None:
    sent = whole(server.issuer)
    received = server.exchange(sent + sent.replace(b"Content-Length", END + b"Content-Length"))
    assert received.count(b"HTTP/1.1 200") == 2


def test_the_corpus_is_large_and_no_row_is_there_twice() -> None:
    assert len(CORPUS) >= 120
    assert len({attack.name for attack in CORPUS}) == len(CORPUS)
