"""The command line of `scripts/bootstrap_idp.py`: commands and options, the same for every provider."""

from __future__ import annotations

import importlib
import os
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import BootstrapError, ConfigError
from mcp_idp.cli.bootstrap.known_variables import find_typos

if TYPE_CHECKING:
    from argparse import _SubParsersAction
    from collections.abc import Callable, Mapping

    Command = Callable[[Namespace, Mapping[str, str]], int]

_PROVIDERS = ("keycloak", "dex", "auth0", "entra")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")

_DESCRIPTION = """\
Configures the identity provider with the realm, scopes, roles, clients and registration policy that MCP clients need.

The desired state is in idp-config/access.yaml and, for Keycloak's own settings, in idp-config/keycloak.
"""
_EPILOG = """\
environment (an empty value counts as unset):
  OAUTH_SERVER_URL                   the issuer; its last part is the realm   [http://localhost:8080/realms/mcp]
  OAUTH_INTERNAL_URL                 the same realm, as reached by this process         [OAUTH_SERVER_URL]
  MCP_PUBLIC_URL                     the resource: audience of every token  [http://localhost:3000/mcp]
  KEYCLOAK_ADMIN_CLIENT_ID           a client with a service account; a reader is enough for check   [bootstrap]
  KEYCLOAK_ADMIN_CLIENT_SECRET_FILE  the file with its secret (or KEYCLOAK_ADMIN_CLIENT_SECRET)
  KEYCLOAK_ADMIN_REALM               the realm it lives in                                              [master]
  KEYCLOAK_ACCOUNTS                  the folder in which hand-over keeps the secrets of the realm's own accounts;
                                     from then on each command runs as the account that has exactly its rights
  SSL_CERT_FILE, REQUESTS_CA_BUNDLE  both: the certificate of an authority of your own, for a provider that has one
  OAUTH_CLIENT_SECRET_FILE           where the server's own secret is kept; created if missing
  OAUTH_CLIENT_AUTH, OAUTH_CLIENT_KEY_FILE   private_key_jwt and the server's own key in place of the secret
  ACCESS_FILE                        who may do what                              [idp-config/access.yaml]
with --provider dex, besides:
  DEX_FILES                          the folder that the files are written to                      [.dex]
  DEX_UPSTREAM                       where Dex listens, behind the front                       [dex:5556]
  DEX_CONFIG                         Dex's own members, names in idp-config/dex                [dex.yaml]
with --provider auth0 only OAUTH_SERVER_URL, MCP_PUBLIC_URL, ACCESS_FILE, and:
  AUTH0_FILES                        the folder that the Terraform is written to                 [.auth0]

with --provider entra (render only): OAUTH_SERVER_URL is the front, and besides
  JWT_ISSUER                         Entra's own issuer, https://login.microsoftonline.com/<tenant id>/v2.0
  FRONT_CLIENT_ID                    the public client registered at Entra for all MCP clients
  FRONT_FILES                        the folder that the files are written to                    [.front]

exit codes: 0 done (plan: always), 1 check found something, the provider refused or verification
failed, 2 a setting, file or account has to be changed, 3 the provider does not answer.

examples (your own Keycloak, step by step: docs/providers/keycloak.md):
  docker compose run --rm bootstrap                    what `docker compose up` runs once
  scripts/bootstrap_idp.py plan                        what apply would change, field by field; writes nothing
  scripts/bootstrap_idp.py apply                       against OAUTH_SERVER_URL; a second time: no changes
  scripts/bootstrap_idp.py apply --prove               also registers a test client and removes it
  scripts/bootstrap_idp.py check --json                for a nightly job: exit code 1 on drift or a weakness
  scripts/bootstrap_idp.py probe                       probes the nine weaknesses of docs/keycloak.md, and cleans up
  scripts/bootstrap_idp.py prune --older-than 14d      unused clients that registered themselves
  scripts/bootstrap_idp.py hand-over                   after the first apply: accounts for this realm only
  scripts/bootstrap_idp.py token --uses 1 --expires 1h lets one client register itself
"""

_COMMAND_EPILOG = "See `bootstrap_idp.py --help` for the provider, realm and account settings and the exit codes."


def main(arguments: list[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: The command line without the program name; None for that of the process.

    Returns:
        The exit code.
    """
    options = parse(_DESCRIPTION, arguments, os.environ.get("OAUTH_PROVIDER"))
    for line in find_typos(os.environ):
        print(f"bootstrap: warning: {line}", file=sys.stderr, flush=True)
    try:
        return _load_command(options.provider, options.command)(options, os.environ)
    except BootstrapError as failure:
        sys.stdout.flush()
        print(f"bootstrap: {failure}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        print("bootstrap: stopped; run it again to continue", file=sys.stderr)
        return 130


def _load_command(provider: str, name: str) -> Command:
    """Imports the provider's package, which may require further libraries, and returns its command.

    Raises:
        ConfigError: This provider has no such command.
    """
    commands: Mapping[str, Command] = importlib.import_module(f"mcp_idp.cli.bootstrap.{provider}.commands").COMMANDS
    if name not in commands:
        raise ConfigError(f"--provider {provider} has no command {name}; its commands are {', '.join(commands)}")
    return commands[name]


def parse(description: str, arguments: list[str] | None, provider: str | None = None) -> Namespace:
    """Parses the command line; exits with a usage message if it is invalid.

    Args:
        description: The description for the help text.
        arguments: The command line without the program name; None for that of the process.
        provider: The value of OAUTH_PROVIDER: the default provider, if the bootstrap supports it.
    """
    usual = provider if provider in _PROVIDERS else _PROVIDERS[0]
    parser = ArgumentParser(
        prog="bootstrap_idp.py",
        description=description,
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--provider", choices=_PROVIDERS, default=usual, help=f"which identity provider [{usual}]")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    plan = _add(
        commands,
        "plan",
        "show what apply would change",
        "Prints what apply would change, object by object, field by field. Writes nothing.",
    )
    _add_json(plan)
    apply = _add(
        commands,
        "apply",
        "configure the provider as the files say, and verify it",
        "Reads the provider's configuration, prints and writes the differences, verifies the result. Writes nothing "
        "if nothing differs.",
    )
    apply.add_argument(
        "--prove", action="store_true", help="test a registration even if nothing changed; it is removed at once"
    )
    check = _add(
        commands,
        "check",
        "exit with 1 if the provider differs from the files or has a known weakness",
        "Lists the differences and the open known weaknesses. Writes nothing; a read-only account is enough.",
    )
    _add_json(check)
    _add_prune(commands)
    token = _add(
        commands,
        "token",
        "create an initial access token",
        "Creates a token that lets a client register (RFC 7591) and prints it once, on standard output.",
    )
    token.add_argument("--uses", type=_use_count, default=1, metavar="N", help="number of registrations it allows [1]")
    token.add_argument(
        "--expires", type=duration, default=3600, metavar="TIME", help="lifetime, such as 30m, 1h, 7d [1h]"
    )
    _add(
        commands,
        "hand-over",
        "replace the temporary administrator of Keycloak with accounts for this realm only",
        "Creates three accounts for this realm, with their secrets in the folder KEYCLOAK_ACCOUNTS; verifies that "
        "each has exactly the rights it needs; then removes the temporary administrator that it ran as. Can be "
        "repeated.",
    )
    probe = _add(
        commands,
        "probe",
        "probe the nine weaknesses as an unauthenticated client; exit with 1 if one is open",
        "Probes the nine weaknesses of docs/keycloak.md, on your own Keycloak: registers clients through each open "
        "one and removes them with the admin client.",
    )
    _add_json(probe)
    _add(
        commands,
        "render",
        "write the provider's files",
        "Writes Dex's configuration with --provider dex, Terraform with auth0, the front with entra. Makes no "
        "requests.",
    )
    return parser.parse_args(arguments)


def _add_prune(commands: _SubParsersAction[ArgumentParser]) -> None:
    prune = _add(
        commands,
        "prune",
        "list unused clients that registered themselves; remove them with --delete",
        "Lists unused clients that registered themselves. Keeps clients with a session, whatever their age. Removes "
        "nothing without --delete.",
    )
    prune.add_argument(
        "--older-than", type=duration, default=30 * 86400, metavar="TIME", help="minimum age, such as 12h, 30d [30d]"
    )
    prune.add_argument("--unused", action="store_true", help="only those that were never used for a login")
    prune.add_argument("--delete", action="store_true", help="remove the listed clients")


def _add(commands: _SubParsersAction[ArgumentParser], name: str, line: str, description: str) -> ArgumentParser:
    command = commands.add_parser(name, help=line, description=description, epilog=_COMMAND_EPILOG)
    command.add_argument(
        "--wait", type=_seconds, default=120, metavar="SECONDS", help="seconds to wait for the provider to start [120]"
    )
    return command


def _add_json(command: ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON")


def duration(text: str) -> int:
    """Parses a duration such as 90s, 30m, 1h or 7d.

    Returns:
        Seconds.

    Raises:
        ArgumentTypeError: The text is not a duration.
    """
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ArgumentTypeError(f"{text}: write a time such as 30m, 1h or 7d")
    return int(match[1]) * _SECONDS[match[2]]


def _use_count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 1000:  # noqa: PLR2004 - the upper limit
        raise ArgumentTypeError(f"{text}: write a whole number from 1 to 1000")
    return int(text)


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ArgumentTypeError(f"{text}: write a whole number of seconds")
    return int(text)
