"""`scripts/token`: prints an access token on standard output, and everything else on standard error."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.cli.common.client_deregistration import unregister
from mcp_idp.cli.common.console import StepReporter, open_console, printable
from mcp_idp.cli.common.errors import INTERRUPTED_EXIT, LoginClientError, LoginError, ProviderError
from mcp_idp.cli.common.http import create_client
from mcp_idp.cli.common.redaction import Redactor
from mcp_idp.cli.common.safe_http import SafeHttpClient
from mcp_idp.cli.common.server_env import server_environment
from mcp_idp.cli.common.trusted_issuer import check_issuer, own_issuer
from mcp_idp.cli.doctor.context import CheckContext
from mcp_idp.cli.doctor.findings import Severity
from mcp_idp.cli.doctor.registry import DISCOVERY_CHECKS
from mcp_idp.cli.doctor.runner import all_findings, run_checks
from mcp_idp.cli.login.browser import has_display
from mcp_idp.cli.login.cli import add_login_options, login_options, login_password, login_strategy
from mcp_idp.cli.login.flow import report_failure, run_for_token
from mcp_idp.cli.token.client_secret import read_key, read_secret
from mcp_idp.cli.token.grants import DeviceFlowUnavailable, GrantRunner
from mcp_idp.util.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx2

    from mcp_idp.cli.login.options import LoginOptions
    from mcp_idp.config.client_signing_key import ClientSigningKey

_DOTENV = Path(__file__).parents[3] / ".env"
_HELP = """\
Get an access token for an MCP server and print it on standard output: for curl, for scripts/inspect, for a look at what
the provider issues. Progress goes to standard error; the token is printed nowhere else and not stored.

examples:
  scripts/token | scripts/inspect                        what is in it, and does the server accept it?
  TOKEN=$(scripts/token)                                 log in with the browser, or by a code to type in
  MCP_PASSWORD=reader scripts/token --headless --user reader --keep > token.txt
  scripts/token --client-id nightly --client-secret-file secret.txt
                                                         a client's own token, without a user
  scripts/token --client-id importer --client-key-file key.pem
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
--flow chooses one. (This stack's own Keycloak refuses the device flow, and says so only after the login.)

At the end the client removes its registration, where the provider lets it. The token stays valid for servers that
verify signatures; a server that asks the provider (introspection) refuses it then: --keep leaves the registration.

A secret, and the password of --headless, go only to the provider that --issuer or OAUTH_SERVER_URL names, whatever the
server says (see scripts/login --help).

environment and exit codes: as for scripts/login (see scripts/login --help).
"""


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `scripts/token`."""
    parser = argparse.ArgumentParser(
        "scripts/token", description=_HELP, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="the MCP server's public URL")
    parser.add_argument("--flow", choices=("auto", "device", "code"), default="auto", help="how the user logs in")
    parser.add_argument("--client-secret-file", type=Path, metavar="FILE", help="the secret of --client-id")
    parser.add_argument("--client-key-file", type=Path, metavar="FILE", help="or its private key (PEM)")
    parser.add_argument("--keep", action="store_true", help="keep the registration at the provider")
    add_login_options(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: The command line without the program name; by default that of the process.

    Returns:
        The exit code.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    secrets = Redactor()
    narrator = StepReporter(open_console(stderr=True), secrets)
    try:
        plan = login_options(options, os.environ)
        credential = _client_credential(options)
        password = login_password(options)
    except ValueError as error:
        parser.error(printable(str(error)))  # exits with 2
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    narrator.secrets.add_public(*plan.public_strings())
    try:
        token = asyncio.run(_token(options, plan, narrator, credential, password))
    except LoginClientError as failure:
        report_failure(narrator, failure)
        return failure.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    print(token)
    return 0


def _client_credential(options: argparse.Namespace) -> str | ClientSigningKey:
    """Returns the client secret or signing key that the options name, or "" if a user logs in.

    Raises:
        ValueError: The file cannot be read, or both are given.
    """
    if options.client_secret_file and options.client_key_file:
        raise ValueError("--client-secret-file and --client-key-file: use only one")
    if options.client_secret_file or options.client_key_file:
        _own_issuer(options)  # reports an invalid issuer before any request is sent
    key = read_key(options.client_key_file, options.client_id)
    return key if key is not None else read_secret(options.client_secret_file, options.client_id)


def _own_issuer(options: argparse.Namespace) -> str:
    return own_issuer(options.issuer, server_environment(os.environ, _DOTENV))


async def _token(
    options: argparse.Namespace,
    plan: LoginOptions,
    narrator: StepReporter,
    credential: str | ClientSigningKey,
    password: str,
) -> str:
    """Obtains a token with the grant that the options select.

    Raises:
        LoginClientError: No token was issued.
    """
    browser_elsewhere = options.flow == "auto" and not options.headless and not has_display(os.environ)
    if credential or options.flow == "device" or browser_elsewhere:
        async with create_client(plan.connect_to) as http:
            token = await _without_a_browser_here(options, plan, narrator, http, credential)
        if token:
            return token
    token = await run_for_token(
        plan, narrator, login_strategy(options, narrator, password, plan.issuer), keep=options.keep
    )
    if not token:
        raise LoginError(f"{plan.url} requires no login, so there is no token")
    return token


async def _without_a_browser_here(
    options: argparse.Namespace,
    plan: LoginOptions,
    narrator: StepReporter,
    http: httpx2.AsyncClient,
    credential: str | ClientSigningKey,
) -> str:
    """Obtains a token by client credentials or the device flow.

    Returns:
        The token, or "" to fall back to the authorization code flow.
    """
    case = await _discover(plan.url, http)
    scope = plan.scope if plan.scope is not None else " ".join(case.scopes)
    flow = GrantRunner(case, narrator, scope)
    if credential:
        check_issuer(case.issuer, _own_issuer(options), "secret")
        return await flow.client_credentials(options.client_id, credential)
    if options.flow == "auto" and is_loopback(urlsplit(case.issuer).hostname or ""):
        return ""  # a loopback provider is opened in a browser on this machine, so a loopback redirect works
    try:
        return await flow.device_authorization(plan.client_id, options.timeout)
    except DeviceFlowUnavailable as reason:
        if options.flow == "device":
            raise ProviderError(f"the provider offers no device flow here: {reason}", "omit --flow") from reason
        narrator.line("note", f"no device flow: {reason}")
        return ""
    finally:
        if flow.registration is not None and not options.keep:
            await unregister(flow.registration, plan.connect_to, narrator)


async def _discover(url: str, http: httpx2.AsyncClient) -> CheckContext:
    """Discovers the server and its provider's metadata with the doctor's checks.

    Raises:
        LoginClientError: A check found a fault, which the message describes; or the server requires no login.
    """
    case = CheckContext(url, SafeHttpClient(http, url))
    for finding in all_findings(await run_checks(case, DISCOVERY_CHECKS)):
        if finding.kind.severity is Severity.ERROR:
            message = f"{finding.kind.title}: {finding.observed}"
            raise ProviderError(message, finding.fix, f"scripts/doctor {url} gives details")
    if case.open:
        raise LoginError(f"{url} requires no login, so there is no token")
    return case


if __name__ == "__main__":
    sys.exit(main())
