"""Finds TCP ports that are free on both IPv4 and IPv6 loopback, because `localhost` may resolve to either."""

from __future__ import annotations

import socket


class PortInUse(Exception):
    """The requested port is in use.

    Args:
        port: The port.
        option: The command-line option that sets it.
    """

    def __init__(self, port: int, option: str) -> None:
        super().__init__(f"port {port} is in use: choose another with {option}, or omit the option to use a free one")


def is_free(port: int) -> bool:
    """Returns whether nothing listens on `port` of 127.0.0.1 and ::1.

    Another process on either address could receive our requests.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: ignore TIME_WAIT
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    if not socket.has_ipv6:
        return True
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("::1", port)) != 0


def pick_port(requested: int | None, default: int, option: str, in_use: frozenset[int] = frozenset()) -> int:
    """Returns the requested port, else the default port, else any free one.

    Args:
        requested: The port that the user requested, or None.
        default: The preferred port.
        option: The command-line option, for the error message.
        in_use: Ports that this run already uses.

    Raises:
        PortInUse: The requested port is in use.
    """
    if requested is not None:
        if requested in in_use or not is_free(requested):
            raise PortInUse(requested, option)
        return requested
    if default not in in_use and is_free(default):
        return default
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in in_use and is_free(port):
            return port
