"""The requests of the official libraries for an application that sets only a name and a redirect URI."""

from __future__ import annotations

from tests.client_compat.profile import SCOPES, ClientProfile, Evidence

_CODE = {"grant_types": ["authorization_code", "refresh_token"]}

PYTHON_SDK = ClientProfile(
    name="Python SDK",
    version="mcp 2.3.0",
    evidence=Evidence.RAN,
    sources=("mcp: OAuthClientProvider with client_name and redirect_uris",),
    registration={
        "client_name": "An application",
        "redirect_uris": ["http://localhost:29497/callback"],
        **_CODE,
        "response_types": ["code"],
        "scope": SCOPES,
        "application_type": "native",
    },
    redirects=("http://localhost:29497/callback",),
    token_auth="client_secret_basic",  # it registers without a method, so Keycloak issues a secret
)

TYPESCRIPT_SDK_1 = ClientProfile(
    name="TypeScript SDK 1.x",
    version="@modelcontextprotocol/sdk 1.32.2",
    evidence=Evidence.RAN,
    sources=(
        "npm @modelcontextprotocol/sdk: StreamableHTTPClientTransport with an authProvider; tools/list; a refresh",
    ),
    registration={
        "client_name": "An application",
        "redirect_uris": ["http://localhost:29499/callback"],
        "scope": SCOPES,
    },
    redirects=("http://localhost:29499/callback",),
    token_auth="client_secret_basic",
    refresh="when the server answers 401",
)

TYPESCRIPT_SDK_2 = ClientProfile(
    name="TypeScript SDK 2.x",
    version="@modelcontextprotocol/client 2.4.0",
    evidence=Evidence.RAN,
    sources=(
        "npm @modelcontextprotocol/client: StreamableHTTPClientTransport with an authProvider; tools/list; a refresh",
    ),
    registration={
        "client_name": "An application",
        "redirect_uris": ["http://localhost:29498/callback"],
        **_CODE,
        "application_type": "native",
        "scope": SCOPES,
    },
    redirects=("http://localhost:29498/callback",),
    token_auth="client_secret_basic",
    refresh="when the server answers 401",
)

MCP_REMOTE = ClientProfile(
    name="mcp-remote",
    version="0.15.1",
    evidence=Evidence.RAN,
    sources=("npm mcp-remote: `mcp-remote <url>`, initialize and tools/list on its standard input",),
    registration={
        "redirect_uris": ["http://localhost:21906/oauth/callback"],  # the port follows from the server's URL
        "token_endpoint_auth_method": "client_secret_post",
        **_CODE,
        "response_types": ["code"],
        "client_name": "MCP CLI Proxy",
        "client_uri": "https://github.com/modelcontextprotocol/mcp-cli",
        "software_id": "2e6dc280-f3c3-4e01-99a7-8181dbd1d23d",
        "software_version": "0.15.1",
        "scope": SCOPES,
        "application_type": "native",
    },
    redirects=("http://localhost:21906/oauth/callback",),
    token_auth="client_secret_post",
)
