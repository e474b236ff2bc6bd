"""The command `mcp-idp`: its subcommands, its own options, and its help."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import get_completion_class

from mcp_idp import __version__
from mcp_idp.cli.common.command_line import TextGroup
from mcp_idp.cli.common.errors import INTERRUPTED_EXIT
from mcp_idp.cli.common.launcher import as_launched

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROGRAM = "mcp-idp"
_COMPLETION_VARIABLE = "_MCP_IDP_COMPLETE"
# Name to line of help, in the order of the help. Each is the click command `command` of the module
# `mcp_idp.cli.<name>.cli`, which is imported when it is run.
_COMMANDS = {
    "init": "write the files that an MCP server needs for logins",
    "serve": "serve an MCP application behind OAuth",
    "login": "log in at an MCP server as its clients do, and see each step",
    "token": "get an access token, for curl or for inspect",
    "inspect": "show what is in a token, and which rule of the server rejects it",
    "doctor": "find out why clients cannot log in at an MCP server",
    "demo": "run a complete login on this machine, without Docker or an account",
    "bootstrap": "configure the identity provider: plan, apply, check …",
}
_HELP = """\
OAuth for MCP servers: an identity provider issues tokens, and the server verifies them. This command runs a server,
configures its identity provider, and finds out why clients cannot log in at an MCP server, yours or any other.

getting started:
  mcp-idp demo                                     run a complete login on this machine, in seconds
  mcp-idp doctor https://mcp.example.com/mcp       find out why clients cannot log in at this server
  mcp-idp login https://mcp.example.com/mcp        log in as a client does, and call a tool
  mcp-idp token URL | mcp-idp inspect              show what a token contains, and whether the server accepts it
  mcp-idp bootstrap plan                           show what Keycloak lacks for idp-config/access.yaml
  mcp-idp init                                     start a new server in this folder
  mcp-idp serve orders:app                         serve your own MCP application behind OAuth
"""
_EPILOG = """\
`mcp-idp COMMAND --help` shows examples. Results are printed on standard output, progress on standard error;
--json prints a result as JSON.

exit codes of every command: 0 done, 1 something was found or failed, 2 the command line or a setting is wrong,
130 interrupted with Ctrl-C; the help of a command lists further ones.
shell completion: eval "$(mcp-idp --completion bash)" in ~/.bashrc; zsh and fish likewise
"""


class _Commands(TextGroup):
    """The subcommands, each imported when it is needed: `--help` imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names, in the order of the help."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a subcommand; None if there is no such one."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"mcp_idp.cli.{cmd_name}.cli").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of subcommands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _print_completion(ctx: click.Context, _: click.Parameter, shell: str | None) -> None:
    completion = get_completion_class(shell) if shell else None
    if completion is not None:
        click.echo(completion(ctx.command, {}, _PROGRAM, _COMPLETION_VARIABLE).source())
        ctx.exit()


@click.group(cls=_Commands, help=_HELP, epilog=_EPILOG)
@click.version_option(__version__, "--version", prog_name=_PROGRAM, message="%(prog)s %(version)s")
@click.option(
    "--completion",
    type=click.Choice(["bash", "zsh", "fish"]),
    expose_value=False,
    is_eager=True,
    callback=_print_completion,
    help="Print the completion script of a shell and exit.",
)
def command() -> None:
    """The group itself does nothing."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs a subcommand.

    Args:
        arguments: The command line without the program name; by default that of the process.

    Returns:
        The exit code; 2 after a usage error, which is printed on standard error.
    """
    argv = None if arguments is None else list(arguments)
    try:
        code: Any = command.main(argv, prog_name=_PROGRAM, complete_var=_COMPLETION_VARIABLE, standalone_mode=False)
    except click.ClickException as error:
        message = io.StringIO()
        error.show(message)
        sys.stderr.write(as_launched(message.getvalue()))
        return error.exit_code
    except click.Abort:
        return INTERRUPTED_EXIT
    except BrokenPipeError:  # the reader is gone (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return int(code or 0)
