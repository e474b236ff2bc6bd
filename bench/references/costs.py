"""What a call and a refusal cost with what people use today, beside ours and in the same rounds.

Whatever is not asked for stands as it comes: caches, checks of Host and Origin, what is logged.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from bench import goals
from bench.costs import JUNK, NOTHING, OVER_LONG, REFUSAL_PANELS, THROUGHPUT_PANEL, asking, silent, without_rig
from bench.figures import Effort, Figure, Point, compared
from bench.measure import cpu, measure
from bench.provider import published
from bench.references import pyjwt, with_fastmcp
from bench.requests import exchange, legacy_call, modern_call
from bench.rig import bare, gated, sdk_guarded, trusting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp

_CALLS = 10
_REFUSALS = 50
_LONG_REFUSALS = 2  # some take tens of milliseconds
_ROUNDS = 100
_OPEN = "FastMCP, no auth"


async def calls(effort: Effort) -> list[Figure]:
    """One `tools/call` in each era."""
    with published() as issuer:
        token = issuer.token()
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            apps: dict[str, tuple[ASGIApp, str | None]] = {
                "bare": (await enter(bare()), None),
                "ours": (await enter(gated(issuer, **trusting(issuer))), token),
                pyjwt.NAME: (await enter(pyjwt.guarded(issuer)), token),
                _OPEN: (await enter(with_fastmcp.unguarded()), None),
                with_fastmcp.NAME: (await enter(with_fastmcp.guarded(issuer)), token),
            }
            figures = []
            for era in ("modern", "legacy"):
                cases = {
                    name: cpu(
                        asking(app, modern_call(bearer) if era == "modern" else await legacy_call(app, bearer)), _CALLS
                    )
                    for name, (app, bearer) in apps.items()
                }
                figures += _call_rows(era, await measure(cases, min(effort.rounds, _ROUNDS)))
            return figures


def _call_rows(era: str, taken: Mapping[str, Sequence[float]]) -> list[Figure]:
    panel = THROUGHPUT_PANEL.format(era)
    guarded, opened = taken[with_fastmcp.NAME], taken[_OPEN]
    goal = goals.BESIDE_FASTMCP if era == "modern" else goals.BESIDE_FASTMCP_LEGACY
    return [
        *(
            compared(f"{era}: {name} / unauthenticated", taken["bare"], taken[name], point=Point(panel, name))
            for name in (pyjwt.NAME, with_fastmcp.NAME, _OPEN)
        ),
        compared(f"{era}: {with_fastmcp.NAME} / {_OPEN}", opened, guarded),
        compared(f"{era}: ours / {with_fastmcp.NAME}", guarded, taken["ours"], goal),
    ]


async def refusing(effort: Effort) -> list[Figure]:
    """What strangers can make the references do."""
    with published() as issuer:
        async with AsyncExitStack() as stack:
            ours, sdk, with_pyjwt, fastmcp = [
                await stack.enter_async_context(app)
                for app in (
                    gated(issuer, **trusting(issuer)),
                    sdk_guarded(),
                    pyjwt.guarded(issuer),
                    with_fastmcp.guarded(issuer),
                )
            ]
            cases = {
                "our junk": cpu(asking(ours, JUNK), _REFUSALS),
                "rig": cpu(asking(silent, NOTHING), _REFUSALS),
                "sdk": cpu(asking(sdk, NOTHING), _REFUSALS),
                with_fastmcp.NAME: cpu(asking(fastmcp, NOTHING), _REFUSALS),
            }
            for name, app in ((pyjwt.NAME, with_pyjwt), (with_fastmcp.NAME, fastmcp)):
                await exchange(app, modern_call(issuer.token()))  # with keys in hand
                cases[f"{name} junk"] = cpu(asking(app, JUNK), _REFUSALS)
                cases[f"{name} long"] = cpu(asking(app, OVER_LONG), _LONG_REFUSALS)
            taken = without_rig(await measure(cases, min(effort.rounds, _ROUNDS)))
    challenge, over_long = REFUSAL_PANELS
    return [
        compared(
            f"{with_fastmcp.NAME}: 401 without credentials / the SDK's own 401",
            taken[with_fastmcp.NAME],
            taken["sdk"],
            point=Point(challenge, with_fastmcp.NAME),
        ),
        *(
            compared(f"{name}: refusing a token of 256 kB / 1 kB of junk", taken[f"{name} long"], taken[f"{name} junk"])
            for name in (pyjwt.NAME, with_fastmcp.NAME)
        ),
        *(
            compared(
                f"{name}: refusing a token of 256 kB / ours refusing 1 kB of junk",
                taken[f"{name} long"],
                taken["our junk"],
                point=Point(over_long, name),
            )
            for name in (pyjwt.NAME, with_fastmcp.NAME)
        ),
    ]
