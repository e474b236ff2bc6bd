"""Routes requests: validates Host, then dispatches by exact path."""

from __future__ import annotations

from logging import DEBUG, INFO, WARNING
from typing import TYPE_CHECKING

import structlog

from mcp_idp.errors import HostNotAllowed
from mcp_idp.http.responses import Response, not_found
from mcp_idp.util.urls import is_below_invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from mcp_idp.http.transport_security import TransportSecurity
    from mcp_idp.util.repeated_events import RepeatedEvents

log = structlog.get_logger(__name__)
_MISDIRECTED = Response.json(
    HostNotAllowed.status, {"error": HostNotAllowed.code, "error_description": HostNotAllowed.description}
)
# Probes reach the process under any host name, for example its IP address.
_ANY_HOST = frozenset({"/livez", "/readyz"})
# A warning is logged once per alias, for at most this many aliases.
_MAX_HOST_ALIASES = 8
_MAX_OWN_HOSTS = 8
_MAX_LOGGED_HOSTS, _MAX_LOGGED_BYTES = 2, 200
_POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1; if sent before the handshake ends, servers respond 403


class Router:
    """ASGI application that passes each request to the application at its path.

    Args:
        paths: applications by exact path; any other path gets 404, without a challenge, and with the public URL:
            clients are configured with a trailing slash or another path.
        transport_security: which hosts are allowed.
        public_url: the URL that clients must use, for the log and for responses.
        lifespan: the application for the ASGI lifespan.
        repeated: says which requests with another Host are logged in full.
    """

    def __init__(
        self,
        paths: Mapping[str, ASGIApp],
        transport_security: TransportSecurity,
        public_url: str,
        lifespan: ASGIApp,
        *,
        repeated: RepeatedEvents,
    ) -> None:
        self._paths = paths
        self._transport_security = transport_security
        self._public_url = public_url
        self._not_found = not_found(public_url)
        self._lifespan = lifespan
        self._repeated = repeated
        self._warned_aliases: set[bytes] = set()
        self._own_hosts: set[bytes] = set()  # Host values that were found to be the public one, as they were sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request or the lifespan.

        Rejects WebSocket connections: MCP does not use them, and the auth middleware does not cover them.
        """
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        path = scope["path"]
        if path not in _ANY_HOST and not self._host_allowed(scope):
            await _MISDIRECTED.send(send)
            return
        application = self._paths.get(path)
        if application is None:
            await self._not_found.send(send)
        else:
            await application(scope, receive, send)

    def _host_allowed(self, scope: Scope) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        is_single = len(hosts) == 1
        if is_single and hosts[0] in self._own_hosts:
            return True
        allowed = len(hosts) == 1 and self._transport_security.is_allowed_host(hosts[0])
        if not allowed:
            is_first = self._repeated.is_first(HostNotAllowed.code)
            level = _level(hosts) if is_first else DEBUG
            log.log(level, "host_not_allowed", status=HostNotAllowed.status, hosts=_log_safe(hosts))
        elif scope["path"] != "/" and self._transport_security.is_host_alias(hosts[0]):
            self._warn_host_alias(hosts[0])
        elif scope["path"] != "/" and len(self._own_hosts) < _MAX_OWN_HOSTS:
            self._own_hosts.add(hosts[0])
        return allowed

    def report_repeated(self) -> None:
        """Logs how many requests with another Host were not logged in full since the last call."""
        for count in self._repeated.take_counts().values():
            log.warning("hosts_not_allowed", status=HostNotAllowed.status, count=count)

    def _warn_host_alias(self, host: bytes) -> None:
        """Logs that a client uses a host alias.

        Logins fail there, because clients compare the URL they use with the metadata's `resource` (RFC 9728 section
        3.3).
        """
        if host not in self._warned_aliases and len(self._warned_aliases) < _MAX_HOST_ALIASES:
            self._warned_aliases.add(host)
            log.warning(
                "host_alias_used",
                hosts=_log_safe([host]),
                hint=f"logins fail with this host name: use {self._public_url}",
            )


def _level(hosts: Sequence[bytes]) -> int:
    """Returns the log level of a request with another Host; a test such as the doctor's sends one below `.invalid`."""
    return INFO if hosts and all(is_below_invalid(host.decode("latin-1")) for host in hosts) else WARNING


def _log_safe(hosts: Sequence[bytes]) -> list[str]:
    """Host headers as JSON strings, bounded in number and length, in printable ASCII."""
    return [ascii(host[:_MAX_LOGGED_BYTES].decode("latin-1"))[1:-1] for host in hosts[:_MAX_LOGGED_HOSTS]]
