"""The eight steps, on the official SDK's OAuth client, which decides and does everything OAuth.

Nothing is stored on this machine: registration and tokens live in this process. `run` takes the registration back.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult

from scripts.client.callback import Callback, open_callback
from scripts.client.connect import open_client
from scripts.client.failures import CallFailed, LoginFailed, TokenRefused
from scripts.client.issuer import check_issuer, check_metadata
from scripts.client.knock import check_answer, discover_request
from scripts.client.plan import Login, Outcome, Plan
from scripts.client.registration import Memory, client_metadata, known_client
from scripts.client.rights import words
from scripts.client.steps import STEPS, Kind
from scripts.client.translate import refusal_advice, refused, translate
from scripts.client.use import use_server
from scripts.client.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx2
    from mcp.client.auth.oauth2 import OAuthContext

    from scripts.client.callback import Answer
    from scripts.client.narrate import Narrator

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
