"""Runs the eight steps of a login and reports the result.

The official MCP SDK performs the OAuth flow and the tool calls; this module drives it and explains each step.
Registration and tokens are kept in memory. At the end the registration is deleted, if the provider supports that
(RFC 7592).
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
from mcp_idp.cli.common.console import StepReporter, open_console
from mcp_idp.cli.common.discover_request import check_response, discover_request
from mcp_idp.cli.common.errors import LoginClientError, LoginError, TokenRejected, ToolCallError
from mcp_idp.cli.common.http_client import create_client
from mcp_idp.cli.common.token_summary import string_list
from mcp_idp.cli.common.trusted_issuer import check_issuer, check_metadata
from mcp_idp.cli.login.browser import check_login_url
from mcp_idp.cli.login.client_registration import InMemoryTokenStorage, client_metadata, preregistered_client
from mcp_idp.cli.login.error_mapping import map_exception, rejection_advice, token_rejected_error
from mcp_idp.cli.login.http_tracer import HttpTracer
from mcp_idp.cli.login.loopback_server import LoopbackServer, open_callback
from mcp_idp.cli.login.options import LoginOptions, LoginOutcome, LoginStrategy
from mcp_idp.cli.login.rejected_token import server_message
from mcp_idp.cli.login.steps import STEPS, StepKind
from mcp_idp.cli.login.tool_calls import call_tool, default_calls, list_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    import httpx2
    from mcp.client.auth.oauth2 import OAuthContext

    from mcp_idp.cli.login.loopback_server import AuthorizationResponse
    from mcp_idp.cli.login.options import LoginOptions, LoginStrategy


async def call_tools(
    http: httpx2.AsyncClient, plan: LoginOptions, narrator: StepReporter, watch: HttpTracer, outcome: LoginOutcome
) -> None:
    """Performs step 8: lists the tools and makes the planned calls. Results are stored in `outcome`.

    Args:
        http: The HTTP client that is logged in.
        plan: The calls to make; without any, harmless tools are called.
        narrator: Receives the steps.
        watch: Records rejections by the server.
        outcome: Receives the names of the tools and the results of the calls.

    Raises:
        ToolCallError: A call failed.
    """
    watch.logged_in = True
    narrator.step(*STEPS[StepKind.CALL])
    transport = streamable_http_client(plan.url, http_client=http)
    async with Client(transport, read_timeout_seconds=plan.limits.stream_seconds) as client:
        narrator.line("note", f"negotiated MCP {client.protocol_version}")
        tools = await list_tools(client, narrator)
        outcome.tools = [tool.name for tool in tools]
        for call in plan.calls or default_calls(tools, plan.user or "you"):
            watch.rejection = None
            try:
                outcome.calls.append(await call_tool(client, narrator, tools, call))
            except ToolCallError as failure:
                if watch.rejection is None:
                    raise
                raise ToolCallError(failure.message, *failure.advice, *server_message(watch.rejection)) from failure


_MAX_LOGINS = 3  # the first login, and step-ups for calls that require more scopes
_PRINTED_PARAMETERS = ("client_id", "redirect_uri", "scope", "resource", "code_challenge_method", "prompt")


class LoginFlow:
    """One login and the tool calls after it.

    Args:
        plan: What to do.
        narrator: Receives the steps.
        login: Completes the provider's login pages.
    """

    def __init__(self, plan: LoginOptions, narrator: StepReporter, login: LoginStrategy) -> None:
        self.outcome = LoginOutcome()
        self._plan = plan
        self._narrator = narrator
        self._login = login
        self._watch = HttpTracer(narrator, plan.url, plan.access, plan.issuer)
        narrator.secrets.add_public(*plan.public_strings())
        self._authorization_response: AuthorizationResponse | None = None
        self._logins = 0
        self._memory = InMemoryTokenStorage(None)

    async def run(self) -> LoginOutcome:
        """Performs all eight steps.

        Raises:
            LoginClientError: A step failed; `outcome` holds the results so far.
        """
        async with self._logged_in() as http:
            await self._trigger_login(http)
            await call_tools(http, self._plan, self._narrator, self._watch, self.outcome)
        return self.outcome

    async def fetch_token(self) -> str:
        """Performs the first seven steps and returns the access token, or "" if the server requires no login.

        The token is returned even if the server rejects it.

        Raises:
            LoginClientError: A step failed; `outcome` holds the results so far.
        """
        async with self._logged_in() as http:
            try:
                await self._trigger_login(http)
            except TokenRejected:
                if not self._watch.token_received:
                    raise
        tokens = await self._memory.get_tokens()
        return tokens.access_token if tokens is not None else ""

    @asynccontextmanager
    async def _logged_in(self) -> AsyncIterator[httpx2.AsyncClient]:
        """Yields an HTTP client that logs in when the server sends a challenge."""
        plan, watch = self._plan, self._watch
        with self._map_errors():
            async with open_callback() as callback:
                redirect_uri = callback.redirect_uri
                self._memory = InMemoryTokenStorage(preregistered_client(plan.client_id, redirect_uri))
                auth = OAuthClientProvider(
                    plan.url,
                    client_metadata(redirect_uri, plan.scope),
                    self._memory,
                    redirect_handler=lambda url: self._log_in(url, callback, auth.context),
                    callback_handler=self._take_authorization_response,
                )
                async with create_client(
                    plan.connect_to,
                    auth=auth,
                    on_request=watch.on_request,
                    on_response=watch.on_response,
                    limits=plan.limits,
                ) as http:
                    yield http

    @contextmanager
    def _map_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            failure = map_exception(error, self._watch)
            if isinstance(failure, ToolCallError) and self._watch.rejection is not None and not self.outcome.tools:
                failure = token_rejected_error(self._watch, self._plan)  # rejected before any tool was listed
            raise failure from error
        finally:
            self.outcome.claims, self.outcome.not_granted = self._watch.claims, self._watch.not_granted
            self.outcome.registration = self._watch.registration

    async def _log_in(self, url: str, callback: LoopbackServer, context: OAuthContext) -> None:
        """The SDK's redirect handler. `context` holds the metadata that the SDK actually uses."""
        if self._plan.issuer is not None:
            check_issuer(self._watch.issuer or "", self._plan.issuer)
            check_metadata(context, self._plan.url, self._plan.issuer)
        self._logins += 1
        if self._logins > _MAX_LOGINS:
            raise LoginError(f"the server required {self._logins} logins in a row: its challenge cannot be satisfied")
        if self._plan.client_id is not None:
            self._narrator.step(*STEPS[StepKind.REGISTRATION])
            self._narrator.line("note", f"not needed: uses the preregistered client {self._plan.client_id}")
        self._watch.kind, self._watch.requested_url = StepKind.LOGIN, url.partition("?")[0]
        self._narrator.step(*STEPS[StepKind.LOGIN])
        check_login_url(url)
        query = dict(parse_qsl(urlsplit(url).query))
        self._watch.requested_scopes = string_list(query.get("scope"))
        self._narrator.line("request", f"GET {self._watch.requested_url}")
        for name in (name for name in _PRINTED_PARAMETERS if name in query):
            self._narrator.line("request", f"  {name}={query[name]}")
        callback.expect_state(query.get("state", ""))
        self._authorization_response = await self._login.log_in(url, callback)

    async def _take_authorization_response(self) -> AuthorizationCodeResult:
        """The SDK's callback handler. The SDK validates `state` and `iss` afterwards."""
        response, self._authorization_response = self._authorization_response, None
        if response is None:
            raise LoginError("the login returned no response")
        self._watch.kind = StepKind.AUTHORIZATION_RESPONSE
        self._narrator.secrets.add_secret(response.code)
        self._narrator.step(*STEPS[StepKind.AUTHORIZATION_RESPONSE])
        if response.error is not None or response.code is None:
            description = self._narrator.secrets.redact_remote_text(response.error_description or "")
            reason = description or response.error or "the response has no code"
            self._narrator.line("response", f"error={response.error} {description}".rstrip())
            raise LoginError(f"the provider rejected the login: {reason}", *rejection_advice(response.error))
        self._narrator.line("response", "code=<hidden>, state as sent")
        issuer = self._watch.provider_metadata.get("issuer")
        if response.iss is None:
            self._narrator.line("note", "no iss: this provider does not identify itself in the response")
        elif response.iss == issuer:
            self._narrator.line("response", f"iss={response.iss}, the issuer of step 3")
        return AuthorizationCodeResult(code=response.code, state=response.state, iss=response.iss)

    async def _trigger_login(self, http: httpx2.AsyncClient) -> None:
        """Performs steps 1 to 7: sends a request, and the SDK's OAuth client logs in if the server sends a challenge.

        Raises:
            ServerUnreachable: There is no MCP server at the URL.
            ProviderError: The server cannot reach its provider.
            TokenRejected: The server rejects the token.
        """
        body, headers = discover_request()
        response = await http.post(self._plan.url, json=body, headers=headers)
        logged_in = self._watch.token_received
        if response.status_code in {401, 403}:
            raise token_rejected_error(self._watch, self._plan)
        check_response(response, self._plan.url, logged_in=logged_in)
        if not logged_in:
            self._narrator.line("note", "no login required: this server runs without authorization")


@dataclass(frozen=True, slots=True)
class LoginResult:
    """The result of a run.

    Attributes:
        outcome: What was reached.
        failure: The error that ended the run, or None.
    """

    outcome: LoginOutcome
    failure: LoginClientError | None = None

    @property
    def exit_code(self) -> int:
        """The exit code that `mcp-idp login --help` documents."""
        return 0 if self.failure is None else self.failure.exit_code

    def report(self, plan: LoginOptions, narrator: StepReporter) -> dict[str, object]:
        """Returns the object that `--json` prints: steps, claims, missing scopes, tools, calls and the error.

        The password is already hidden in the remote data; the caller hides the other secrets.
        """
        failure = self.failure
        return {
            "ok": failure is None,
            "exit_code": self.exit_code,
            "url": plan.url,
            "steps": [
                {"step": step.number, "title": step.title, "lines": [{"label": k, "text": v} for k, v in step.lines]}
                for step in narrator.steps
            ],
            "claims": narrator.secrets.redact_remote(self.outcome.claims),
            "not_granted": self.outcome.not_granted,
            "tools": self.outcome.tools,
            "calls": [result.as_json() for result in self.outcome.calls],
            "error": None if failure is None else {"message": failure.message, "advice": list(failure.advice)},
        }


async def run(
    plan: LoginOptions,
    narrator: StepReporter,
    choose_login: Callable[[httpx2.AsyncClient], LoginStrategy],
    *,
    suppress_failure: bool = False,
) -> LoginResult:
    """Runs the eight steps. A failure is printed to standard error, unless `suppress_failure`, and returned.

    Args:
        plan: What to do.
        narrator: Receives the steps.
        choose_login: Creates the login method. It takes an HTTP client for the provider's pages, which never carries a
            token.
        suppress_failure: Do not print a failure.
    """
    # The SDK logs exceptions with tracebacks before it raises them; they are reported here instead.
    logging.getLogger("mcp").setLevel(logging.CRITICAL + 1)
    async with create_client(plan.connect_to, limits=plan.limits) as pages:
        flow = LoginFlow(plan, narrator, choose_login(pages))
        try:
            outcome = await _run_flow(flow, plan, narrator)
        except LoginClientError as failure:
            if not suppress_failure:
                report_failure(StepReporter(open_console(stderr=True), narrator.secrets), failure)
            return LoginResult(flow.outcome, failure)
    narrator.message()
    narrator.message("Everything worked.", style="bold green")
    return LoginResult(outcome)


async def run_for_token(
    plan: LoginOptions,
    narrator: StepReporter,
    choose_login: Callable[[httpx2.AsyncClient], LoginStrategy],
    *,
    keep: bool = False,
) -> str:
    """Logs in and returns the access token, or "" if the server requires no login.

    Args:
        plan: What to do.
        narrator: Receives the steps.
        choose_login: See `run`.
        keep: Do not delete the client registration.

    Raises:
        LoginClientError: The login failed.
    """
    logging.getLogger("mcp").setLevel(logging.CRITICAL + 1)
    async with create_client(plan.connect_to, limits=plan.limits) as pages:
        flow = LoginFlow(plan, narrator, choose_login(pages))
        async with _deregister_on_exit(flow, plan, narrator, keep=keep):
            return await flow.fetch_token()


async def _run_flow(flow: LoginFlow, plan: LoginOptions, narrator: StepReporter) -> LoginOutcome:
    async with _deregister_on_exit(flow, plan, narrator):
        return await flow.run()


@asynccontextmanager
async def _deregister_on_exit(
    flow: LoginFlow, plan: LoginOptions, narrator: StepReporter, *, keep: bool = False
) -> AsyncIterator[None]:
    """Deletes the client registration at the end, even after an error or Ctrl-C, unless `keep` is set."""
    try:
        yield
    finally:
        if flow.outcome.registration is not None and not keep:
            await unregister(flow.outcome.registration, plan.connect_to, narrator)


def report_failure(narrator: StepReporter, failure: LoginClientError) -> None:
    """Prints an error and its advice."""
    narrator.message()
    narrator.message(f"FAILED  {failure.message}", style="bold red")
    for line in failure.advice:
        narrator.message(f"        {line}")
