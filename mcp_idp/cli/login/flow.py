"""The eight steps, on the official SDK's OAuth client, which decides and does everything OAuth.

Nothing is stored on this machine: registration and tokens live in this process. `run` takes the registration back.

The last of the eight steps: the tools, by the official SDK's MCP client.

One run of the client: the journey, how it ended, and what is said of the end.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult

from mcp_idp.cli.common.client_deregistration import unregister
from mcp_idp.cli.common.console import Narrator, open_console
from mcp_idp.cli.common.discover_request import check_answer, discover_request
from mcp_idp.cli.common.errors import CallFailed, ClientFailure, LoginFailed, TokenRefused
from mcp_idp.cli.common.http import open_client
from mcp_idp.cli.common.token_summary import server_words, words
from mcp_idp.cli.common.trusted_issuer import check_issuer, check_metadata
from mcp_idp.cli.login.client_registration import Memory, client_metadata, known_client
from mcp_idp.cli.login.error_mapping import refusal_advice, refused, translate
from mcp_idp.cli.login.http_tracer import Watch
from mcp_idp.cli.login.loopback_server import Callback, open_callback
from mcp_idp.cli.login.options import Login, Outcome, Plan
from mcp_idp.cli.login.steps import STEPS, Kind
from mcp_idp.cli.login.tool_calls import call_tool, list_tools, shown_calls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    import httpx2
    from mcp.client.auth.oauth2 import OAuthContext

    from mcp_idp.cli.login.loopback_server import Answer
    from mcp_idp.cli.login.options import Login, Plan


async def use_server(http: httpx2.AsyncClient, plan: Plan, narrator: Narrator, watch: Watch, outcome: Outcome) -> None:
    """List the tools and make the calls of the plan; what came of it is in `outcome`.

    Args:
        http: the client that is logged in.
        plan: which calls; without any, those that show something.
        narrator: who is told.
        watch: knows what the server refused.
        outcome: takes the names of the tools and the results.

    Raises:
        CallFailed: a call failed.
    """
    watch.in_use = True
    narrator.step(*STEPS[Kind.CALL])
    async with Client(streamable_http_client(plan.url, http_client=http)) as client:
        narrator.tell("note", f"agreed on MCP {client.protocol_version}")
        tools = await list_tools(client, narrator)
        outcome.tools = [tool.name for tool in tools]
        for call in plan.calls or shown_calls(tools, plan.person or "you"):
            watch.refusal = None
            try:
                outcome.calls.append(await call_tool(client, narrator, tools, call))
            except CallFailed as failure:
                if watch.refusal is None:
                    raise
                raise CallFailed(failure.message, *failure.advice, *server_words(watch.refusal)) from failure


_MAX_LOGINS = 3  # the first, and step-ups for calls that need more
_SHOWN = ("client_id", "redirect_uri", "scope", "resource", "code_challenge_method", "prompt")


class Journey:
    """One login and what follows.

    Args:
        plan: what to do.
        narrator: who is told.
        login: how a person gets through the provider's pages.
    """

    def __init__(self, plan: Plan, narrator: Narrator, login: Login) -> None:
        self.outcome = Outcome()
        self._plan = plan
        self._narrator = narrator
        self._login = login
        self._watch = Watch(narrator, plan.url, plan.access, plan.issuer)
        narrator.secrets.publish(*plan.public_words())
        self._answer: Answer | None = None
        self._logins = 0
        self._memory = Memory(None)

    async def go(self) -> Outcome:
        """All eight steps.

        Raises:
            ClientFailure: one of them failed; `outcome` holds what was reached.
        """
        async with self._logged_in() as http:
            await self._knock(http)
            await use_server(http, self._plan, self._narrator, self._watch, self.outcome)
        return self.outcome

    async def fetch_token(self) -> str:
        """The first seven steps, for whoever wants the access token itself; "" where no login was asked for.

        Whether the server takes the token is not judged here.

        Raises:
            ClientFailure: one of them failed; `outcome` holds what was reached.
        """
        async with self._logged_in() as http:
            try:
                await self._knock(http)
            except TokenRefused:
                if not self._watch.token_received:
                    raise
        tokens = await self._memory.get_tokens()
        return tokens.access_token if tokens is not None else ""

    @asynccontextmanager
    async def _logged_in(self) -> AsyncIterator[httpx2.AsyncClient]:
        """The HTTP client that logs in when the server says so."""
        plan, watch = self._plan, self._watch
        with self._translated():
            async with open_callback() as callback:
                redirect_uri = callback.redirect_uri
                self._memory = Memory(known_client(plan.client_id, redirect_uri))
                auth = OAuthClientProvider(
                    plan.url,
                    client_metadata(redirect_uri, plan.scope),
                    self._memory,
                    redirect_handler=lambda url: self._log_in(url, callback, auth.context),
                    callback_handler=self._take_answer,
                )
                async with open_client(
                    plan.connect_to, auth=auth, on_request=watch.on_request, on_response=watch.on_response
                ) as http:
                    yield http

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            failure = translate(error, self._watch)
            if isinstance(failure, CallFailed) and self._watch.refusal is not None and not self.outcome.tools:
                failure = refused(self._watch, self._plan)  # before any tool was called
            raise failure from error
        finally:
            self.outcome.claims, self.outcome.not_granted = self._watch.claims, self._watch.not_granted
            self.outcome.registration = self._watch.registration

    async def _log_in(self, url: str, callback: Callback, context: OAuthContext) -> None:
        """The SDK's redirect handler. `context` has what the SDK goes by, whatever else was seen on the way."""
        if self._plan.issuer is not None:
            check_issuer(self._watch.issuer or "", self._plan.issuer)
            check_metadata(context, self._plan.url, self._plan.issuer)
        self._logins += 1
        if self._logins > _MAX_LOGINS:
            raise LoginFailed(f"the server asked for {self._logins} logins in a row: its challenge cannot be met")
        if self._plan.client_id is not None:
            self._narrator.step(*STEPS[Kind.REGISTRATION])
            self._narrator.tell("note", f"not needed: the provider knows the client {self._plan.client_id}")
        self._watch.kind, self._watch.asked = Kind.LOGIN, url.partition("?")[0]
        self._narrator.step(*STEPS[Kind.LOGIN])
        query = dict(parse_qsl(urlsplit(url).query))
        self._watch.asked_scopes = words(query.get("scope"))
        self._narrator.tell("asks", f"GET {self._watch.asked}")
        for name in (name for name in _SHOWN if name in query):
            self._narrator.tell("asks", f"  {name}={query[name]}")
        callback.expect(query.get("state", ""))
        self._answer = await self._login.log_in(url, callback)

    async def _take_answer(self) -> AuthorizationCodeResult:
        """The SDK's callback handler; it checks state and iss after us."""
        answer, self._answer = self._answer, None
        if answer is None:
            raise LoginFailed("the login brought no answer")
        self._watch.kind = Kind.ANSWER
        self._narrator.secrets.learn(answer.code)
        self._narrator.step(*STEPS[Kind.ANSWER])
        if answer.error is not None or answer.code is None:
            description = self._narrator.secrets.said(answer.error_description or "")
            reason = description or answer.error or "the answer holds no code"
            self._narrator.tell("got", f"error={answer.error} {description}".rstrip())
            raise LoginFailed(f"the provider refused the login: {reason}", *refusal_advice(answer.error))
        self._narrator.tell("got", "code=<hidden>, state as sent")
        issuer = self._watch.provider_metadata.get("issuer")
        if answer.iss is None:
            self._narrator.tell("note", "no iss: this provider does not say which provider answers")
        elif answer.iss == issuer:
            self._narrator.tell("got", f"iss={answer.iss}, the issuer of step 3")
        return AuthorizationCodeResult(code=answer.code, state=answer.state, iss=answer.iss)

    async def _knock(self, http: httpx2.AsyncClient) -> None:
        """Steps 1 to 7: the SDK's OAuth client logs in because the server says so.

        Raises:
            ServerUnreachable: no MCP server answers here.
            ProviderFailed: the server cannot ask its provider.
            TokenRefused: the server does not take the token.
        """
        body, headers = discover_request()
        response = await http.post(self._plan.url, json=body, headers=headers)
        logged_in = self._watch.token_received
        if response.status_code in {401, 403}:
            raise refused(self._watch, self._plan)
        check_answer(response, self._plan.url, logged_in=logged_in)
        if not logged_in:
            self._narrator.tell("note", "no login was asked for: this server runs without authorization")


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
