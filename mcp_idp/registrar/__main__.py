"""`python -m mcp_idp.registrar` runs the registrar, configured by environment variables."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from mcp_idp.access.policy import AccessFileError, load_access
from mcp_idp.config.env import SettingsError
from mcp_idp.http_server.limits import HttpLimits
from mcp_idp.http_server.runner import serve
from mcp_idp.oauth.http import ssl_context
from mcp_idp.observability.logging import configure_logging
from mcp_idp.registrar.application import Registrar
from mcp_idp.registrar.request import MAX_DOCUMENT_BYTES
from mcp_idp.registrar.settings import RegistrarSettings, load_registrar_settings
from mcp_idp.registrar.upstream import Upstream, create_client

_EXIT_CONFIG_ERROR = 2
_BODY_SECONDS = 10.0


def create_registrar(settings: RegistrarSettings) -> Registrar:
    """Creates the application.

    Raises:
        AccessFileError: the access file cannot be used.
        SettingsError: the file with certificates cannot be used.
    """
    registration = load_access(settings.server.access_file).registration
    upstream = Upstream(create_client(ssl_context(settings.server.ca_file)), settings.upstream_url)
    return Registrar(upstream, registration, home_hosts=settings.home_hosts, quota=settings.rate_limit)


def main() -> int:
    """Serves until a signal arrives.

    Returns:
        The exit code: 2 if the configuration cannot work (one line on standard error says what to change), otherwise
        that of `http_server.runner.serve`.
    """
    try:
        settings = load_registrar_settings(os.environ)
        configure_logging(settings.server.log_format, settings.server.log_level)
        registrar = create_registrar(settings)
    except (SettingsError, AccessFileError) as error:
        sys.stderr.write(f"registrar: {error}\n")
        return _EXIT_CONFIG_ERROR
    limits = replace(
        HttpLimits.for_memory(settings.server.memory_plan), body_bytes=MAX_DOCUMENT_BYTES, body_seconds=_BODY_SECONDS
    )
    return serve(registrar, settings.server, limits=limits)


if __name__ == "__main__":
    sys.exit(main())
