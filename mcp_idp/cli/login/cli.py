"""`mcp-idp login`: the command line of the login client."""

from __future__ import annotations

import asyncio
import getpass
import json
import math
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcp_idp.access.policy import AccessFileError, AccessPolicy, load_access
from mcp_idp.cli.common.command_line import TextCommand, chosen_url, url_options, usage_error
from mcp_idp.cli.common.console import StepReporter, json_text, open_console, printable
from mcp_idp.cli.common.errors import INTERRUPTED_EXIT, ServerUnreachable, TokenRejected
from mcp_idp.cli.common.http_client import parse_connect_to
from mcp_idp.cli.common.redaction import Redactor
from mcp_idp.cli.common.running_stack import crash_hint, stack_variables
from mcp_idp.cli.common.server_env import ACCESS_FILE, with_urls
from mcp_idp.cli.common.server_settings import find_contradictions, find_server_settings
from mcp_idp.cli.common.token_summary import audiences
from mcp_idp.cli.common.trusted_issuer import configured_issuer
from mcp_idp.cli.login.browser import BrowserLogin
from mcp_idp.cli.login.flow import run
from mcp_idp.cli.login.form_login import FormLogin
from mcp_idp.cli.login.options import LoginArguments, LoginOptions
from mcp_idp.cli.login.tool_calls import parse_call
from mcp_idp.util.urls import validate_http_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx2

    from mcp_idp.cli.login.flow import LoginResult
    from mcp_idp.cli.login.options import LoginStrategy

_HELP = """\
Log in at an MCP server as any MCP client does, and see each step: the challenge, the metadata, the registration, the
login with PKCE, the token, the tools. Nothing is stored on this machine; codes, tokens and passwords are never printed.
At the end the client removes its registration, if the provider allows it (RFC 7592).

examples:
  mcp-idp login                                          log in at http://localhost:3000/mcp with the browser
  mcp-idp login https://mcp.example.com/mcp              … at another server
  MCP_PASSWORD=reader mcp-idp login --headless --user reader
                                                         … without a browser; without MCP_PASSWORD there is a prompt
  mcp-idp login --call greet name=Ada --call get_time    call these tools instead of the read-only ones
  mcp-idp login --scope "mcp:tools mcp:admin"            request more than the challenge names
  mcp-idp login --client-id mcp-native                   use a preregistered client
  mcp-idp login --headless --user reader --json < secret-file | jq .claims
"""
_EXIT_CODES = """\
environment:
  MCP_PUBLIC_URL  the server, unless the URL is given
  MCP_PORT        without both: http://localhost:$MCP_PORT/mcp, as in docker-compose.yml
  MCP_PASSWORD    the password for --headless; else the first line of standard input, or a prompt
  OAUTH_SERVER_URL
                  the issuer that may receive the password of --headless, unless --issuer is given; compared byte for
                  byte. Without both, as in docker-compose.yml: http://localhost:$KEYCLOAK_PORT/realms/mcp, or
                  http://localhost:$DEX_PORT if only that one is set. If the server names another provider, nothing is
                  sent
  CONNECT_TO      connect elsewhere and keep the URLs: localhost:3000=mcp-server:3000,localhost:8080=keycloak:8080
  ACCESS_FILE     who may do what, for explanations (default: idp-config/access.yaml)
  NO_COLOR        no colours
URLs and ports that are not in the environment are read from ./.env, then from Docker Compose, which reports the
published ports of this folder's stack; the defaults are 3000 and 8080.

exit codes:
  0  everything worked
  1  unexpected error
  2  the command line is wrong
  3  the MCP server does not respond, or is not an MCP server
  4  the identity provider does not respond, or its metadata or registration is unusable
  5  the login failed, was denied, or took too long
  6  the login worked, but the server rejects the token: usually a role or group is missing
  7  a tool call failed
  130  interrupted with Ctrl-C
"""


class _LoginCommand(TextCommand):
    """A command whose option `--call` takes the words up to the next option: a tool's name and its arguments."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Joins the words of each `--call` into one JSON value before the options are parsed."""
        return super().parse_args(ctx, join_calls(args))


def join_calls(words: list[str]) -> list[str]:
    """Returns a command line in which the words after each `--call` are one JSON array of strings."""
    joined: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        joined.append(word)
        if word == "--call":
            call = []
            while rest and not rest[0].startswith("-"):
                call.append(rest.pop(0))
            joined += [json.dumps(call)] if call else []
    return joined


def _parse_call(text: str) -> tuple[str, ...]:
    try:
        words = json.loads(text)
    except ValueError:
        words = None
    is_joined = isinstance(words, list) and words and all(isinstance(word, str) for word in words)
    return tuple(words) if is_joined else (text,)  # otherwise --call=NAME


def login_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of every command that logs in: members of `LoginArguments`."""
    for option in reversed(_LOGIN_OPTIONS):
        function = option(function)
    return function


_LOGIN_OPTIONS = (
    click.option("--scope", metavar="SCOPES", help="the scopes to request instead of those in the challenge"),
    click.option("--client-id", metavar="ID", help="a preregistered public client, instead of registering one"),
    click.option("--headless", is_flag=True, help="fill in the provider's forms here, without a browser"),
    click.option(
        "--issuer",
        metavar="URL",
        help="the only provider that may see a password or secret given here [OAUTH_SERVER_URL]",
    ),
    click.option("--user", metavar="NAME", help="the user to log in with --headless"),
    click.option("--no-browser", is_flag=True, help="only print the login URL"),
    click.option(
        "--timeout", type=float, default=300.0, metavar="SECONDS", help="how long to wait for the login [300]"
    ),
)


@click.command(cls=_LoginCommand, help=_HELP, epilog=_EXIT_CODES)
@url_options
@login_arguments
@click.option(
    "--call",
    "calls",
    type=_parse_call,
    multiple=True,
    metavar="NAME [key=value …]",
    help="call this tool; may be given several times",
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output instead of the steps")
def command(server: str | None, url: str | None, *, as_json: bool, **values: Any) -> int:
    """Logs in and calls tools; returns the exit code."""
    try:
        arguments = LoginArguments(url=chosen_url(server, url), **values)
        plan = login_options(arguments, os.environ)
        password = login_password(arguments)
    except ValueError as error:
        raise usage_error(str(error)) from error
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    secrets = Redactor()
    narrator = StepReporter(None if as_json else open_console(), secrets)
    try:
        ending = asyncio.run(
            run(plan, narrator, login_strategy(arguments, narrator, password, plan.issuer), suppress_failure=as_json)
        )
    except KeyboardInterrupt:
        open_console(stderr=True).print("\nstopped; nothing was stored on this machine")
        return INTERRUPTED_EXIT
    if as_json:
        document = secrets.hide_in(ending.report(plan, narrator))
        print(json_text(document))
    if hint := _hint(ending, plan):
        print(f"login: {secrets.redact_remote_text(hint)}", file=sys.stderr)
    return ending.exit_code


def _hint(ending: LoginResult, plan: LoginOptions) -> str:
    """Returns what this machine knows about a server that does not respond, or that rejects a token; "" if nothing."""
    if ending.exit_code == ServerUnreachable.exit_code:
        return crash_hint(os.environ)
    claims = ending.outcome.claims
    if ending.exit_code != TokenRejected.exit_code or claims is None:
        return ""
    settings = find_server_settings(os.environ, plan.url)
    found = find_contradictions(settings, audiences(claims), str(claims.get("iss")))
    names = " and ".join(each.name for each in found)
    facts = "; ".join(str(each) for each in found)
    return printable(f"{facts} (from {settings.source}): unset {names} and restart the server") if found else ""


def login_strategy(
    options: LoginArguments, narrator: StepReporter, password: str, issuer: str | None
) -> Callable[[httpx2.AsyncClient], LoginStrategy]:
    """Returns a factory for the login method that the arguments select.

    Args:
        options: The command line.
        narrator: Receives the steps.
        password: The password for `--headless`.
        issuer: The only provider that may receive the password; None selects the browser login.

    Returns:
        A function that takes the HTTP client for the provider's pages.
    """

    def chosen_login(pages: httpx2.AsyncClient) -> LoginStrategy:
        if issuer is not None:
            return FormLogin(narrator, pages, options.user or "", password, issuer=issuer)
        return BrowserLogin(narrator, timeout=options.timeout, open_browser=not options.no_browser)

    return chosen_login


def login_options(options: LoginArguments, variables: Mapping[str, str]) -> LoginOptions:
    """Validates the options and combines them with the environment.

    Args:
        options: The command line.
        variables: The process environment.

    Raises:
        ValueError: An option or a variable is invalid; the message names it.
    """
    if options.headless and not options.user:
        raise ValueError("--headless needs --user NAME")
    if not 0 < options.timeout < math.inf:  # nan is neither
        raise ValueError("--timeout must be a number of seconds, more than 0")
    if options.scope is not None and not options.scope.split():
        raise ValueError("--scope names no scope: omit it to request those in the challenge")
    needs_issuer = options.headless and options.issuer is None
    known = stack_variables(variables, needs=["server"] * (options.url is None) + ["provider"] * needs_issuer)
    return LoginOptions(
        url=server_url(options.url, known),
        scope=options.scope,
        client_id=options.client_id,
        calls=tuple(parse_call(parts) for parts in options.calls),
        user=options.user,
        connect_to=parse_connect_to(known.get("CONNECT_TO", "")),
        access=_access(Path(known.get("ACCESS_FILE") or ACCESS_FILE)),
        issuer=configured_issuer(options.issuer, with_urls(known)) if options.headless else None,
    )


def server_url(option: str | None, variables: Mapping[str, str], name: str = "URL") -> str:
    """Returns the MCP server's URL: the option, else MCP_PUBLIC_URL, else that of the compose stack.

    Args:
        option: The value of the option.
        variables: The environment and the published ports, see `stack_variables`.
        name: The option's name, for the error message.

    Raises:
        ValueError: The value is not a URL; the message names its source.
    """
    name, url = (name, option) if option else ("MCP_PUBLIC_URL", variables.get("MCP_PUBLIC_URL"))
    if not url:
        port = variables.get("MCP_PORT") or "3000"
        if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:  # noqa: PLR2004 - TCP ports
            raise ValueError(f"MCP_PORT: '{port}' is not a TCP port")
        return f"http://localhost:{port}/mcp"
    try:
        validate_http_url(name, url)
    except ValueError as error:
        raise ValueError(str(error)) from error
    return url


def login_password(options: LoginArguments) -> str:
    """Returns the password for `--headless`, or "" without that option.

    The sources, in this order: MCP_PASSWORD, a prompt on a terminal, the first line of standard input.

    Raises:
        ValueError: There is no password.
    """
    user = options.user
    if not options.headless:
        return ""
    if password := os.environ.get("MCP_PASSWORD"):
        return password
    if sys.stdin.isatty():
        with suppress(EOFError):  # Ctrl-D: no password
            return getpass.getpass(f"password of {user}: ")
    elif password := sys.stdin.readline().rstrip("\r\n"):
        return password
    raise ValueError("--headless needs the password: set MCP_PASSWORD or use standard input")


def _access(path: Path) -> AccessPolicy | None:
    """Returns the access policy, or None if it cannot be loaded: it only improves explanations."""
    try:
        return load_access(path)
    except AccessFileError:
        return None
