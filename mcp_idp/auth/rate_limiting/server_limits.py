"""All limits of one server, built from its settings and its access file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.auth.rate_limiting.by_address import AddressLimiter
from mcp_idp.auth.rate_limiting.by_user import UserLimits
from mcp_idp.auth.rate_limiting.known_tokens import KnownTokens
from mcp_idp.auth.rate_limiting.limits import WINDOW_SECONDS, RequestLimit
from mcp_idp.auth.rate_limiting.shared_storage import SharedLimits, open_storage
from mcp_idp.config.rate_limit_settings import NO_LIMITS
from mcp_idp.util.memory_plan import TOKEN_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp

    from mcp_idp.access.models import ToolLimit
    from mcp_idp.auth.decisions import DecisionRecorder
    from mcp_idp.config.settings import Settings
    from mcp_idp.http.transport_security import TransportSecurity
    from mcp_idp.util.clock import Clock

_ADDRESS_TOO_FAST = (
    "This address sends too many requests without a valid access token. Retry after the time in Retry-After."
)


class RateLimits:
    """The limits of one server. With DISABLE_AUTH there are none: all clients run on this machine.

    Args:
        settings: the limits, and whether proxies are trusted.
        tools: the limits of single tools, by name.
        clock: the time.

    Attributes:
        users: what each user may do.
        known: the tokens that were verified before.
        sessions_per_user: maximum number of sessions; 0 for no limit.
        shared: what shares the limits with other replicas; None if RATE_LIMIT_STORAGE is not set.

    Raises:
        SettingsError: RATE_LIMIT_STORAGE is set and the packages for it are not installed.
    """

    def __init__(self, settings: Settings, tools: Mapping[str, ToolLimit], clock: Clock) -> None:
        limits = NO_LIMITS if settings.disable_auth else settings.limits
        tools = {} if settings.disable_auth else tools
        plan = settings.memory_plan
        keys = plan.limit_keys(tools=len(tools))
        quota = limits.address_rate * WINDOW_SECONDS
        self._address = RequestLimit("address", quota, _ADDRESS_TOO_FAST, clock.now, max_keys=keys)
        self._trusts_proxies = bool(settings.trusted_proxies)
        self.users = UserLimits(limits, tools, clock.now, keys)
        self.known = KnownTokens(clock.now, plan.own_tokens // TOKEN_BYTES)
        self.sessions_per_user = limits.sessions_per_user
        self.shared: SharedLimits | None = None
        if limits.storage is not None:
            storage = open_storage(limits.storage, settings.public_url)
            self.shared = SharedLimits(storage, (self._address, *self.users.request_limits))

    def limit_addresses(
        self, app: ASGIApp, transport_security: TransportSecurity, decisions: DecisionRecorder
    ) -> ASGIApp:
        """Wraps `app` so that it receives the requests of addresses that are within their limit."""
        return AddressLimiter(
            app,
            limit=self._address,
            known=self.known,
            transport_security=transport_security,
            decisions=decisions,
            trusts_proxies=self._trusts_proxies,
        )
