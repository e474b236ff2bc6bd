"""The command line of `./scripts/demo`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.access.policy import AccessFileError, load_access
from mcp_idp.cli.demo.ports import PortTaken, pick_port
from mcp_idp.cli.demo.processes import ProcessFailed, ProcessGroup, SignalGuard
from mcp_idp.cli.demo.scenario import PROVIDER_PORT, ROOT, SERVER_PORT, DemoOptions, DemoScenario

if TYPE_CHECKING:
    from collections.abc import Sequence

_USAGE_EXIT, _CHILD_EXIT = 2, 1
_HELP = """\
See a login at this MCP server from end to end, without Docker and without an account anywhere: a small identity
provider (nanoidp) and the server run on this machine for the length of the demo, a client logs in and calls tools,
and every step is printed.

examples:
  scripts/demo                   run once, then stop everything
  scripts/demo --user writer     as another user
  scripts/demo --keep            … and stay up until Ctrl-C, to connect your own client
"""
_EXIT_CODES = """\
exit codes: 0 it worked; 1 one of the two processes failed; 2 the command line is wrong, or a given port is in use;
3 to 7 as scripts/login --help says; 130 Ctrl-C; 143 terminated
"""


def build_parser(users: Sequence[str]) -> argparse.ArgumentParser:
    """Returns the parser of `scripts/demo`.

    Args:
        users: The names of the demo users in the access file; the first is the default.
    """
    parser = argparse.ArgumentParser(
        "scripts/demo", description=_HELP, epilog=_EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = users[0] if users else None
    parser.add_argument("--user", choices=users, default=default, help=f"who logs in (default: {default})")
    parser.add_argument("--keep", action="store_true", help="keep both running until Ctrl-C")
    parser.add_argument("--port", type=_port, help=f"the server's port (default: {SERVER_PORT}, or a free one)")
    parser.add_argument("--idp-port", type=_port, help=f"the provider's port (default: {PROVIDER_PORT}, or a free one)")
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:  # noqa: PLR2004 - TCP ports
        raise argparse.ArgumentTypeError(f"'{text}' is not a TCP port")
    return int(text)


def _ports(parser: argparse.ArgumentParser, options: argparse.Namespace) -> tuple[int, int]:
    """Returns the ports of the server and of the provider, and prints those that differ from the default.

    Exits with 2 if a requested port is not available.
    """
    if options.port is not None and options.port == options.idp_port:
        parser.error(f"--port and --idp-port are the same, {options.port}: each process needs its own")
    try:
        server_port = pick_port(options.port, SERVER_PORT, "--port")
        provider_port = pick_port(options.idp_port, PROVIDER_PORT, "--idp-port", frozenset({server_port}))
    except PortTaken as error:
        parser.error(str(error))
    for name, requested, default, port in (
        ("server", options.port, SERVER_PORT, server_port),
        ("provider", options.idp_port, PROVIDER_PORT, provider_port),
    ):
        if requested is None and port != default:
            print(f"port {default} is in use: the {name} uses {port}")
    return server_port, provider_port


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo.

    At the end both processes are stopped and the temporary directory is removed, even after an error, Ctrl-C, SIGTERM
    or SIGHUP. SIGKILL cannot be handled; on Linux the kernel then kills both processes, and the directory remains.

    Args:
        arguments: The command line without the program name; by default that of the process.

    Returns:
        The exit code.
    """
    try:
        access = load_access(ROOT / "idp-config" / "access.yaml")
    except AccessFileError as error:
        print(f"demo: {error}", file=sys.stderr)
        return _USAGE_EXIT
    parser = build_parser(list(access.demo_users))
    options = parser.parse_args(arguments)
    if options.user is None:
        parser.error("idp-config/access.yaml has no demo_users to log in")
    server_port, provider_port = _ports(parser, options)
    demo_options = DemoOptions(options.user, options.keep, server_port, provider_port)
    interrupts = SignalGuard()
    try:
        with tempfile.TemporaryDirectory(prefix="mcp-demo-") as home, ProcessGroup(interrupts) as children:
            code = DemoScenario(demo_options, access, Path(home), children).run()
        return 128 + interrupts.signal if interrupts.signal else code  # a signal may have arrived during cleanup
    except KeyboardInterrupt:
        print("\nstopped: both processes have ended, nothing is left")
        return 128 + (interrupts.signal or signal.SIGINT)
    except ProcessFailed as failure:
        print(f"\ndemo: {failure}\n--- its last output ---\n{failure.tail}", file=sys.stderr)
        return _CHILD_EXIT
