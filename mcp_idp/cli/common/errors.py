"""Errors of the client commands, each with the exit code that `mcp-idp login --help` documents.

LoginClientError           1  unexpected error
├── ServerUnreachable      3  the MCP server's URL does not respond, or is not an MCP server
├── ProviderError          4  the provider is unreachable, or its metadata or registration is unusable
├── LoginError             5  the provider or the user rejected the login, or it timed out
├── TokenRejected          6  the login succeeded, but the server rejects the token
└── ToolCallError          7  a tool call failed, or there is no such tool
"""

from __future__ import annotations

from typing import ClassVar

from mcp_idp.cli.common.launcher import as_launched

INTERRUPTED_EXIT = 130


class LoginClientError(Exception):
    """Ends the command with `exit_code`.

    Args:
        message: What went wrong, in one line.
        advice: Further lines: the cause, and what to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *advice: str) -> None:
        super().__init__(message)
        self.message = message
        self.advice = tuple(as_launched(line) for line in advice)


class ServerUnreachable(LoginClientError):
    """The MCP server's URL does not respond, or is not an MCP server."""

    exit_code = 3


class ProviderError(LoginClientError):
    """The provider is unreachable, or its metadata or registration is unusable."""

    exit_code = 4


class LoginError(LoginClientError):
    """The provider or the user rejected the login, or it timed out."""

    exit_code = 5


class TokenRejected(LoginClientError):
    """The login succeeded, but the server rejects the token."""

    exit_code = 6


class ToolCallError(LoginClientError):
    """A tool call failed, or there is no such tool."""

    exit_code = 7


def find_failure(error: BaseException) -> LoginClientError | None:
    """Returns the first `LoginClientError` in `error`, or None.

    `error` may be an exception group, because the SDK sends its requests in task groups.
    """
    if isinstance(error, LoginClientError):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = (find_failure(part) for part in error.exceptions)
        return next((failure for failure in found if failure is not None), None)
    return None
