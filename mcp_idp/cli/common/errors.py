"""What can go wrong, each with the exit code that `scripts/login --help` documents.

LoginClientError
├── ServerUnreachable   3  nothing answers at the MCP server's URL, or what answers is no MCP server
├── ProviderError      4  the provider cannot be reached, or its metadata or its registration is no use
├── LoginError         5  the provider or the person refused, or nobody came back in time
├── TokenRejected        6  the login worked, and the server does not take its token
└── ToolCallError          7  a tool said no, or does not exist
"""

from __future__ import annotations

from typing import ClassVar

INTERRUPTED_EXIT = 130


class LoginClientError(Exception):
    """The journey ends here.

    Args:
        message: one line for a person: what went wrong.
        advice: further lines: why, and what to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *advice: str) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class ServerUnreachable(LoginClientError):
    """Nothing answers at the MCP server's URL, or what answers is no MCP server."""

    exit_code = 3


class ProviderError(LoginClientError):
    """The provider cannot be reached, or its metadata or its registration is no use."""

    exit_code = 4


class LoginError(LoginClientError):
    """The provider or the person refused, or nobody came back in time."""

    exit_code = 5


class TokenRejected(LoginClientError):
    """The login worked, and the server does not take its token."""

    exit_code = 6


class ToolCallError(LoginClientError):
    """A tool said no, or does not exist."""

    exit_code = 7


def find_failure(error: BaseException) -> LoginClientError | None:
    """The `LoginClientError` in `error`, which may be a group: the SDK runs its requests in task groups."""
    if isinstance(error, LoginClientError):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = (find_failure(part) for part in error.exceptions)
        return next((failure for failure in found if failure is not None), None)
    return None
