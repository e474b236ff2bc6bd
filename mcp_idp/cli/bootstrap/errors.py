"""Errors of the bootstrap. The command line prints the message, which is one line, and exits with `exit_code`.

BootstrapError                1
├── ConfigError               2  the configuration of this run is invalid
├── AdminAuthError            2  the provider rejects the admin client's credentials
│   └── PermissionDenied      2  the admin client lacks permissions
├── ProviderUnreachable       3  the provider's address does not respond
├── ProviderRequestError      1  the provider rejected a read or a write
└── VerificationError         1  everything was written, but the result is not as desired
"""

from __future__ import annotations


class BootstrapError(Exception):
    """Ends a run without a result; the message is one line that says what to change."""

    exit_code = 1


class ConfigError(BootstrapError):
    """The configuration of this run is invalid."""

    exit_code = 2


class AdminAuthError(BootstrapError):
    """The provider rejects the admin client's credentials."""

    exit_code = 2


class PermissionDenied(AdminAuthError):
    """The provider accepts the admin client, but the client lacks permissions."""


class ProviderUnreachable(BootstrapError):
    """The provider's address does not respond."""

    exit_code = 3


class ProviderRequestError(BootstrapError):
    """The provider rejected a read or a write.

    Args:
        text: The message.
        status: The HTTP status of the response.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class VerificationError(BootstrapError):
    """Everything was written, but the result is not as desired."""
