"""Shared parts of the command lines of all subcommands of `mcp-idp`: the format of help, and types of options.

Exit codes that every subcommand uses: 0 done, 2 the command line or a setting is wrong, 130 interrupted with Ctrl-C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mcp_idp.cli.common.console import printable
from mcp_idp.cli.common.launcher import as_launched

if TYPE_CHECKING:
    from collections.abc import Callable

USAGE_EXIT = 2
_MAX_WIDTH = 120
_MAX_PORT = 65535
CONTEXT_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": _MAX_WIDTH}


class TextCommand(click.Command):
    """A command whose help keeps the lines of its description and epilog as they are written.

    Usage errors end in the help of this command by name: "Try 'mcp-idp login --help' for help."
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options["context_settings"] = {**CONTEXT_SETTINGS, **(options.get("context_settings") or {})}
        super().__init__(*arguments, **options)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the line of usage."""
        formatter.write_usage(as_launched(ctx.command_path), " ".join(self.collect_usage_pieces(ctx)))

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the description."""
        del ctx
        write_text(formatter, self.help)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options."""
        options = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        records = [record for option in options if (record := option.get_help_record(ctx)) is not None]
        with formatter.section("Options"):
            formatter.write_dl([(names, as_launched(text)) for names, text in records])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the epilog."""
        del ctx
        write_text(formatter, self.epilog)


class TextGroup(TextCommand, click.Group):
    """A group of commands with the same kind of help."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options and the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def write_text(formatter: click.HelpFormatter, text: str | None) -> None:
    """Writes a text below an empty line, line by line as it is."""
    if text:
        formatter.write("\n" + as_launched(text.rstrip("\n")) + "\n")


def usage_error(message: str) -> click.UsageError:
    """Returns the error that ends a command with exit code 2; control characters in the message are escaped."""
    return click.UsageError(printable(message))


def url_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the MCP server's URL as an argument and, with the same meaning, as the option `--url`."""
    option = click.option("--url", metavar="URL", help="the MCP server's public URL, as clients use it")
    argument = click.argument("server", required=False, metavar="[URL]")
    return argument(option(function))


def chosen_url(server: str | None, url: str | None) -> str | None:
    """Returns the URL that was given by the argument or by `--url`; None if neither was.

    Raises:
        UsageError: Two different ones were given.
    """
    if server is not None and url is not None and server != url:
        raise usage_error("the URL is given twice, as an argument and by --url: use one")
    return url if server is None else server


def parse_port(text: str) -> int:
    """Parses a TCP port.

    Raises:
        BadParameter: The text is not a TCP port.
    """
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _MAX_PORT:
        raise click.BadParameter(printable(f"'{text}' is not a TCP port"))
    return int(text)
