"""The command line of the doctor."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.cli.common.console import StepReporter, open_console, printable
from mcp_idp.cli.common.errors import INTERRUPTED_EXIT, LoginClientError
from mcp_idp.cli.common.http import create_client, parse_connect_to
from mcp_idp.cli.common.redaction import Redactor
from mcp_idp.cli.common.safe_http import SafeHttpClient
from mcp_idp.cli.common.server_env import server_environment
from mcp_idp.cli.common.stdin_token import TokenInputError, read_token
from mcp_idp.cli.doctor.checks.reachability import CERTIFICATE, UNREACHABLE
from mcp_idp.cli.doctor.context import CheckContext
from mcp_idp.cli.doctor.registry import CHECKS
from mcp_idp.cli.doctor.report import Report, as_json, is_healthy
from mcp_idp.cli.doctor.runner import run_checks
from mcp_idp.cli.doctor.token_evaluation import make_evaluator
from mcp_idp.cli.login.cli import add_login_options, login_options, login_password, login_strategy, server_url
from mcp_idp.cli.login.flow import run_for_token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcp_idp.cli.common.http import Address
    from mcp_idp.cli.doctor.runner import Result

_DOTENV = Path(__file__).parents[3] / ".env"
_FINDINGS = 1
_UNREACHABLE = 3
_HELP = """\
Check an MCP server and its identity provider from outside, as clients see them, and report what keeps clients out: the
cause first, with its fix. It works with any server, not only this project's. It changes nothing without
--register, --probe or --fix.

examples:
  scripts/doctor                                     the server of this stack, http://localhost:3000/mcp
  scripts/doctor https://mcp.example.com/mcp         … or any other
  scripts/doctor --register                          register as VS Code, Claude Code and others do; removed at once
  scripts/token | scripts/doctor --token -           which rule rejects this token, and does the server accept it?
  scripts/doctor --login                             log in with the browser, and validate the token
  scripts/doctor --probe                             probe as an unauthenticated client, on your own Keycloak; cleans up
  scripts/doctor --fix --inside                      show what apply would change, ask, apply; then check again
  scripts/doctor --json | jq -r '.findings[0].fix'  for programs
"""
_EPILOG = """\
environment:
  MCP_PUBLIC_URL, MCP_PORT   the server, unless the URL is given: as for scripts/login
  MCP_PASSWORD, CONNECT_TO, OAUTH_SERVER_URL
                             as for scripts/login: --headless gives the password to that provider only
  KEYCLOAK_ADMIN_CLIENT_…    for --inside, --probe and --fix: as for scripts/bootstrap_idp.py
  SSL_CERT_FILE              authorities to trust besides the usual ones
  NO_COLOR                   no colours

docs/doctor.md lists every finding. Exit codes: 0 no problems, 1 findings, 2 the command line is wrong,
3 the server cannot be reached, 130 interrupted.
"""


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """What to examine.

    Attributes:
        url: The MCP server's URL.
        register: Whether to try client registrations.
        inside: Whether to check the provider through Keycloak's admin API.
        probe: Whether to probe Keycloak's known weaknesses.
        token: The access token to evaluate, or "".
        failure: The error of a requested login that returned no token.
        connect_to: Address mapping, see `mcp_idp.cli.common.http`.
    """

    url: str
    register: bool
    inside: bool
    probe: bool
    token: str
    failure: LoginClientError | None
    connect_to: Mapping[Address, Address]


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `scripts/doctor`."""
    parser = argparse.ArgumentParser(
        "scripts/doctor", description=_HELP, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", nargs="?", metavar="URL", help="the MCP server's URL, as clients use it")
    parser.add_argument("--register", action="store_true", help="test registrations, and remove each at once")
    parser.add_argument(
        "--inside", action="store_true", help="also check through Keycloak's admin API (scripts/bootstrap_idp.py check)"
    )
    parser.add_argument(
        "--probe",
        action="store_true",
        help="probe the nine weaknesses, on your own Keycloak: needs its admin client",
    )
    parser.add_argument(
        "--fix", action="store_true", help="first fix what scripts/bootstrap_idp.py apply can fix, after asking"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before --fix writes")
    parser.add_argument("--token", metavar="-", help="validate the access token on standard input")
    parser.add_argument("--login", action="store_true", help="log in, and validate the token")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output instead of the report")
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
    try:
        order = _parse_options(options, secrets)
    except ValueError as error:
        parser.error(printable(str(error)))  # exits with 2
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    try:
        if options.fix:
            _fix(order.url, asks=not options.yes)
        results = asyncio.run(_examine(order))
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    if options.json:
        print(json.dumps(as_json(order.url, results, secrets), indent=2))
    else:
        Report(open_console(), secrets).print(order.url, results, login_tested=options.login)
    return exit_code(results)


def exit_code(results: Sequence[Result]) -> int:
    """Returns the exit code that `--help` documents."""
    found = {finding.kind for result in results for finding in result.findings}
    if found & {UNREACHABLE, CERTIFICATE}:
        return _UNREACHABLE
    return 0 if is_healthy(results) else _FINDINGS


def _parse_options(options: argparse.Namespace, secrets: Redactor) -> DoctorOptions:
    """Validates the options, and obtains the token from standard input or, with `--login`, from a login.

    Raises:
        ValueError: An option is invalid; the message names it.
    """
    if options.token not in {None, "-"}:
        raise ValueError(
            "--token -: a token on the command line is visible in the process list: consider it "
            "compromised, and use standard input"
        )
    if options.token and options.login:
        raise ValueError("--token and --login: one token at a time")
    url = server_url(options.url, os.environ, "URL")
    token, failure = "", None
    if options.token:
        try:
            token = read_token(sys.stdin)
        except TokenInputError as error:
            raise ValueError(str(error)) from None
    elif options.login:
        try:
            token = asyncio.run(_log_in(options, url, secrets))
        except LoginClientError as error:  # the findings explain the failure
            failure = error
    secrets.add_secret(token)
    return DoctorOptions(
        url,
        options.register,
        options.inside,
        options.probe,
        token,
        failure,
        parse_connect_to(os.environ.get("CONNECT_TO", "")),
    )


async def _log_in(options: argparse.Namespace, url: str, secrets: Redactor) -> str:
    narrator = StepReporter(open_console(stderr=True), secrets)
    options.url = url
    plan = login_options(options, os.environ)
    login = login_strategy(options, narrator, login_password(options), plan.issuer)
    return await run_for_token(plan, narrator, login)


def _fix(url: str, *, asks: bool) -> None:
    from mcp_idp.cli.doctor.bootstrap_bridge import confirm_on_terminal, fix  # noqa: PLC0415 - see `_admin_checks`

    known = server_environment(os.environ, _DOTENV)
    if reason := fix(known, url, confirm_on_terminal if asks else lambda: True):
        print(f"doctor: not fixed: {printable(reason)}", file=sys.stderr)


async def _examine(order: DoctorOptions) -> list[Result]:
    async with create_client(order.connect_to) as http:
        case = CheckContext(
            order.url,
            SafeHttpClient(http, order.url),
            register=order.register,
            evaluate=make_evaluator(server_environment(os.environ, _DOTENV)) if order.token else None,
            token=order.token,
            failure=order.failure,
        )
        return await run_checks(_admin_checks(case, order), CHECKS)


def _admin_checks(case: CheckContext, order: DoctorOptions) -> CheckContext:
    """Adds the checks through the admin API that the options ask for."""
    if not order.inside and not order.probe:
        return case
    # Imported only here, because the bootstrap's libraries take longer to import than everything else.
    from mcp_idp.cli.doctor.bootstrap_bridge import run_admin_check, run_probe  # noqa: PLC0415 - see above

    known = {**server_environment(os.environ, _DOTENV), "MCP_PUBLIC_URL": order.url}
    case.look_inside = partial(run_admin_check, known) if order.inside else None
    case.probe = partial(run_probe, known) if order.probe else None
    return case
