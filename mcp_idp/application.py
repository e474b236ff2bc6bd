"""`protect()`: OAuth in front of any MCP application (the SDK's, FastMCP's or a plain Starlette one).

    from mcp_idp import load_settings, protect
    app = protect(your_mcp_application, load_settings(os.environ))

```
address ─► Host ─► path ─► /mcp ─────► auth middleware ─► session limiter ─► your application
 limiter             ├──► /.well-known/oauth-protected-resource[/mcp]       protected resource metadata
                     ├──► /sse, /.well-known/oauth-authorization-server …   legacy discovery
                     ├──► /livez, /readyz                                   health checks (any Host, not limited)
                     └──► /                                                 landing page
```
Any other path gets 404. Forwarding it to the application would serve its non-MCP routes without a token.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeGuard

import httpx
import structlog

from mcp_idp.access.policy import AccessPolicy, load_access
from mcp_idp.adapters.server_lookup import adapters_for, as_application, find_servers
from mcp_idp.auth.challenge import ChallengeBuilder
from mcp_idp.auth.decisions import DecisionRecorder
from mcp_idp.auth.invocations import InvocationGuard
from mcp_idp.auth.middleware import AuthMiddleware
from mcp_idp.auth.rate_limiting.by_address import AddressLimiter
from mcp_idp.auth.rate_limiting.server_limits import RateLimits
from mcp_idp.auth.scopes import ScopeRequirements
from mcp_idp.config.env import SettingsError
from mcp_idp.http.body import MESSAGE_SCOPE_KEY
from mcp_idp.http.health import LIVE, readiness_endpoint
from mcp_idp.http.landing_page import landing_page_endpoint
from mcp_idp.http.legacy_discovery import legacy_routes
from mcp_idp.http.protected_resource import metadata_endpoint, metadata_paths, metadata_response, metadata_url
from mcp_idp.http.router import Router
from mcp_idp.http.transport_security import TransportSecurity
from mcp_idp.mcp_protocol.endpoint import McpEndpoint
from mcp_idp.mcp_protocol.sessions import SessionLimiter
from mcp_idp.oauth.http import ssl_context
from mcp_idp.oauth.token_exchange import TokenExchange
from mcp_idp.observability.audit import open_audit_log
from mcp_idp.observability.metrics import MeasuredRequests, Metrics
from mcp_idp.observability.metrics_export import open_metrics_export
from mcp_idp.principal import Principal
from mcp_idp.state_metrics import observe_state
from mcp_idp.tokens.issuers import TokenVerifierRegistry
from mcp_idp.util.clock import Clock
from mcp_idp.util.memory_plan import TOKEN_BYTES
from mcp_idp.util.repeated_events import PERIOD_SECONDS, RepeatedEvents
from mcp_idp.util.request_memory import RequestMemory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
    from ssl import SSLContext
    from typing import Any

    from fastmcp import FastMCP
    from mcp.server.mcpserver import MCPServer
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mcp_idp.config.settings import Settings


log = structlog.get_logger(__name__)
_WARN_EVERY_SECONDS = 60.0
# Most ASGI servers carry on without lifespan support; keys would then be fetched with a closed HTTP client.
_NO_LIFESPAN = "the protected application does not respond to lifespan.startup (ASGI lifespan protocol); implement it"


def protect(  # noqa: PLR0913 - the optional ones are keyword-only
    app: ASGIApp | MCPServer[Any] | FastMCP[Any],
    settings: Settings,
    *,
    servers: Iterable[MCPServer[Any] | FastMCP[Any]] = (),
    access: AccessPolicy | None = None,
    scope_requirements: ScopeRequirements | None = None,
    clock: Clock | None = None,
    http: httpx.AsyncClient | None = None,
) -> ASGIApp:
    """Wraps `app` so that it receives authenticated and authorized requests only.

    Args:
        app: the MCP server (FastMCP's or the SDK's), or the ASGI application that serves MCP at the path of
            MCP_PUBLIC_URL. The application receives the lifespan events and each authorized request, with the caller in
            `scope["user"]`; `current_principal()` and the SDK's `get_access_token()` return the same caller.
        settings: the server's settings.
        servers: the MCP servers that `app` serves, if `app` does not show them: an application that FastMCP or the SDK
            built does, also behind routes and middleware with an attribute `app`.
        access: the access policy, if the caller has loaded it already; by default read from `settings.access_file`.
        scope_requirements: the scopes that each call requires; by default those under `tools` in the access file.
        clock: the time source; the system's clocks by default.
        http: the client for requests to the identity provider; by default one that is created here and closed at
            shutdown. A client that is passed in stays open.

    Returns:
        The ASGI application to serve in place of `app`.

    Raises:
        AccessFileError: the access file cannot be used.
        SettingsError: the access file requires what the settings do not provide, or a file that the settings name
            cannot be used.
    """
    access = access or load_access(settings.access_file)
    _validate_client_credentials(settings, access)
    clock = clock or Clock()
    tls = ssl_context(settings.ca_file)
    scope_requirements = scope_requirements or _scope_requirements_from_file(access)
    export = open_metrics_export(settings.metrics)
    metrics = Metrics(export.meter, scope_requirements.tools) if export else None
    client = http or _provider_client(tls, metrics)
    trusted = None if settings.disable_auth else TokenVerifierRegistry(settings, access, clock, client)
    audit = open_audit_log(settings.audit_log, clock)
    exchange = TokenExchange(settings, access.upstreams, clock, client, audit) if access.upstreams and trusted else None
    transport_security = TransportSecurity(settings)
    limits = RateLimits(settings, access.tool_limits, clock)
    application = as_application(app, settings.public_path)
    decisions = DecisionRecorder(
        ChallengeBuilder(metadata_url(settings), access.login_scopes, access.scope_prefix),
        audit,
        RepeatedEvents(clock.monotonic),
        *([metrics.count_rejection] if metrics else ()),
    )
    servers = [*find_servers(application), *servers]
    if access.is_strict and not servers and not isinstance(application, McpEndpoint):
        log.warning("authorized_by_requested_name_only", hint="if its tools run other tools, pass protect(servers=…)")
    plan = settings.memory_plan
    budget = RequestMemory(plan.requests)
    sessions = SessionLimiter(application, max_bytes=plan.sessions, each=limits.sessions_per_user)
    middleware = AuthMiddleware(
        metrics.measure_operations(sessions, MESSAGE_SCOPE_KEY) if metrics else sessions,
        verify=trusted.verify if trusted else _anonymous_dev_principal(access),
        access=access,
        scope_requirements=scope_requirements,
        transport_security=transport_security,
        decisions=decisions,
        remaining_lifetime=lambda principal: principal.expires_at + settings.clock_leeway - clock.now(),
        seconds_known=trusted.seconds_known if trusted else lambda _: math.inf,
        budget=budget,
        max_callers=plan.tokens // TOKEN_BYTES,
        exchange=exchange,
        limits=limits.users,
        known=limits.known,
        stream_comments=settings.quirk_stream_comments,
        adapters=adapters_for(servers, InvocationGuard(scope_requirements, access, decisions, limits.users)),
    )

    def usage() -> dict[str, int]:
        return {
            "requests": 100 * budget.used // budget.total,
            "sessions": 100 * sessions.used // sessions.max_bytes,
            "verified_tokens": 100 * trusted.cached_bytes // plan.own_tokens if trusted else 0,
        }

    legacy = legacy_routes(settings, metadata_url(settings), clock, client)
    checks = [*([export.listen] if export else ()), *(v.check_metadata for v in (trusted.all if trusted else ()))]
    ready = readiness_endpoint(trusted.primary.keys if trusted else None, usage, audit)
    paths = {**legacy, **_routes(settings, access, middleware, ready)}
    tasks = [p.wait_until_ready for p in trusted.all] if trusted else [_warn_of_disabled_auth]
    tasks += [limits.shared.run] if limits.shared else []
    closers = [part.close for part in (export, trusted, exchange, limits.shared) if part is not None]
    reports = [decisions.report_repeated]
    tasks += [lambda: _report_regularly(reports)]
    lifespan = _lifespan(application, tasks, closers, checks=checks, client=None if http else client)
    router = Router(paths, transport_security, settings.public_url, lifespan, repeated=RepeatedEvents(clock.monotonic))
    reports.append(router.report_repeated)
    limited = limits.limit_addresses(router, transport_security, decisions)
    if metrics is None:
        return limited
    observe_state(metrics, usage, sessions, trusted.all if trusted else (), audit)
    return metrics.measure_requests(limited, paths)


def is_protected(app: object) -> TypeGuard[ASGIApp]:
    """Returns whether `app` is an application that `protect` returned."""
    return isinstance(app, AddressLimiter | Router | MeasuredRequests)


def _provider_client(tls: SSLContext, metrics: Metrics | None) -> httpx.AsyncClient:
    """Returns the client for requests to the identity provider."""
    transport: httpx.AsyncBaseTransport = httpx.AsyncHTTPTransport(verify=tls, trust_env=False)
    if metrics is not None:
        transport = metrics.measure_provider(transport)
    return httpx.AsyncClient(timeout=httpx.Timeout(5.0), trust_env=False, transport=transport)


def _lifespan(
    app: ASGIApp,
    tasks: Sequence[Callable[[], Coroutine[Any, Any, None]]],
    closers: Sequence[Callable[[], Awaitable[None]]],
    *,
    checks: Sequence[Callable[[], Awaitable[None]]],
    client: httpx.AsyncClient | None,
) -> ASGIApp:
    """Returns the lifespan application: runs that of `app` and the background tasks, then releases resources.

    `tasks` are the background tasks. At shutdown they are cancelled, `closers` are called and `client` is closed.
    `checks` run before `app` starts; one that raises `SettingsError` ends the start with its message.
    """

    @asynccontextmanager
    async def around() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if client is not None:
                await stack.enter_async_context(client)
            for end in closers:
                stack.push_async_callback(end)
            for start in tasks:
                stack.push_async_callback(_cancel_and_wait, asyncio.create_task(start()))
            yield

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async with around():
            await _serve_lifespan(app, checks, scope, receive, send)

    return run


async def _serve_lifespan(
    app: ASGIApp, checks: Sequence[Callable[[], Awaitable[None]]], scope: Scope, receive: Receive, send: Send
) -> None:
    """Runs the checks and then the lifespan of `app`; lets the start fail if one of them cannot start."""
    responded = False

    async def send_noting(message: Message) -> None:
        nonlocal responded
        responded = True
        await send(message)

    try:
        for check in checks:
            await check()
    except SettingsError as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    try:
        await app(scope, receive, send_noting)
    finally:
        if not responded:
            await send({"type": "lifespan.startup.failed", "message": _NO_LIFESPAN})


def _routes(
    settings: Settings,
    access: AccessPolicy,
    middleware: AuthMiddleware,
    ready: ASGIApp,
) -> Mapping[str, ASGIApp]:
    paths: dict[str, ASGIApp] = {
        "/": landing_page_endpoint(settings, access),
        "/livez": LIVE,
        "/readyz": ready,
        settings.public_path: middleware,
    }
    if not settings.disable_auth:
        document = metadata_endpoint(metadata_response(settings, access))
        paths |= dict.fromkeys(metadata_paths(settings), document)
    return paths


def _validate_client_credentials(settings: Settings, access: AccessPolicy) -> None:
    """Rejects access files that need this server's client credentials when none are configured.

    Introspection and token exchange authenticate this server to the provider, also where AUTH_TOKEN_MODE is `jwt`.

    Raises:
        SettingsError: the credentials are missing, or an entry of `upstreams` is this server itself.
    """
    for name, used in (("introspect_for", access.introspect_for), ("upstreams", access.upstreams)):
        if used and not settings.has_client_credentials and not settings.disable_auth:
            raise SettingsError(
                f"{settings.access_file}: {name} needs OAUTH_CLIENT_SECRET, its file, or OAUTH_CLIENT_KEY_FILE"
            )
    own = {settings.public_url, settings.audience, settings.client_id}
    for audience in sorted(own & access.upstreams.keys()):
        raise SettingsError(f"{settings.access_file}: upstreams.{audience}: names this server itself: remove it")


def _scope_requirements_from_file(access: AccessPolicy) -> ScopeRequirements:
    """Returns the requirements under `tools` in the access file; logs that unlisted tools will be rejected."""
    if access.is_strict and not access.tools:
        log.warning(
            "access_file_lists_no_tools", hint="every tools/call is rejected: list the tools, or remove `tools`"
        )
    elif access.is_strict:
        log.info(
            "access_file_lists_tools",
            hint="requests for other tools, prompts, resources and methods are rejected",
            tools=sorted(access.tools),
            prompts=sorted(access.prompts),
            resources=sorted(access.resources),
            methods=sorted(access.methods),
        )
    return ScopeRequirements(access)


def _anonymous_dev_principal(access: AccessPolicy) -> Principal:
    """Returns the principal of every request when DISABLE_AUTH is set."""
    return Principal(
        issuer="", subject="dev", client="dev", scopes=frozenset(access.scopes), expires_at=math.inf, roles=None
    )


async def _warn_of_disabled_auth() -> None:
    while True:
        log.warning(
            "authentication_disabled", hint="DISABLE_AUTH is set: every request may call every tool as the user dev"
        )
        await asyncio.sleep(_WARN_EVERY_SECONDS)


async def _report_regularly(reports: Sequence[Callable[[], None]]) -> None:
    while True:
        try:
            await asyncio.sleep(PERIOD_SECONDS)
        finally:  # at shutdown, too
            for report in reports:
                report()


async def _cancel_and_wait(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
