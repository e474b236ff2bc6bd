"""`mcp-idp doctor`: the command line of the doctor."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from mcp_idp.cli.common.command_line import TextCommand, chosen_url, url_options, usage_error
from mcp_idp.cli.common.console import StepReporter, json_text, open_console, printable, progress
from mcp_idp.cli.common.errors import INTERRUPTED_EXIT, LoginClientError
from mcp_idp.cli.common.http_client import create_client, parse_connect_to
from mcp_idp.cli.common.launcher import for_stack
from mcp_idp.cli.common.redaction import Redactor
from mcp_idp.cli.common.running_stack import crash_hint, stack_environment, stack_variables
from mcp_idp.cli.common.safe_http import SafeHttpClient
from mcp_idp.cli.common.server_settings import ServerSettings, find_server_settings
from mcp_idp.cli.common.stdin_token import TokenInputError, read_token
from mcp_idp.cli.doctor.all_checks import CHECKS
from mcp_idp.cli.doctor.checks.reachability import CERTIFICATE, UNREACHABLE
from mcp_idp.cli.doctor.client_profiles import CLIENT_PROFILES, find_profile
from mcp_idp.cli.doctor.context import CheckContext
from mcp_idp.cli.doctor.report import Report, as_json, is_healthy
from mcp_idp.cli.doctor.runner import run_checks
from mcp_idp.cli.doctor.token_evaluation import make_evaluator
from mcp_idp.cli.login.cli import login_arguments, login_options, login_password, login_strategy, server_url
from mcp_idp.cli.login.flow import run_for_token
from mcp_idp.cli.login.options import LoginArguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mcp_idp.cli.common.http_client import Address
    from mcp_idp.cli.doctor.client_requests import ClientProfile
    from mcp_idp.cli.doctor.runner import Result

_FINDINGS = 1
_USED_HERE = ("JWT_AUDIENCE", "JWT_ISSUER", "MAX_TOKEN_BYTES", "MAX_TOKEN_LIFETIME", "CLOCK_LEEWAY")
_UNREACHABLE = 3
_HELP = """\
Check an MCP server and its identity provider from outside, as clients see them, and report what prevents logins: the
cause first, with its fix. It works with any server, not only this project's. It changes nothing without
--as, --register, --probe or --fix.

examples:
  mcp-idp doctor                                     the server of this stack, http://localhost:3000/mcp
  mcp-idp doctor https://mcp.example.com/mcp         … or any other
  mcp-idp doctor --register                          register as VS Code, Claude Code and others do; removed at once
  mcp-idp doctor --as codex                          do what this client does up to the login page; removes its client
  mcp-idp token | mcp-idp doctor --token -           which rule rejects this token, and does the server accept it?
  mcp-idp doctor --login                             log in with the browser, and validate the token
  mcp-idp doctor --probe                             probe as an unauthenticated client, on your own Keycloak; cleans up
  mcp-idp doctor --fix --inside                      show what apply would change, ask, apply; then check again
  mcp-idp doctor --json | jq -r '.findings[0].fix'  for programs
"""
_EPILOG = """\
environment:
  MCP_PUBLIC_URL, MCP_PORT   the server, unless the URL is given: as for mcp-idp login, which names the other places
  MCP_PASSWORD, CONNECT_TO, OAUTH_SERVER_URL
                             as for mcp-idp login: --headless gives the password to that provider only
  INITIAL_ACCESS_TOKEN       to register with --register, at that provider only
  KEYCLOAK_ADMIN_CLIENT_…    for --inside, --probe and --fix: as for mcp-idp bootstrap
  SSL_CERT_FILE              further certificate authorities to trust
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
        quirks: Whether to report what helps clients that do not follow the specification.
        client: The client to act as, or None.
        settings: The server's settings, where this machine has them.
        inside: Whether to check the provider through Keycloak's admin API.
        probe: Whether to probe Keycloak's known weaknesses.
        token: The access token to evaluate, or "".
        failure: The error of a requested login that returned no token.
        connect_to: Address mapping, see `mcp_idp.cli.common.http_client`.
    """

    url: str
    register: bool
    quirks: bool
    client: ClientProfile | None
    settings: ServerSettings
    inside: bool
    probe: bool
    token: str
    failure: LoginClientError | None
    connect_to: Mapping[Address, Address]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorArguments:
    """The options of the command line, except those of the login; see `DoctorOptions`.

    Attributes:
        register: Whether to try client registrations.
        quirks: Whether to report what helps clients that do not follow the specification.
        as_client: The client to act as, by its short name.
        inside: Whether to check the provider through Keycloak's admin API.
        probe: Whether to probe Keycloak's known weaknesses.
        fix: Whether to fix first what the bootstrap can fix.
        yes: Whether to do so without asking.
        token: "-" if the token on standard input is validated.
        login: Whether to log in for a token.
        json: Whether to print JSON.
    """

    register: bool
    quirks: bool
    as_client: str | None
    inside: bool
    probe: bool
    fix: bool
    yes: bool
    token: str | None
    login: bool
    json: bool


_FLAGS = {
    "register": "test registrations, and remove each at once",
    "quirks": "also report what helps clients that do not follow the specification",
    "inside": "also check through Keycloak's admin API, as mcp-idp bootstrap check does",
    "probe": "probe the nine weaknesses, on your own Keycloak: needs its admin client",
    "fix": "first fix what mcp-idp bootstrap apply can fix, after asking",
    "yes": "do not ask before --fix writes",
    "login": "log in, and validate the token",
    "json": "one JSON object on standard output instead of the report",
}


def _flags(function: Callable[..., Any]) -> Callable[..., Any]:
    for name, text in reversed(_FLAGS.items()):
        function = click.option(f"--{name}", is_flag=True, help=text)(function)
    return function


@click.command(cls=TextCommand, help=_HELP, epilog=_EPILOG)
@url_options
@_flags
@click.option(
    "--as",
    "as_client",
    metavar="NAME",
    help=f"register and begin a login as this client does, and remove it: {', '.join(p.key for p in CLIENT_PROFILES)}",
)
@click.option("--token", metavar="-", help="validate the access token on standard input")
@login_arguments
def command(server: str | None, url: str | None, **values: Any) -> int:
    """Examines a server; returns the exit code."""
    members = {field.name for field in fields(DoctorArguments)}
    options = DoctorArguments(**{name: value for name, value in values.items() if name in members})
    secrets = Redactor()
    try:
        login = LoginArguments(
            url=chosen_url(server, url), **{name: value for name, value in values.items() if name not in members}
        )
        order = _parse_options(options, login, secrets)
    except ValueError as error:
        raise usage_error(str(error)) from error
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    try:
        if options.fix:
            _fix(order, confirms=not options.yes)
        results = asyncio.run(_examine(order))
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    if options.json:
        print(json_text(as_json(order.url, results, secrets, client=order.client)))
    else:
        report = Report(open_console(), secrets)
        report.print(order.url, results, login_tested=options.login, client=order.client)
    code = exit_code(results)
    if code == _UNREACHABLE and (hint := crash_hint(os.environ)):
        print(f"doctor: {hint}", file=sys.stderr)
    return code


def exit_code(results: Sequence[Result]) -> int:
    """Returns the exit code that `--help` documents."""
    found = {finding.kind for result in results for finding in result.findings}
    if found & {UNREACHABLE, CERTIFICATE}:
        return _UNREACHABLE
    return 0 if is_healthy(results) else _FINDINGS


def _parse_options(options: DoctorArguments, login: LoginArguments, secrets: Redactor) -> DoctorOptions:
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
    client = find_profile(options.as_client) if options.as_client is not None else None
    known = stack_variables(os.environ, needs=["server"] * (login.url is None))
    url = server_url(login.url, known)
    token, failure = "", None
    if options.token:
        try:
            token = read_token(sys.stdin)
        except TokenInputError as error:
            raise ValueError(str(error)) from None
    elif options.login:
        try:
            token = asyncio.run(_log_in(replace(login, url=url), secrets))
        except LoginClientError as error:  # the findings explain the failure
            failure = error
    secrets.add_secret(token)
    secrets.add_secret(known.get("INITIAL_ACCESS_TOKEN", ""))
    return DoctorOptions(
        url,
        options.register,
        options.quirks,
        client,
        find_server_settings(os.environ, url),
        options.inside,
        options.probe,
        token,
        failure,
        parse_connect_to(known.get("CONNECT_TO", "")),
    )


async def _log_in(login: LoginArguments, secrets: Redactor) -> str:
    narrator = StepReporter(open_console(stderr=True), secrets)
    plan = login_options(login, os.environ)
    strategy = login_strategy(login, narrator, login_password(login), plan.issuer)
    return await run_for_token(plan, narrator, strategy)


def _fix(order: DoctorOptions, *, confirms: bool) -> None:
    from mcp_idp.cli.doctor.bootstrap_bridge import confirm_on_terminal, fix  # noqa: PLC0415 - see `_admin_checks`

    known = stack_environment(os.environ)
    reason = fix(known, order.url, confirm_on_terminal if confirms else lambda: True)
    if reason and order.settings.in_stack:
        reason = f"{reason}; in this stack: {for_stack('mcp-idp bootstrap plan')}, then apply"
    if reason:
        print(f"doctor: not fixed: {printable(reason)}", file=sys.stderr)


async def _examine(order: DoctorOptions) -> list[Result]:
    async with create_client(order.connect_to) as http:
        case = CheckContext(
            order.url,
            SafeHttpClient(http, order.url),
            register=order.register,
            quirks=order.quirks,
            initial_access_tokens=_initial_access_tokens(stack_environment(os.environ)),
            client=order.client,
            settings=order.settings,
            evaluate=make_evaluator(_evaluation_settings(order)) if order.token else None,
            token=order.token,
            failure=order.failure,
        )
        with progress("examining the server") as show:
            results = await run_checks(_admin_checks(case, order), CHECKS, on_check=show)
    return [_named_for_stack(result) for result in results] if order.settings.in_stack else results


def _named_for_stack(result: Result) -> Result:
    """Returns a result whose fixes name the bootstrap as the compose stack runs it."""
    return replace(result, findings=[replace(found, fix=for_stack(found.fix)) for found in result.findings])


def _evaluation_settings(order: DoctorOptions) -> dict[str, str]:
    """Returns the environment to evaluate a token with: what the running server was started with comes first.

    Its URLs are those of its own network, so its mode and its keys are not used.
    """
    return {**stack_environment(os.environ), **{n: v for n, v in order.settings.values.items() if n in _USED_HERE}}


def _initial_access_tokens(known: Mapping[str, str]) -> dict[str, str]:
    """Returns the initial access token by the configured issuer, the only one that may see it."""
    token = known.get("INITIAL_ACCESS_TOKEN", "")
    return {known["OAUTH_SERVER_URL"]: token} if token and "OAUTH_SERVER_URL" in known else {}


def _admin_checks(case: CheckContext, order: DoctorOptions) -> CheckContext:
    """Adds the checks through the admin API that the options ask for."""
    if not order.inside and not order.probe:
        return case
    # Imported only here, because the bootstrap's libraries take longer to import than everything else.
    from mcp_idp.cli.doctor.bootstrap_bridge import run_admin_check, run_probe  # noqa: PLC0415 - see above

    known = {**stack_environment(os.environ), "MCP_PUBLIC_URL": order.url}
    case.look_inside = partial(run_admin_check, known) if order.inside else None
    case.probe = partial(run_probe, known) if order.probe else None
    return case
