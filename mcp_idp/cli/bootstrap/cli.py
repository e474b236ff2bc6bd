"""`mcp-idp bootstrap`: commands and options, the same for every provider."""

from __future__ import annotations

import importlib
import os
import re
import sys
from copy import copy
from typing import TYPE_CHECKING, Any

import click

from mcp_idp.cli.bootstrap.errors import BootstrapError, ConfigError
from mcp_idp.cli.bootstrap.known_variables import find_typos
from mcp_idp.cli.bootstrap.options import BootstrapOptions
from mcp_idp.cli.bootstrap.stack_file import store_addresses
from mcp_idp.cli.common.command_line import TextCommand, TextGroup
from mcp_idp.cli.common.console import printable
from mcp_idp.cli.common.errors import INTERRUPTED_EXIT
from mcp_idp.cli.common.server_env import DOTENV, merge_environment, with_urls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcp_idp.cli.bootstrap.options import Command

_PROVIDERS = ("keycloak", "dex", "auth0", "entra")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_MAX_USES = 1000

_DESCRIPTION = """\
Configures the identity provider with the realm, scopes, roles, clients and registration policy that MCP clients need.

The desired state is in idp-config/access.yaml and, for Keycloak's own settings, in idp-config/keycloak.
"""
_EPILOG = """\
environment, and .env in the working directory for what is not set there (an empty value counts as unset):
  OAUTH_SERVER_URL                   the issuer; its last part is the realm   [http://localhost:8080/realms/mcp]
  OAUTH_INTERNAL_URL                 the same realm, as reached by this process         [OAUTH_SERVER_URL]
  MCP_PUBLIC_URL                     the resource: audience of every token  [http://localhost:3000/mcp]
  KEYCLOAK_ADMIN_CLIENT_ID           a client with a service account; a reader is enough for check   [bootstrap]
  KEYCLOAK_ADMIN_CLIENT_SECRET_FILE  the file with its secret (or KEYCLOAK_ADMIN_CLIENT_SECRET)
  KEYCLOAK_ADMIN_REALM               the realm it lives in                                              [master]
  KEYCLOAK_ACCOUNTS                  the folder in which replace-admin stores the secrets of the realm's accounts;
                                     from then on each command runs as the account that has exactly its rights
  SSL_CERT_FILE, REQUESTS_CA_BUNDLE  set both to the CA certificate of a provider whose CA is private
  OAUTH_CLIENT_SECRET_FILE           the file with the server's own secret; created if missing
  OAUTH_CLIENT_AUTH, OAUTH_CLIENT_KEY_FILE   private_key_jwt and the server's own key in place of the secret
  ACCESS_FILE                        who may do what                              [idp-config/access.yaml]
with --provider dex, also:
  DEX_FILES                          the folder that the files are written to                      [.dex]
  DEX_UPSTREAM                       where Dex listens, behind the registration proxy          [dex:5556]
  DEX_CONFIG                         Dex's own members, names in idp-config/dex                [dex.yaml]
with --provider auth0 only OAUTH_SERVER_URL, MCP_PUBLIC_URL, ACCESS_FILE, and:
  AUTH0_FILES                        the folder that the Terraform is written to                 [.auth0]

with --provider entra (plan and render only): OAUTH_SERVER_URL is the registration proxy, and also:
  JWT_ISSUER                         Entra's own issuer, https://login.microsoftonline.com/<tenant id>/v2.0
  FRONT_CLIENT_ID                    the public client registered at Entra for all MCP clients
  FRONT_FILES                        the folder that the files are written to                    [.front]

exit codes: 0 done (plan: always), 1 check found something, the provider rejected a request or a
verification failed, 2 a setting, file or account has to be changed, 3 the provider does not respond, 130 interrupted
with Ctrl-C.

examples (your own Keycloak, step by step: docs/providers/keycloak.md):
  docker compose run --rm bootstrap              what `docker compose up` runs once
  mcp-idp bootstrap plan                         what apply would change, field by field; writes nothing
  mcp-idp bootstrap apply                        against OAUTH_SERVER_URL; a second time: no changes
  mcp-idp bootstrap apply --verify               also registers a test client and removes it
  mcp-idp bootstrap check --json                 for a nightly job: exit code 1 on drift or a weakness
  mcp-idp bootstrap probe                        probes the nine weaknesses of docs/keycloak.md, and cleans up
  mcp-idp bootstrap remove http://old.example/mcp  one of several servers: shows what goes, and asks
  mcp-idp bootstrap prune --older-than 14d       unused clients that registered themselves
  mcp-idp bootstrap replace-admin                after the first apply: accounts for this realm only
  mcp-idp bootstrap token --uses 1 --expires 1h  a token with which one client can register itself
"""

_COMMAND_EPILOG = "See `mcp-idp bootstrap --help` for the provider, realm and account settings and the exit codes."


@click.group(cls=TextGroup, help=_DESCRIPTION, epilog=_EPILOG)
@click.option(
    "--provider",
    type=click.Choice(_PROVIDERS),
    help="which identity provider [OAUTH_PROVIDER, if it is one of these, else keycloak]",
)
@click.pass_context
def command(context: click.Context, provider: str | None) -> None:
    """Chooses the provider."""
    usual = environment().get("OAUTH_PROVIDER")
    context.obj = provider or (usual if usual in _PROVIDERS else _PROVIDERS[0])


def environment() -> dict[str, str]:
    """Returns the environment and, below it, `.env` of the working directory as Docker Compose reads it."""
    return with_urls(merge_environment(os.environ, DOTENV))


def run(provider: str, name: str, options: BootstrapOptions, variables: Mapping[str, str]) -> int:
    """Runs one command; errors are one line on standard error.

    Args:
        provider: The identity provider.
        name: The command's name.
        options: Its options.
        variables: The environment.

    Returns:
        The exit code.
    """
    for line in find_typos(variables):
        print(f"bootstrap: warning: {line}", file=sys.stderr, flush=True)
    try:
        code = _load_command(provider, name)(options, variables)
        if name == "apply" and code == 0:
            store_addresses(variables)
    except BootstrapError as failure:
        sys.stdout.flush()
        print(f"bootstrap: {printable(str(failure))}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        print("bootstrap: stopped; run it again to continue", file=sys.stderr)
        return INTERRUPTED_EXIT
    return code


def _load_command(provider: str, name: str) -> Command:
    """Imports the provider's package, which may require further libraries, and returns its command.

    Raises:
        ConfigError: This provider has no such command.
    """
    commands: Mapping[str, Command] = importlib.import_module(f"mcp_idp.cli.bootstrap.{provider}.commands").COMMANDS
    if name not in commands:
        raise ConfigError(f"--provider {provider} has no command {name}; its commands are {', '.join(commands)}")
    bounded = importlib.import_module("mcp_idp.cli.bootstrap.bounded_http")
    command: Command = bounded.usable_responses()(commands[name])
    return command


def duration(text: str) -> int:
    """Parses a duration such as 90s, 30m, 1h or 7d.

    Returns:
        Seconds.

    Raises:
        BadParameter: The text is not a duration.
    """
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise click.BadParameter(f"{text}: write a time such as 30m, 1h or 7d")
    return int(match[1]) * _SECONDS[match[2]]


def _use_count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _MAX_USES:
        raise click.BadParameter(f"{text}: write a whole number from 1 to {_MAX_USES}")
    return int(text)


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise click.BadParameter(f"{text}: write a whole number of seconds")
    return int(text)


_JSON = click.option("--json", is_flag=True, help="print JSON")
_USES = click.option("--uses", type=_use_count, default="1", metavar="N", help="number of registrations it allows [1]")
_EXPIRES = click.option(
    "--expires", type=duration, default="1h", metavar="TIME", help="lifetime, such as 30m, 1h, 7d [1h]"
)
_VERIFY = click.option(
    "--verify",
    "--prove",
    "verify",
    is_flag=True,
    help="test a registration even if nothing changed; it is removed at once",
)
_VERBOSE = click.option("--verbose", is_flag=True, help="print each change of a new realm, too")
_OLDER_THAN = click.option(
    "--older-than", type=duration, default="30d", metavar="TIME", help="minimum age, such as 12h, 30d [30d]"
)
_UNUSED = click.option("--unused", is_flag=True, help="only those that were never used for a login")
_DELETE = click.option("--delete", is_flag=True, help="remove the listed clients")
_YES = click.option("--yes", is_flag=True, help="remove without asking")
_RESOURCE = click.argument("resource", metavar="RESOURCE")
_MOVED_FROM = click.option(
    "--moved-from",
    default="",
    metavar="URL",
    help="the server's former MCP_PUBLIC_URL: what it owned becomes this one's",
)
_WAIT = click.option(
    "--wait", type=_seconds, default="120", metavar="SECONDS", help="seconds to wait for the provider to start [120]"
)


def _add(name: str, line: str, description: str, *options: Callable[[Any], Any]) -> None:
    """Adds a command with `--wait` and these options."""

    @click.pass_obj
    def run_command(provider: str, /, **values: Any) -> int:
        return run(provider, name, BootstrapOptions(**values), environment())

    function: Any = run_command
    for option in reversed((_WAIT, *options)):
        function = option(function)
    add = command.command(name, cls=TextCommand, short_help=line, help=description, epilog=_COMMAND_EPILOG)
    add(function)


_add(
    "plan",
    "show what apply would change",
    "Prints what apply would change, object by object, field by field. Writes nothing.\n"
    "If the realm serves several servers, it also shows which of them owns what.",
    _MOVED_FROM,
    _JSON,
)
_add(
    "apply",
    "configure the provider from the files, and verify it",
    "Reads the provider's configuration, prints and writes the differences, verifies the result. Writes nothing\n"
    "if nothing differs. Only counts the changes of a new realm. What another server of the realm owns stays as it is.",
    _MOVED_FROM,
    _VERIFY,
    _VERBOSE,
)
_add(
    "check",
    "exit with 1 if the provider differs from the files or has a known weakness",
    "Lists the differences and the open known weaknesses. Writes nothing; a read-only account is enough.",
    _JSON,
)
_add(
    "prune",
    "list unused clients that registered themselves; remove them with --delete",
    "Lists unused clients that registered themselves. Keeps clients with a session, whatever their age. Removes\n"
    "nothing without --delete.",
    _OLDER_THAN,
    _UNUSED,
    _DELETE,
    _JSON,
)
_add(
    "remove",
    "remove one of several servers from the realm",
    "Shows and, once confirmed, removes what the server with the public URL RESOURCE owns: its clients, scopes,\n"
    "roles, groups and demo users, except what another server has too. The realm's settings stay. Needs no access\n"
    "file of that server.",
    _RESOURCE,
    _YES,
)
_add(
    "token",
    "create an initial access token",
    "Creates a token with which a client can register (RFC 7591) and prints it once, on standard output.",
    _USES,
    _EXPIRES,
    _JSON,
)
_add(
    "replace-admin",
    "replace the temporary administrator of Keycloak with accounts for this realm only",
    "Creates three accounts for this realm, with their secrets in the folder KEYCLOAK_ACCOUNTS; verifies that\n"
    "each has exactly the rights it needs; then removes the temporary administrator that it ran as. Can be\n"
    "repeated.",
)
_FORMER_NAME = copy(command.commands["replace-admin"])  # its former name, which scripts may use
_FORMER_NAME.hidden = True
command.add_command(_FORMER_NAME, "hand-over")
_add(
    "probe",
    "probe the nine weaknesses as an unauthenticated client; exit with 1 if one is open",
    "Probes the nine weaknesses of docs/keycloak.md, on your own Keycloak: registers clients through each open\n"
    "one and removes them with the admin client.",
    _JSON,
)
_add(
    "render",
    "write the provider's files",
    "Writes Dex's configuration with --provider dex, Terraform with auth0, the registration proxy's with entra.\n"
    "Makes no requests.",
)
