"""Clients on their vendors' machines. They cannot reach a server on this machine, and need a vendor's redirect URI."""

from __future__ import annotations

from tests.client_compat.profile import ClientProfile, Evidence

_CODE = {"grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]}

CLAUDE_AI = ClientProfile(
    name="Claude.ai",
    version="as reported in 2025 and 2026",
    evidence=Evidence.READ,
    sources=(
        "https://github.com/anthropics/claude-code/issues/5826",  # the request, logged
        "https://github.com/anthropics/claude-ai-mcp/issues/667",  # client_secret_post at the token endpoint
        "https://github.com/anthropics/claude-code/issues/8001",  # no scope
    ),
    registration={
        "client_name": "Claude",
        "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
        "token_endpoint_auth_method": "client_secret_post",
        **_CODE,
    },
    redirects=("https://claude.ai/api/mcp/auth_callback",),
    token_auth="client_secret_post",
    token={},  # not read
    metadata_url="https://claude.ai/oauth/mcp-oauth-client-metadata",
    hosted=True,
)

CHATGPT = ClientProfile(
    name="ChatGPT",
    version="as reported in 2026",
    evidence=Evidence.READ,
    sources=(
        # The stable callback, for providers that announce `iss` in authorization responses (RFC 9207), like Keycloak.
        "https://github.com/danielealbano/android-remote-control-mcp/pull/166",
        "https://github.com/garrytan/gbrain/pull/894",  # token_endpoint_auth_method none
    ),
    registration={
        "client_name": "ChatGPT",
        "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"],
        "token_endpoint_auth_method": "none",
        **_CODE,
    },
    redirects=("https://chatgpt.com/connector_platform_oauth_redirect",),
    token_auth="none",
    token={},  # not read
    hosted=True,
)

CHATGPT_PER_CONNECTOR = ClientProfile(
    name="ChatGPT, callback of one connector",
    version="as reported in 2026",
    evidence=Evidence.READ,
    sources=(
        "https://github.com/BasedHardware/omi/issues/8824",
        "https://github.com/danielealbano/android-remote-control-mcp/pull/166",
    ),
    registration={
        "client_name": "ChatGPT",
        "redirect_uris": ["https://chatgpt.com/connector/oauth/AbCd1234"],
        "token_endpoint_auth_method": "none",
        **_CODE,
    },
    redirects=("https://chatgpt.com/connector/oauth/AbCd1234",),
    token_auth="none",
    token={},  # not read
    hosted=True,
)
