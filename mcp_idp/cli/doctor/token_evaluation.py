"""Chooses the settings to evaluate a token with.

These are the server's own settings if this machine has them, otherwise settings derived from the server's metadata.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.access.policy import AccessFileError, AccessPolicy, load_access
from mcp_idp.cli.inspect.evaluation import evaluate_token
from mcp_idp.cli.inspect.offline_verifier import open_verifiers
from mcp_idp.config import load_settings
from mcp_idp.config.env import SettingsError
from mcp_idp.config.settings import Settings
from mcp_idp.oauth.http import ssl_context
from mcp_idp.providers import profile_for
from mcp_idp.util.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import httpx

    from mcp_idp.cli.doctor.context import CheckContext, Evaluator
    from mcp_idp.cli.inspect.evaluation import TokenEvaluation

# For a server whose access file is not here: its scope rules are unknown, the rules for tokens are the same.
_UNKNOWN_SCOPES = AccessPolicy.model_validate(
    {
        "version": 1,
        "resource": {"name": "unknown"},
        "base_scope": "unknown",
        "scopes": {"unknown": {"description": "unknown", "roles": ["unknown"]}},
        "registration": {"profile": "closed"},
    }
)


def make_evaluator(
    variables: Mapping[str, str], *, transport: httpx.AsyncBaseTransport | None = None, clock: Clock | None = None
) -> Evaluator:
    """Returns a function that evaluates a token for the server under test.

    Args:
        variables: The server's environment, see `mcp_idp.cli.common.server_env`.
        transport: Replaces the network, if given.
        clock: The current time; by default the system's.
    """
    time = clock or Clock()

    async def evaluate(token: str, case: CheckContext) -> TokenEvaluation:
        settings = settings_for(case, variables)
        access = _read_access(settings.access_file)
        policy = access or _UNKNOWN_SCOPES
        async with open_verifiers(settings, policy, time, transport=transport) as trusted:
            evaluation = await evaluate_token(token, trusted, policy, time)
        if access is None:
            evaluation.missing_scope = None
        return evaluation

    return evaluate


def _read_access(path: Path) -> AccessPolicy | None:
    """Returns the access policy; None if there is no usable file here, so that the server's scopes are unknown."""
    try:
        return load_access(path)
    except AccessFileError:
        return None


def settings_for(case: CheckContext, variables: Mapping[str, str]) -> Settings:
    """Returns the settings of the server under test.

    Args:
        case: The server under test, with its issuer discovered.
        variables: The environment. Its settings are used if they are valid and have the same public URL and issuer;
            otherwise the settings are derived from `case`, with the audience and the issuer that its server is known to
            expect.
    """
    try:
        settings = load_settings(variables)
        load_access(settings.access_file)
        ssl_context(settings.ca_file)
    except (SettingsError, AccessFileError):
        settings = None
    if settings is not None and settings.public_url == case.url and settings.server_url == case.issuer:
        return settings
    known = case.settings.values
    return Settings(
        server_url=case.issuer,
        issuer=known.get("JWT_ISSUER") or case.issuer,
        public_url=case.url,
        audience=known.get("JWT_AUDIENCE") or case.url,
        client_id=case.url,
        provider=profile_for(case.issuer),
    )
