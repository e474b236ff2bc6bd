"""Free TCP ports on loopback, for IPv4 and IPv6 alike: `localhost` may mean either."""

from __future__ import annotations

import socket


class PortTaken(Exception):
    """Somebody listens on the port that was asked for."""

    def __init__(self, port: int, option: str) -> None:
        super().__init__(f"port {port} is in use: choose another with {option}, or omit the option to use a free one")


def is_free(port: int) -> bool:
    """Whether nobody listens on `port` of 127.0.0.1 or ::1: a stranger on either could receive our calls."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT does not occupy
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    if not socket.has_ipv6:
        return True
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("::1", port)) != 0


def pick_port(requested: int | None, default: int, option: str, taken: frozenset[int] = frozenset()) -> int:
    """The port that was `requested` for, else `default`, else any that is free and not `taken` by us.

    Raises:
        PortTaken: the port that was asked for is not free.
    """
    if requested is not None:
        if requested in taken or not is_free(requested):
            raise PortTaken(requested, option)
        return requested
    if default not in taken and is_free(default):
        return default
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in taken and is_free(port):
            return port
