"""Why an apply ends without a result. The command line prints the text, one line, and exits with `exit_code`.

Failure
├── ConfigError       2  something this run was told cannot work
├── AdminAuthError          2  the provider does not take the admin client's secret
│   └── Forbidden         2  it does, and allows the client too little
├── ProviderUnreachable   3  nothing answers at the provider's address
├── ProviderRequestError       1  the provider refused a read or a write
└── VerificationError             1  all is written, and the result is not what was promised
"""

from __future__ import annotations


class BootstrapError(Exception):
    """An end without a result; the text is one line that says what to change."""

    exit_code = 1


class ConfigError(BootstrapError):
    """What this run was told cannot work."""

    exit_code = 2


class AdminAuthError(BootstrapError):
    """The provider does not take the admin client."""

    exit_code = 2


class PermissionDenied(AdminAuthError):
    """The provider takes the admin client and allows it too little."""


class ProviderUnreachable(BootstrapError):
    """Nothing answers at the provider's address."""

    exit_code = 3


class ProviderRequestError(BootstrapError):
    """The provider refused a read or a write.

    Attributes:
        status: the HTTP status it gave.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class VerificationError(BootstrapError):
    """All is written, and the result is not what was promised."""
