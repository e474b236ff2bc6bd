"""`mcp-idp demo`: the command line of the demo."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import click

from mcp_idp.access.policy import AccessFileError, load_access
from mcp_idp.cli.common.command_line import USAGE_EXIT, TextCommand, parse_port, usage_error
from mcp_idp.cli.common.installation import bundled_config
from mcp_idp.cli.common.server_env import ACCESS_FILE
from mcp_idp.cli.demo.ports import PortInUse, pick_port
from mcp_idp.cli.demo.processes import ProcessFailed, ProcessGroup, SignalGuard
from mcp_idp.cli.demo.scenario import PROVIDER_PORT, SERVER_PORT, DemoOptions, DemoScenario

_CHILD_EXIT = 1
_IN_CHECKOUT = "in a checkout of the stack: scripts/venv requirements-demo.lock"
_HELP = """\
Run a complete login at an MCP server, without Docker and without any account: a small identity provider (nanoidp) and
the server run on this machine during the demo, a client logs in and calls tools, and every step is printed.

examples:
  mcp-idp demo                   run once, then stop everything
  mcp-idp demo --user writer     as another user
  mcp-idp demo --keep            … and stay up until Ctrl-C, to connect your own client
  mcp-idp demo server:app        your own MCP application, with the users of idp-config/access.yaml
"""
_EXIT_CODES = """\
environment:
  ACCESS_FILE  with MODULE:APP: the file with the scopes and demo users   [idp-config/access.yaml]

exit codes: 0 it worked; 1 one of the two processes failed; 2 the command line is wrong, or a given port is in use;
3 to 7 as mcp-idp login --help says; 130 Ctrl-C; 143 terminated
"""


@click.command(cls=TextCommand, help=_HELP, epilog=_EXIT_CODES)
@click.argument("application", required=False, metavar="[MODULE:APP]")
@click.option("--user", metavar="NAME", help="who logs in: a demo user of the access file [its first]")
@click.option("--keep", is_flag=True, help="keep both running until Ctrl-C")
@click.option("--port", type=parse_port, metavar="PORT", help=f"the server's port [{SERVER_PORT}, or a free one]")
@click.option(
    "--idp-port", type=parse_port, metavar="PORT", help=f"the provider's port [{PROVIDER_PORT}, or a free one]"
)
def command(application: str | None, user: str | None, port: int | None, idp_port: int | None, *, keep: bool) -> int:
    """Runs the demo; returns the exit code.

    At the end both processes are stopped and the temporary directory is removed, even after an error, Ctrl-C, SIGTERM
    or SIGHUP. SIGKILL cannot be handled; on Linux the kernel then kills both processes, and the directory remains.
    """
    if find_spec("nanoidp") is None:
        print(f"demo: nanoidp not installed: pip install 'mcp-idp[cli,embedded]' ({_IN_CHECKOUT})", file=sys.stderr)
        return USAGE_EXIT
    access_file = _access_file(application)
    try:
        access = load_access(access_file)
    except AccessFileError as error:
        print(f"demo: {error}", file=sys.stderr)
        return USAGE_EXIT
    if user is None and not access.demo_users:
        raise usage_error(f"{access_file} has no demo_users to log in")
    if user is not None and user not in access.demo_users:
        raise usage_error(f"--user {user}: there is no such demo user; there are {', '.join(access.demo_users)}")
    server_port, provider_port = _ports(port, idp_port)
    options = DemoOptions(user or next(iter(access.demo_users)), keep, server_port, provider_port, application)
    interrupts = SignalGuard()
    try:
        with tempfile.TemporaryDirectory(prefix="mcp-demo-") as home, ProcessGroup(interrupts) as children:
            code = DemoScenario(options, access, Path(home), children).run()
        return 128 + interrupts.signal if interrupts.signal else code  # a signal may have arrived during cleanup
    except KeyboardInterrupt:
        print("\nstopped: both processes have ended, nothing is left")
        return 128 + (interrupts.signal or signal.SIGINT)
    except ProcessFailed as failure:
        print(f"\ndemo: {failure}\n--- its last output ---\n{failure.tail}", file=sys.stderr)
        return _CHILD_EXIT


def _access_file(application: str | None) -> Path:
    """Returns the access file: that of this distribution for the demo's own server, else the user's own."""
    if application is None:
        return bundled_config() / "access.yaml"
    return Path(os.environ.get("ACCESS_FILE") or ACCESS_FILE)


def _ports(server: int | None, provider: int | None) -> tuple[int, int]:
    """Returns the ports of the server and of the provider, and prints those that differ from the default.

    Args:
        server: The value of `--port`.
        provider: The value of `--idp-port`.

    Raises:
        UsageError: A requested port is not available.
    """
    if server is not None and server == provider:
        raise usage_error(f"--port and --idp-port are the same, {server}: each process needs its own")
    try:
        server_port = pick_port(server, SERVER_PORT, "--port")
        provider_port = pick_port(provider, PROVIDER_PORT, "--idp-port", frozenset({server_port}))
    except PortInUse as error:
        raise usage_error(str(error)) from error
    for name, requested, default, port in (
        ("server", server, SERVER_PORT, server_port),
        ("provider", provider, PROVIDER_PORT, provider_port),
    ):
        if requested is None and port != default:
            print(f"port {default} is in use: the {name} uses {port}")
    return server_port, provider_port
