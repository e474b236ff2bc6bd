"""The corpus against the whole application: what is answered, why, and that nothing of the attack comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.corpus.assertions import assert_response, assert_wire_response, rows
from tests.corpus.benign_cases import CONTROLS, Control
from tests.corpus.corpus import CORPUS, REQUESTS, TOKENS
from tests.corpus.corpus import WIRE as ON_THE_WIRE
from tests.corpus.issuers import TRUTHFUL
from tests.corpus.model import Attack, Stage, call
from tests.corpus.targets import Listening, listening, on
from tests.corpus.wire_calls import CROWDED, CROWDED_LIMITS, END, LIMITS, WIRE, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("corpus.tokens")
@pytest.mark.parametrize("attack", rows(TOKENS))
async def test_a_hostile_token_is_refused_for_its_reason(attack: Attack) -> None:
    await assert_response(attack)


@pytest.mark.requirement("corpus.requests")
@pytest.mark.parametrize("attack", rows(REQUESTS))
async def test_a_hostile_request_is_answered_as_expected(attack: Attack) -> None:
    await assert_response(attack)


@pytest.fixture(scope="module")
def server() -> Iterator[Listening]:
    with listening(WIRE, LIMITS) as server:
        yield server


@pytest.fixture(scope="module")
def crowded() -> Iterator[Listening]:
    with listening(CROWDED, CROWDED_LIMITS) as server:
        yield server


@pytest.mark.requirement("corpus.wire")
@pytest.mark.parametrize("attack", rows(ON_THE_WIRE))
def test_a_hostile_connection_is_answered_and_nothing_behind_it_is_read(
    server: Listening, crowded: Listening, attack: Attack
) -> None:
    assert_wire_response(crowded if attack.stage is CROWDED else server, attack)


STAGES = {id(stage): stage for stage in (TRUTHFUL, *(attack.stage for attack in CORPUS))}


@pytest.mark.requirement("corpus.controls")
@pytest.mark.parametrize("stage", [pytest.param(stage, id=stage.name) for stage in STAGES.values() if stage.good])
async def test_a_good_token_passes_on_every_stage(stage: Stage) -> None:
    assert stage.good is not None
    async with on(stage) as (issuer, ask):
        response = await ask(call(stage.good(issuer)))
    assert response.status == 200, response


@pytest.mark.requirement("corpus.controls")
@pytest.mark.parametrize("control", [pytest.param(control, id=control.name) for control in CONTROLS])
async def test_what_is_good_beside_the_attacks_passes(control: Control) -> None:
    async with on(control.stage) as (issuer, ask):
        sent = control.send(issuer)
        assert not isinstance(sent, bytes)
        response = await ask(call(sent) if isinstance(sent, str) else sent)
    assert response.status == 200, response


@pytest.mark.requirement("corpus.controls")
def test_a_good_call_passes_on_the_wire(server: Listening) -> None:
    sent = whole(server.issuer)
    received = server.exchange(sent + sent.replace(b"Content-Length", END + b"Content-Length"))
    assert received.count(b"HTTP/1.1 200") == 2


@pytest.mark.requirement("corpus.size")
def test_the_corpus_is_large_and_no_row_is_there_twice() -> None:
    assert len(CORPUS) >= 120
    assert len({attack.name for attack in CORPUS}) == len(CORPUS)
