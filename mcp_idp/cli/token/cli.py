"""`mcp-idp token`: prints an access token on standard output, and everything else on standard error."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from mcp_idp.cli.common.client_deregistration import unregister
from mcp_idp.cli.common.command_line import TextCommand, chosen_url, url_options, usage_error
from mcp_idp.cli.common.console import StepReporter, open_console
from mcp_idp.cli.common.errors import INTERRUPTED_EXIT, LoginClientError, LoginError, ProviderError, ServerUnreachable
from mcp_idp.cli.common.http_client import create_client
from mcp_idp.cli.common.redaction import Redactor
from mcp_idp.cli.common.running_stack import crash_hint, stack_environment
from mcp_idp.cli.common.safe_http import SafeHttpClient
from mcp_idp.cli.common.stdin_token import is_token
from mcp_idp.cli.common.token_summary import decode_unverified_claims
from mcp_idp.cli.common.trusted_issuer import check_issuer, configured_issuer
from mcp_idp.cli.doctor.all_checks import DISCOVERY_CHECKS
from mcp_idp.cli.doctor.context import CheckContext
from mcp_idp.cli.doctor.findings import Severity
from mcp_idp.cli.doctor.runner import all_findings, run_checks
from mcp_idp.cli.login.browser import has_display
from mcp_idp.cli.login.cli import login_arguments, login_options, login_password, login_strategy
from mcp_idp.cli.login.flow import report_failure, run_for_token
from mcp_idp.cli.login.options import LoginArguments
from mcp_idp.cli.token.client_secret import read_key, read_secret
from mcp_idp.cli.token.grants import DeviceFlowUnavailable, GrantRunner
from mcp_idp.util.urls import is_loopback

if TYPE_CHECKING:
    import httpx2

    from mcp_idp.cli.login.options import LoginOptions
    from mcp_idp.config.client_signing_key import ClientSigningKey

_HELP = """\
Get an access token for an MCP server and print it on standard output: for curl, for mcp-idp inspect, for a look at what
the provider issues. Progress goes to standard error; the token is printed nowhere else and not stored.

examples:
  mcp-idp token | mcp-idp inspect                        what is in it, and does the server accept it?
  TOKEN=$(mcp-idp token)                                 log in with the browser, or by a code to type in
  MCP_PASSWORD=reader mcp-idp token --headless --user reader --keep > token.txt
  mcp-idp token --client-id nightly --client-secret-file secret.txt
                                                         a client's own token, without a user
  mcp-idp token --client-id importer --client-key-file key.pem
                                                         the same, with a key that never leaves this machine

with curl (the header comes from a file descriptor, so that the token is not in the process list):
  curl -sS http://localhost:3000/mcp -H @<(printf 'Authorization: Bearer %s' "$TOKEN") \\
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \\
    -d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},
         "clientInfo":{"name":"curl","version":"1"}}}'
"""
_EPILOG = """\
Flow: client credentials with --client-secret-file or --client-key-file; else the authorization code
flow, with the browser or with --headless; on a machine without a browser the device flow, if the provider is on another
machine and offers it.
--flow chooses one. (This stack's own Keycloak rejects the device flow, but reports that only after the login.)

At the end the client removes its registration, if the provider allows it. The token stays valid for servers that
verify signatures; a server that introspects tokens then rejects it: --keep leaves the registration.

A secret, and the password of --headless, go only to the provider that --issuer or OAUTH_SERVER_URL names, whatever the
server names (see mcp-idp login --help).

environment and exit codes: as for mcp-idp login (see mcp-idp login --help).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenArguments:
    """The options of the command line, except those of the login.

    Attributes:
        flow: How the user logs in: `auto`, `device` or `code`.
        client_secret_file: The file with the secret of the client.
        client_key_file: The file with its private key (PEM).
        keep: Whether the registration stays at the provider.
    """

    flow: str
    client_secret_file: Path | None
    client_key_file: Path | None
    keep: bool


@click.command(cls=TextCommand, help=_HELP, epilog=_EPILOG)
@url_options
@click.option("--flow", type=click.Choice(["auto", "device", "code"]), default="auto", help="how the user logs in")
@click.option("--client-secret-file", type=Path, metavar="FILE", help="the secret of --client-id")
@click.option("--client-key-file", type=Path, metavar="FILE", help="or its private key (PEM)")
@click.option("--keep", is_flag=True, help="keep the registration at the provider")
@click.option("--json", "as_json", is_flag=True, help="one JSON object instead of the token alone")
@login_arguments
def command(  # noqa: PLR0913 - one for each option
    server: str | None,
    url: str | None,
    *,
    flow: str,
    client_secret_file: Path | None,
    client_key_file: Path | None,
    keep: bool,
    as_json: bool,
    **values: Any,
) -> int:
    """Prints a token; returns the exit code."""
    options = TokenArguments(
        flow=flow, client_secret_file=client_secret_file, client_key_file=client_key_file, keep=keep
    )
    narrator = StepReporter(open_console(stderr=True), Redactor())
    try:
        login = LoginArguments(url=chosen_url(server, url), **values)
        plan = login_options(login, os.environ)
        credential = _client_credential(options, login)
        password = login_password(login)
    except ValueError as error:
        raise usage_error(str(error)) from error
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    narrator.secrets.add_public(*plan.public_strings())
    try:
        token = asyncio.run(TokenRun(options, login, plan, narrator).token(credential, password))
    except LoginClientError as failure:
        report_failure(narrator, failure)
        if isinstance(failure, ServerUnreachable | ProviderError) and (hint := crash_hint(os.environ)):
            print(f"token: {hint}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    if not is_token(token):
        report_failure(narrator, LoginError("what the provider issued is no access token: it has other characters"))
        return LoginError.exit_code
    print(json.dumps(_as_json(plan.url, token), ensure_ascii=True, indent=2) if as_json else token)
    return 0


def _as_json(url: str, token: str) -> dict[str, Any]:
    """Returns what `--json` prints; `claims` are decoded without verification, and null for an opaque token."""
    return {
        "url": url,
        "access_token": token,
        "token_type": "Bearer",
        "claims": decode_unverified_claims(token),
    }


def _client_credential(options: TokenArguments, login: LoginArguments) -> str | ClientSigningKey:
    """Returns the client secret or signing key that the options name, or "" if a user logs in.

    Raises:
        ValueError: The file cannot be read, or both are given.
    """
    if options.client_secret_file and options.client_key_file:
        raise ValueError("--client-secret-file and --client-key-file: use only one")
    if options.client_secret_file or options.client_key_file:
        _configured_issuer(login)  # reports an invalid issuer before any request is sent
    key = read_key(options.client_key_file, login.client_id)
    return key if key is not None else read_secret(options.client_secret_file, login.client_id)


def _configured_issuer(login: LoginArguments) -> str:
    return configured_issuer(login.issuer, stack_environment(os.environ))


class TokenRun:
    """Obtains a token with the grant that the options select.

    Args:
        options: The options of this command.
        login: The options of the login.
        plan: The same, validated.
        narrator: Receives the steps.
    """

    def __init__(
        self, options: TokenArguments, login: LoginArguments, plan: LoginOptions, narrator: StepReporter
    ) -> None:
        self._options = options
        self._login = login
        self._plan = plan
        self._narrator = narrator

    async def token(self, credential: str | ClientSigningKey, password: str) -> str:
        """Returns the token.

        Args:
            credential: The client's own credential, or "".
            password: The password for `--headless`.

        Raises:
            LoginClientError: No token was issued.
        """
        options, login, plan = self._options, self._login, self._plan
        browser_elsewhere = options.flow == "auto" and not login.headless and not has_display(os.environ)
        if credential or options.flow == "device" or browser_elsewhere:
            async with create_client(plan.connect_to, limits=plan.limits) as http:
                token = await self._without_a_browser_here(http, credential)
            if token:
                return token
        strategy = login_strategy(login, self._narrator, password, plan.issuer)
        token = await run_for_token(plan, self._narrator, strategy, keep=options.keep)
        if not token:
            raise LoginError(f"{plan.url} requires no login, so there is no token")
        return token

    async def _without_a_browser_here(self, http: httpx2.AsyncClient, credential: str | ClientSigningKey) -> str:
        """Obtains a token by client credentials or the device flow.

        Returns:
            The token, or "" to fall back to the authorization code flow.
        """
        plan = self._plan
        case = await _discover(plan.url, http)
        scope = plan.scope if plan.scope is not None else " ".join(case.scopes)
        flow = GrantRunner(case, self._narrator, scope)
        if credential:
            check_issuer(case.issuer, _configured_issuer(self._login), "secret")
            return await flow.client_credentials(self._login.client_id or "", credential)
        if self._options.flow == "auto" and is_loopback(urlsplit(case.issuer).hostname or ""):
            return ""  # a loopback provider is opened in a browser on this machine, so a loopback redirect works
        try:
            return await flow.device_authorization(plan.client_id, self._login.timeout)
        except DeviceFlowUnavailable as reason:
            if self._options.flow == "device":
                raise ProviderError(f"the provider offers no device flow here: {reason}", "omit --flow") from reason
            self._narrator.line("note", f"no device flow: {reason}")
            return ""
        finally:
            if flow.registration is not None and not self._options.keep:
                await unregister(flow.registration, plan.connect_to, self._narrator)


async def _discover(url: str, http: httpx2.AsyncClient) -> CheckContext:
    """Discovers the server and its provider's metadata with the doctor's checks.

    Raises:
        LoginClientError: A check found a fault, which the message describes; or the server requires no login.
    """
    case = CheckContext(url, SafeHttpClient(http, url))
    for finding in all_findings(await run_checks(case, DISCOVERY_CHECKS)):
        if finding.kind.severity is Severity.ERROR:
            message = f"{finding.kind.title}: {finding.observed}"
            raise ProviderError(message, finding.fix, f"mcp-idp doctor {url} gives details")
    if case.open:
        raise LoginError(f"{url} requires no login, so there is no token")
    return case
