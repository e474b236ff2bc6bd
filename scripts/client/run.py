"""One run of the client: the journey, how it ended, and what is said of the end."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.client.connect import open_client
from scripts.client.failures import ClientFailure
from scripts.client.journey import Journey
from scripts.client.narrate import Narrator, open_console
from scripts.client.unregister import unregister

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx2

    from scripts.client.plan import Login, Outcome, Plan


@dataclass(frozen=True, slots=True)
class Ending:
    """What came of it, and what failed, if something did."""

    outcome: Outcome
    failure: ClientFailure | None = None

    @property
    def exit_code(self) -> int:
        """As `scripts/login --help` documents it."""
        return 0 if self.failure is None else self.failure.exit_code

    def report(self, plan: Plan, narrator: Narrator) -> dict[str, object]:
        """The object of `--json`, with only the password hidden in it yet."""
        failure = self.failure
        return {
            "ok": failure is None,
            "exit_code": self.exit_code,
            "url": plan.url,
            "steps": [
                {"step": step.number, "title": step.title, "lines": [{"label": k, "text": v} for k, v in step.lines]}
                for step in narrator.steps
            ],
            "claims": narrator.secrets.said_in(self.outcome.claims),
            "not_granted": self.outcome.not_granted,
            "tools": self.outcome.tools,
            "calls": [result.as_json() for result in self.outcome.calls],
            "error": None if failure is None else {"message": failure.message, "advice": list(failure.advice)},
        }


async def run(
    plan: Plan, narrator: Narrator, choose_login: Callable[[httpx2.AsyncClient], Login], *, quiet: bool = False
) -> Ending:
    """Go the eight steps. A failure is told on standard error, unless `quiet`, and given back.

    Args:
        plan: what to do.
        narrator: who is told.
        choose_login: makes the login; it gets a client for the provider's pages that never carries a token.
        quiet: say nothing of a failure.
    """
    # The SDK logs what it then raises, with tracebacks; what matters of it is told here.
    logging.getLogger("mcp").setLevel(logging.CRITICAL + 1)
    async with open_client(plan.connect_to) as pages:
        journey = Journey(plan, narrator, choose_login(pages))
        try:
            outcome = await _go(journey, plan, narrator)
        except ClientFailure as failure:
            if not quiet:
                tell_failure(Narrator(open_console(stderr=True), narrator.secrets), failure)
            return Ending(journey.outcome, failure)
    narrator.say()
    narrator.say("Everything worked.", style="bold green")
    return Ending(outcome)


async def run_for_token(
    plan: Plan, narrator: Narrator, choose_login: Callable[[httpx2.AsyncClient], Login], *, keep: bool = False
) -> str:
    """Go as far as the access token and give it back; "" where the server asks for no login.

    Args:
        plan: what to do.
        narrator: who is told.
        choose_login: see `run`.
        keep: leave the registration at the provider.

    Raises:
        ClientFailure: no token came.
    """
    logging.getLogger("mcp").setLevel(logging.CRITICAL + 1)
    async with open_client(plan.connect_to) as pages:
        journey = Journey(plan, narrator, choose_login(pages))
        async with _taken_back(journey, plan, narrator, keep=keep):
            return await journey.fetch_token()


async def _go(journey: Journey, plan: Plan, narrator: Narrator) -> Outcome:
    async with _taken_back(journey, plan, narrator):
        return await journey.go()


@asynccontextmanager
async def _taken_back(journey: Journey, plan: Plan, narrator: Narrator, *, keep: bool = False) -> AsyncIterator[None]:
    """However it ends, by Ctrl-C too, the registration is taken back, unless it is to be kept."""
    try:
        yield
    finally:
        if journey.outcome.registration is not None and not keep:
            await unregister(journey.outcome.registration, plan.connect_to, narrator)


def tell_failure(narrator: Narrator, failure: ClientFailure) -> None:
    """What failed, and what to do about it."""
    narrator.say()
    narrator.say(f"FAILED  {failure.message}", style="bold red")
    for line in failure.advice:
        narrator.say(f"        {line}")
