"""`mcp-idp init`: the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from mcp_idp.cli.common.command_line import TextCommand, parse_port, usage_error
from mcp_idp.cli.common.console import printable
from mcp_idp.cli.init.file_writing import Written, write_files
from mcp_idp.cli.init.generated_files import (
    FRAMEWORKS,
    WHEEL_FILE,
    InitOptions,
    new_files,
    next_commands,
    protect_lines,
)
from mcp_idp.cli.init.installed_wheel import installed_wheel
from mcp_idp.util.urls import validate_http_url

if TYPE_CHECKING:
    from collections.abc import Sequence

_HELP = """\
Write the files that an MCP server needs for logins: the access file (the scopes, and who has them) with its schema for
editors, .env, a docker-compose.yml with Keycloak and, for a new server, server.py. The command asks no questions, sends
no requests, and replaces files only with --force.

examples:
  mcp-idp init                                       a new server here, with the official SDK
  mcp-idp init orders --framework fastmcp            … in the folder orders, with FastMCP
  mcp-idp init --existing orders.main:mcp --framework fastmcp
                                                     for the server `mcp` of ./orders/main.py
  mcp-idp init --issuer https://login.example.com/realms/team
                                                     with your own Keycloak: none in the compose file
  mcp-idp init --dockerfile                          also write a Dockerfile for the server
"""
_EPILOG = """\
exit codes: 0 done, 2 the command line is wrong, or something cannot be written
"""
# MODULE:APP, both may be dotted; they become part of a Dockerfile, a command and Python code.
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_APPLICATION = re.compile(rf"{_NAME}(\.{_NAME})*:{_NAME}(\.{_NAME})*")
# A realm's issuer; it becomes part of .env, so it must not contain quotes, comments or variables.
_REALM_ISSUER = re.compile(r"https?://[A-Za-z0-9.:\[\]/_~%-]+/realms/[A-Za-z0-9._~%-]+")


@click.command(cls=TextCommand, help=_HELP, epilog=_EPILOG)
@click.argument("folder", type=Path, default=Path(), metavar="[FOLDER]")
@click.option("--framework", type=click.Choice(FRAMEWORKS), default="sdk", help="the server's framework [sdk]")
@click.option("--existing", metavar="MODULE:APP", help="an existing server, instead of a new server.py")
@click.option("--issuer", metavar="URL", help="the realm of an existing Keycloak, instead of one in the compose file")
@click.option(
    "--dockerfile", "with_image", is_flag=True, help="also write a Dockerfile, and its service in the compose file"
)
@click.option("--port", "mcp_port", type=parse_port, default="3000", metavar="PORT", help="the server's port [3000]")
@click.option("--keycloak-port", type=parse_port, default="8080", metavar="PORT", help="Keycloak's port [8080]")
@click.option("--force", is_flag=True, help="replace existing files")
@click.option("--dry-run", is_flag=True, help="show what would be written, and write nothing")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
def command(folder: Path, *, force: bool, dry_run: bool, as_json: bool, **values: Any) -> int:
    """Writes the files; returns the exit code."""
    options = InitOptions(**values)
    _check(options)
    wheel = installed_wheel()
    try:
        files = new_files(options, wheel, _module_path(folder, options.existing))
        done = write_files(folder, files, replace=force, dry_run=dry_run)
    except OSError as error:
        raise usage_error(f"{error.filename or folder}: cannot be written ({error.strerror})") from error
    has_wheel = wheel is not None or (folder / WHEEL_FILE).is_file()
    if as_json:
        print(json.dumps(_report(folder, options, done, dry_run=dry_run, has_wheel=has_wheel), indent=2))
        return 0
    for line in _lines(folder, options, done, dry_run=dry_run, has_wheel=has_wheel):
        print(printable(line))
    return 0


def _check(options: InitOptions) -> None:
    """Validates the options that become part of files.

    Raises:
        UsageError: A value is invalid; the message names it.
    """
    if options.existing is not None and not _APPLICATION.fullmatch(options.existing):
        raise usage_error(f"--existing {options.existing}: is not MODULE:APP, such as orders:server")
    if options.issuer is None:
        if options.mcp_port == options.keycloak_port:
            raise usage_error(f"--port and --keycloak-port are the same, {options.mcp_port}: each needs its own")
        return
    try:
        validate_http_url("--issuer", options.issuer)
    except ValueError as error:
        raise usage_error(str(error)) from error
    if not _REALM_ISSUER.fullmatch(options.issuer):
        raise usage_error(f"--issuer {options.issuer}: is not a Keycloak realm, https://login.example.com/realms/NAME")
    if options.issuer.endswith("/realms/master"):
        raise usage_error(f"--issuer {options.issuer}: the realm 'master' administers Keycloak; use another realm")


def _module_path(folder: Path, application: str | None) -> PurePosixPath | None:
    """Returns the file or the package's folder of an existing server, for the image; None if there is no server."""
    if application is None:
        return None
    top = application.partition(":")[0].partition(".")[0]
    return PurePosixPath(top if (folder / top).is_dir() else f"{top}.py")


def _report(folder: Path, options: InitOptions, done: Written, *, dry_run: bool, has_wheel: bool) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "dry_run": dry_run,
        "written": done.written,
        "skipped": done.skipped,
        "missing": [] if has_wheel else [WHEEL_FILE],
        "protect": protect_lines(options),
        "next": [text for text, _ in next_commands(options)],
    }


def _lines(folder: Path, options: InitOptions, done: Written, *, dry_run: bool, has_wheel: bool) -> Sequence[str]:
    action = "would write" if dry_run else "wrote"
    lines = [f"{action:<11}  {folder / name}" for name in done.written]
    lines += [f"{'skipped':<11}  {folder / name} (it exists: --force replaces it)" for name in done.skipped]
    if not has_wheel:
        lines += ["", f"Put the wheel of mcp-idp here before Docker builds an image: {folder / WHEEL_FILE}"]
    if lines_of_code := protect_lines(options):
        module = (options.existing or "").partition(":")[0]
        lines += ["", f"`mcp-idp serve` protects {options.existing} as it is. For another ASGI server, in {module}:"]
        lines += [f"  {line}" for line in lines_of_code]
    lines += ["", "Next:" if folder == Path() else f"Next, in {folder}:"]
    commands = next_commands(options)
    width = max(len(text) for text, _ in commands)
    lines += [f"  {text:<{width}}  {purpose}" for text, purpose in commands]
    if options.has_demo_users:
        lines += [f"Without Docker: mcp-idp demo {options.application}"]
    return lines
