"""`mcp-idp inspect`: reads a token from standard input and shows the result of each validation rule of the server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcp_idp.access.policy import AccessFileError, load_access
from mcp_idp.cli.common.command_line import USAGE_EXIT, TextCommand
from mcp_idp.cli.common.console import json_text, printable, progress
from mcp_idp.cli.common.errors import INTERRUPTED_EXIT
from mcp_idp.cli.common.running_stack import stack_environment
from mcp_idp.cli.common.server_env import DOTENV
from mcp_idp.cli.common.stdin_token import TokenInputError, read_token
from mcp_idp.cli.inspect.evaluation import JWT_RULES, RULE_DESCRIPTIONS, TokenEvaluation, evaluate_token, format_value
from mcp_idp.cli.inspect.offline_verifier import StaticJwksTransport, open_verifiers
from mcp_idp.config import load_settings
from mcp_idp.config.env import SettingsError
from mcp_idp.util.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.config.settings import Settings

_UNKNOWN = 3
_MAX_KEY_SET = 512 * 1024
_HELP = """\
Read an access token from standard input, show what is in it, and show the result of each of the server's rules: the
server's own code validates it, with the server's settings. The token itself is never printed or stored.

examples:
  mcp-idp token | mcp-idp inspect                       a new token from the stack's own provider
  pbpaste | mcp-idp inspect                             … or one from the clipboard (xclip -o, wl-paste)
  mcp-idp inspect < response.json                       … or the whole response of a token endpoint
  mcp-idp inspect --jwks keys.json < token.txt          offline: with a key set in a file
  MCP_PUBLIC_URL=https://mcp.example.com/mcp OAUTH_SERVER_URL=https://login.example.com/ mcp-idp inspect < token.txt
"""
_EPILOG = """\
The settings are the server's (docs/settings.md), from the environment, then from .env, then from the ports that
Docker Compose has published. In introspection mode the token is introspected at the provider, as the server does.

exit codes: 0 the server would accept it, 1 it would reject it, 2 the command line or a setting is wrong, 3 unknown: the
provider cannot be reached, 130 interrupted.
"""


@click.command(cls=TextCommand, help=_HELP, epilog=_EPILOG)
@click.option("--jwks", type=Path, metavar="FILE", help="verify with the key set in FILE; makes no request")
@click.option("--env-file", type=Path, default=DOTENV, metavar="FILE", help="a file with further settings [.env]")
@click.option("--json", "prints_json", is_flag=True, help="one JSON object instead of text")
@click.argument("tokens", nargs=-1, metavar="< token.txt")
def command(jwks: Path | None, env_file: Path, *, prints_json: bool, tokens: tuple[str, ...]) -> int:
    """Evaluates a token; returns the exit code."""
    if tokens:
        return _usage_error("a token on the command line is visible in the process list and the shell's history: "
                         "consider it compromised, and pass the next one on standard input")  # fmt: skip
    try:
        token = read_token(sys.stdin)
        settings, access = load_rules(stack_environment(os.environ, env_file))
        keys = StaticJwksTransport(_key_set(jwks)) if jwks else None
        with progress("validating the token"):
            evaluation = asyncio.run(_evaluate(token, settings, access, keys))
    except (TokenInputError, SettingsError, AccessFileError) as error:
        return _usage_error(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    if prints_json:
        print(json_text(as_json(evaluation)))
    else:
        for line in lines(evaluation):
            print(printable(line))
    if evaluation.unavailable:
        return _UNKNOWN
    return 0 if evaluation.accepted else 1


def load_rules(variables: dict[str, str]) -> tuple[Settings, AccessPolicy]:
    """Loads the server's settings and access file.

    Args:
        variables: The server's environment.

    Raises:
        SettingsError: A setting is invalid; the message says what to change.
        AccessFileError: The access file is invalid; the message says what to change.
    """
    settings = load_settings(variables)
    return settings, load_access(settings.access_file)


async def _evaluate(
    token: str, settings: Settings, access: AccessPolicy, keys: StaticJwksTransport | None
) -> TokenEvaluation:
    clock = Clock()
    if keys is not None:
        access = access.model_copy(update={"introspect_for": ()})
        settings = replace(settings, token_mode="jwt", introspect_url=None)  # noqa: S106 - the mode's name
    async with open_verifiers(settings, access, clock, transport=keys) as trusted:
        return await evaluate_token(token, trusted, access, clock)


def _key_set(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            document = file.read(_MAX_KEY_SET + 1)
    except OSError as error:
        raise SettingsError(f"--jwks {path}: {error.strerror}") from error
    if len(document) > _MAX_KEY_SET:
        raise SettingsError(f"--jwks {path}: longer than {_MAX_KEY_SET} bytes")
    return document


def lines(evaluation: TokenEvaluation) -> Iterator[str]:
    """Yields the lines of the text report."""
    for title, part in (("header", evaluation.header), ("claims", evaluation.claims)):
        yield f"{title}{'' if part else ': unreadable'}"
        for name, value in part.items():
            yield f"  {format_value(name)}: {format_value(value if isinstance(value, str) else json.dumps(value))}"
    yield ""
    yield "rules, in the order in which the server applies them"
    yield from _rule_lines(evaluation)
    yield ""
    yield _summary_line(evaluation)


def _rule_lines(evaluation: TokenEvaluation) -> Iterator[str]:
    failures_by_rule = {failure.rule: failure for failure in evaluation.failures}
    for reason, title in RULE_DESCRIPTIONS.items():
        if (failure := failures_by_rule.get(reason)) is not None:
            yield f"  NO   {title}: expected {failure.expected}, got {failure.got}"
        elif reason in JWT_RULES:
            yield f"  {'yes' if reason in evaluation.passed else '?  '}  {title}"
    if evaluation.missing_scope is not None:
        yield f"  NO   has the scope that every request needs: {evaluation.missing_scope}"


def _summary_line(evaluation: TokenEvaluation) -> str:
    if evaluation.unavailable:
        return f"UNKNOWN: {evaluation.unavailable}"
    if evaluation.accepted and evaluation.principal is not None:
        principal = evaluation.principal
        scopes = " ".join(sorted(principal.scopes))
        return f"ACCEPTED: subject {principal.subject}, client {principal.client}, scopes {scopes}"
    if evaluation.failures:
        failure = evaluation.failures[0]
        more = len(evaluation.failures) - 1
        also = f"; {more} more {'rules' if more > 1 else 'rule'} would reject it too" if more else ""
        return f"REJECTED by '{failure.rule}': expected {failure.expected}, got {failure.got}{also}"
    return f"REJECTED with 403: {evaluation.missing_scope}"


def as_json(evaluation: TokenEvaluation) -> dict[str, Any]:
    """Builds the object that `--json` prints.

    Returns:
        `accepted` (bool), `failures` (objects with `rule`, `expected` and `got`), `missing_scope` and `unavailable`
        (text or None), and the unverified `header` and `claims`.
    """
    return {
        "accepted": evaluation.accepted,
        "failures": [{"rule": v.rule, "expected": v.expected, "got": v.got} for v in evaluation.failures],
        "missing_scope": evaluation.missing_scope,
        "unavailable": evaluation.unavailable or None,
        "header": evaluation.header,
        "claims": evaluation.claims,
    }


def _usage_error(text: str) -> int:
    print(f"inspect: {printable(text)}", file=sys.stderr)
    return USAGE_EXIT
