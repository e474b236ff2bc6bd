"""Maps exceptions of the SDK and of HTTP to errors that explain the failure to the user."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx2
from mcp.client.auth import OAuthFlowError, OAuthRegistrationError, OAuthTokenError
from mcp.shared.exceptions import MCPError

from mcp_idp.cli.common.errors import (
    LoginClientError,
    LoginError,
    ProviderError,
    ServerUnreachable,
    TokenRejected,
    ToolCallError,
    find_failure,
)
from mcp_idp.cli.login.rejected_token import LoginContext, explain_rejection
from mcp_idp.cli.login.steps import StepKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.cli.login.http_tracer import HttpTracer
    from mcp_idp.cli.login.options import LoginOptions

_AT_SERVER = frozenset({StepKind.INITIAL_REQUEST, StepKind.RESOURCE_METADATA, StepKind.CALL})
# What the values in a response can cause where they are used: a number too large, a URL that is none, JSON too deep.
_UNUSABLE = (ValueError, ArithmeticError, RecursionError, TypeError, LookupError, httpx2.InvalidURL)
_AT_LOGIN = frozenset({StepKind.LOGIN, StepKind.AUTHORIZATION_RESPONSE, StepKind.TOKEN})


def map_exception(error: BaseException, watch: HttpTracer) -> LoginClientError:
    """Returns the error to show for an exception.

    Args:
        error: The exception, which may be a group.
        watch: The step that the login has reached, and what was received so far.
    """
    failure = find_failure(error)
    if failure is not None:
        return failure
    for part in _parts(error):
        if isinstance(part, OAuthFlowError):
            return _flow_failure(part, watch)
        if isinstance(part, httpx2.HTTPError):
            return _unreachable(part, watch)
        if isinstance(part, MCPError):
            return _server_failure(part, watch)
    part = next(_parts(error))
    if isinstance(part, _UNUSABLE):
        return _unusable(part, watch)
    return LoginClientError(
        f"unexpected {type(part).__name__}: {part}", "this is a bug in this client: please report it"
    )


def _parts(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _parts(part)
    else:
        yield error


def _flow_failure(error: OAuthFlowError, watch: HttpTracer) -> LoginClientError:
    message = watch.redact_remote_text(str(error))
    if isinstance(error, OAuthRegistrationError):
        return ProviderError(
            f"the provider rejected the registration of this client: {message}",
            "change the provider's registration policy, or use a preregistered client: --client-id mcp-native",
        )
    if isinstance(error, OAuthTokenError) or watch.kind in _AT_LOGIN:
        return LoginError(f"the login failed: {message}")
    if watch.kind is StepKind.RESOURCE_METADATA and watch.resource != watch.url:
        return ServerUnreachable(
            f"the server's public URL is {watch.resource}, but it was called at {watch.url}",
            f"use exactly its public URL: --url {watch.resource} (RFC 9728 section 3.3)",
        )
    return ProviderError(
        f"the metadata is inconsistent: {message}",
        "the issuer that the server names must equal the issuer in the provider's metadata, character by character",
    )


def _server_failure(error: MCPError, watch: HttpTracer) -> LoginClientError:
    if watch.token_received:
        return ToolCallError(f"the server responded with an error: {watch.redact_remote_text(str(error))}")
    return ServerUnreachable(f"what responds at {watch.url} is not an MCP server: {error}", "check the URL's path")


def _unusable(error: BaseException, watch: HttpTracer) -> LoginClientError:
    kind: type[LoginClientError] = ProviderError
    if watch.kind in _AT_SERVER:
        kind = ServerUnreachable if not watch.token_received else ToolCallError
    elif watch.kind in _AT_LOGIN:
        kind = LoginError
    reason = watch.redact_remote_text(str(error).partition("\n")[0])
    return kind(f"the response of {watch.requested_url} is not usable: {type(error).__name__}: {reason}")


def _unreachable(error: httpx2.HTTPError, watch: HttpTracer) -> LoginClientError:
    reason = str(error) or type(error).__name__
    if watch.kind in _AT_SERVER:
        return ServerUnreachable(
            f"the MCP server does not respond at {watch.requested_url}: {reason}",
            "start it (docker compose up --wait, or mcp-idp demo --keep), or use the URL of another one",
        )
    return ProviderError(
        f"the identity provider does not respond at {watch.requested_url}: {reason}",
        "make it reachable from here at exactly the URL that the server names",
    )


def token_rejected_error(watch: HttpTracer, plan: LoginOptions) -> TokenRejected:
    """Returns the error for a server that rejects the token of a successful login.

    Args:
        watch: Holds the rejection and the token's claims.
        plan: What the login requested.
    """
    rejection = watch.rejection
    if rejection is None:
        return TokenRejected("the server rejects the request without naming a way to log in")
    context = LoginContext(
        resource=watch.resource,
        issuer=watch.issuer or "",
        now=time.time(),
        user=plan.user,
        scope=plan.scope,
        access=plan.access,
    )
    advice = explain_rejection(rejection, watch.claims, context)
    return TokenRejected(f"the login worked, but the server rejects its token ({rejection.status})", *advice)


def rejection_advice(error: str | None) -> tuple[str, ...]:
    """Returns what the user can do about an authorization error response (RFC 6749 section 4.1.2.1).

    Args:
        error: The `error` parameter.

    Returns:
        Lines of text; empty for errors without specific advice.
    """
    if error == "invalid_scope":
        return ("the client may not request one of these scopes: compare the challenge with the provider's scopes",)
    if error == "access_denied":
        return ("the user or a policy of the provider denied the login",)
    return ()
