"""The benchmark's logic: order, counts and arithmetic with made-up numbers, never durations."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from bench.apps import authenticated_app, sdk_app, sdk_guarded, sdk_session_manager
from bench.cpu_time import call_work
from bench.defaults import DEFAULTS
from bench.flood_counts import OpaqueFlood, fetches_under_a_flood, one_token, opaque_flood
from bench.issuer import Issuer, published
from bench.key_rotation import measure_outage, measure_rotation
from bench.prepared_requests import UnexpectedStatusError, exchange, legacy_call, modern_call
from bench.quick import lost
from bench.report import markdown, text_table
from bench.results import Figure
from bench.sampling import Spread, cpu, measure, ratio, spread
from bench.streams import one_round
from bench.thresholds import Goal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from bench.sampling import Sample


def test_every_round_samples_every_case_and_the_order_turns() -> None:
    order: list[str] = []

    def case(name: str) -> Sample:
        async def sample() -> float:
            order.append(name)
            return float(len(order))

        return sample

    samples = asyncio.run(measure({name: case(name) for name in "abc"}, rounds=2))

    assert "".join(order) == "abc" + "bca" + "cab"
    assert samples == {"a": [6.0, 8.0], "b": [4.0, 9.0], "c": [5.0, 7.0]}


def test_a_sample_of_cpu_time_does_its_work_as_often_as_it_says() -> None:
    done: list[None] = []

    async def work() -> None:
        done.append(None)

    async def sample() -> None:
        await cpu(work, 7)()

    asyncio.run(sample())

    assert len(done) == 7


def test_a_ratio_is_formed_inside_each_round_so_that_a_slow_round_cancels_out() -> None:
    assert ratio([2.0, 200.0, 4.0], [1.0, 100.0, 2.0]) == Spread(2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0], Spread(5.0, 5.0, 5.0)),
        ([1.0, 3.0], Spread(2.0, 1.5, 2.5)),
        ([9.0, 1.0, 2.0, 4.0, 3.0], Spread(3.0, 2.0, 4.0)),
    ],
)
def test_the_spread_is_the_median_and_the_middle_half(values: list[float], expected: Spread) -> None:
    assert spread(values) == expected


@pytest.mark.parametrize(
    ("goal", "value", "met", "tolerated"),
    [
        (Goal(2.0, slack=0.25), 2.0, True, True),
        (Goal(2.0, slack=0.25), 2.5, False, True),
        (Goal(2.0, slack=0.25), 2.6, False, False),
        (Goal(0.8, is_minimum=True, slack=0.25), 0.8, True, True),
        (Goal(0.8, is_minimum=True, slack=0.25), 0.61, False, True),
        (Goal(0.8, is_minimum=True, slack=0.25), 0.59, False, False),
        (Goal(1.0, slack=0.0), 2.0, False, False),
    ],
)
def test_a_goal_is_met_or_missed_and_the_guard_lets_the_slack_pass(
    goal: Goal, value: float, *, met: bool, tolerated: bool
) -> None:
    assert (goal.met_by(value), goal.tolerates(value)) == (met, tolerated)


def test_every_compared_application_answers_both_protocol_revisions() -> None:
    async def send() -> None:
        issuer = Issuer(DEFAULTS.server_url)
        token = issuer.token()
        compared = (
            (authenticated_app(issuer), token),
            (authenticated_app(issuer, disable_auth=True), None),
            (sdk_session_manager(), None),
            (sdk_app(), None),
            (sdk_guarded(), token),
        )
        for started, bearer in compared:
            async with started as app:
                await exchange(app, modern_call(bearer))
                await exchange(app, await legacy_call(app, bearer))

    asyncio.run(send())


def test_a_call_with_an_unexpected_response_ends_the_run() -> None:
    async def send() -> None:
        async with authenticated_app(Issuer(DEFAULTS.server_url)) as app:
            await exchange(app, modern_call())

    with pytest.raises(UnexpectedStatusError, match="answered 401 where 200 was due"):
        asyncio.run(send())


def test_a_flood_of_unknown_key_ids_causes_one_fetch() -> None:
    assert asyncio.run(fetches_under_a_flood(1000)) == 1


def test_a_flood_of_invalid_opaque_tokens_uses_only_the_opaque_slots() -> None:
    assert asyncio.run(opaque_flood(300)) == OpaqueFlood(
        max_at_once=5,  # one of them is the signed token
        rejected=204,
        turned_away=96,
        failed_known=0,
        failed_signed=0,
    )


def test_a_crowd_with_one_new_token_is_one_introspection() -> None:
    assert asyncio.run(one_token(100)) == 1


def test_a_rotation_with_overlap_fails_no_call_and_a_withdrawn_key_opens_nothing() -> None:
    assert asyncio.run(measure_rotation()) == (0, 0)


def test_an_outage_fails_no_known_token_and_answers_503_to_an_unknown_key() -> None:
    assert asyncio.run(measure_outage()) == (0, 0)


def telling(*together: int) -> ASGIApp:
    """Returns an application whose `count` sends groups of numbers and yields to the loop after each group."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if b'"count"' in body:
            for at_a_time in together:
                for _ in range(at_a_time):
                    await send({"type": "http.response.body", "body": b"notifications/progress", "more_body": True})
                for _ in range(200):
                    await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})

    return app


@pytest.mark.parametrize("together", [(5,), (4, 1), (1, 1, 1, 1)])
def test_numbers_that_arrive_together_or_are_missing_end_the_run(together: tuple[int, ...]) -> None:
    app = telling(*together)
    counting = modern_call(call={"name": "count", "arguments": {"number": 5}})

    with pytest.raises(RuntimeError, match=r"received [45] numbers, after"):
        asyncio.run(one_round(app, call_work(app, modern_call()), [counting]))


def test_numbers_that_arrive_one_by_one_count() -> None:
    app = telling(1, 1, 1, 1, 1)
    counting = modern_call(call={"name": "count", "arguments": {"number": 5}})

    alone, with_streams = asyncio.run(one_round(app, call_work(app, modern_call()), [counting]))

    assert alone > 0
    assert with_streams > 0


def test_the_provider_answers_over_a_socket_as_in_this_process() -> None:
    with published() as issuer, httpx.Client(trust_env=False) as client:
        metadata = client.get(issuer.url.replace("/realms", "/.well-known/oauth-authorization-server/realms")).json()
        keys = client.get(metadata["jwks_uri"]).json()["keys"]
        responses = [
            client.post(metadata["introspection_endpoint"], data={"token": token}).json()["active"]
            for token in (issuer.token(), issuer.reference(), "junk")
        ]
        missing = client.get(f"{issuer.url}/elsewhere").status_code
        issuer.down = True
        down = client.get(metadata["jwks_uri"]).status_code

    assert metadata["issuer"] == issuer.url
    assert [key["kid"] for key in keys] == ["bench-1"]
    assert responses == [True, True, False]
    assert (missing, down) == (404, 503)
    assert (issuer.key_fetches, len(issuer.received)) == (2, 3)  # the second while it was down


def pins(lock: str) -> dict[str, str]:
    lines = (Path(__file__).parents[2] / lock).read_text().splitlines()
    return dict(line.split(" ")[0].split("==") for line in lines if "==" in line and not line.startswith(" "))


def test_what_is_compared_with_is_in_no_image_and_beside_the_same_versions() -> None:
    bench, server = pins("requirements-dev.lock"), pins("requirements.lock")

    assert "fastmcp" in bench
    assert server.items() <= bench.items()
    for lock in ("requirements.lock", "requirements-cli.lock", "requirements-demo.lock"):
        assert "fastmcp" not in pins(lock)


def test_a_quick_run_reports_losses_beyond_the_slack() -> None:
    figures = [
        Figure("lost", Spread(3.0, 3.0, 3.0), Goal(2.0)),
        Figure("missed", Spread(2.2, 2.2, 2.2), Goal(2.0)),
        Figure("without a goal", Spread(9.0, 9.0, 9.0)),
    ]

    assert lost(figures) == ["lost"]


@pytest.fixture
def figures() -> list[Figure]:
    return [
        Figure("fast / slow", Spread(0.5, 0.4, 0.6), Goal(0.7), costs=(10.0, 20.0)),
        Figure("a stall", Spread(12.0, 11.0, 13.0), Goal(10.0), "ms"),
        Figure("to compare with", Spread(1.0, 1.0, 1.0)),
    ]


def test_the_table_has_a_row_for_each_figure(figures: list[Figure]) -> None:
    rows: Iterator[list[str]] = (
        [cell.strip() for cell in line.split("  ") if cell] for line in text_table(figures).splitlines()
    )

    assert list(rows)[1:] == [
        ["fast / slow", "0.5", "0.4 to 0.6", "≤ 0.7", "yes", "10.0 / 20.0"],
        ["a stall", "12 ms", "11 to 13", "≤ 10 ms", "no"],
        ["to compare with", "1", "1 to 1"],
    ]


def test_the_results_contain_the_versions_and_how_to_repeat(figures: list[Figure]) -> None:
    written = markdown(figures, "1.0 at the start")

    assert "| fast / slow | 0.5 | 0.4 to 0.6 | ≤ 0.7 | yes | 10.0 / 20.0 |" in written
    assert all(name in written for name in ("Python 3.", "mcp 2.", "uvicorn 0.", "pyjwt 2."))
    assert "./scripts/bench" in written
