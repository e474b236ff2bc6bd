"""Programs on a user's machine."""

from __future__ import annotations

from tests.client_compat.profile import RESOURCE, SCOPES, ClientProfile, Evidence

_CODE = {"grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]}
_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"

VSCODE = ClientProfile(
    name="VS Code",
    version="source at 05f882b",
    evidence=Evidence.READ,
    sources=(
        "https://github.com/microsoft/vscode/blob/05f882b02c51633f2e1e8252722f8c3b626d74a9/src/vs/base/common/oauth.ts",
        "https://github.com/microsoft/vscode/issues/278512",  # if 33418 is occupied, another port of 127.0.0.1
    ),
    registration={
        "client_name": "Visual Studio Code",
        "client_uri": "https://code.visualstudio.com",
        # The supported ones of authorization_code, refresh_token and device_code; Keycloak supports all three.
        "grant_types": ["authorization_code", "refresh_token", _DEVICE],
        "response_types": ["code"],
        "redirect_uris": [
            "https://insiders.vscode.dev/redirect",
            "https://vscode.dev/redirect",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418/",
        ],
        "scope": SCOPES,
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    },
    redirects=("http://127.0.0.1:33418/", "http://127.0.0.1:54321/", "https://vscode.dev/redirect"),
    token_auth="none",
    token={},  # unknown whether it sends `resource` here
    metadata_url="https://vscode.dev/oauth/client-metadata.json",
)

CLAUDE_CODE = ClientProfile(
    name="Claude Code",
    version="2.1.330",
    evidence=Evidence.RAN,
    sources=("npm @anthropic-ai/claude-code: `claude mcp add`, `claude mcp login`, `claude mcp list`",),
    registration={
        "client_name": "Claude Code (demo)",
        "redirect_uris": ["http://localhost:62062/callback"],
        **_CODE,
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "scope": SCOPES,
    },
    redirects=("http://localhost:62062/callback",),
    token_auth="none",
    refresh="at every start, where access tokens live five minutes, and before they end",
    metadata_url="https://claude.ai/oauth/claude-code-client-metadata",
)

CLAUDE_CODE_WITHOUT_SCOPE = ClientProfile(
    name="Claude Code, no scope registered",
    version="as reported in 2025 and 2026",
    evidence=Evidence.READ,
    sources=(
        "https://github.com/appstrate/appstrate/issues/1267",  # the members; it also requests offline_access
        "https://github.com/anthropics/claude-code/issues/4540",
    ),
    registration={
        "client_name": "Claude Code (demo)",
        "redirect_uris": ["http://localhost:54545/callback"],
        **_CODE,
        "token_endpoint_auth_method": "none",
    },
    redirects=("http://localhost:54545/callback",),
    token_auth="none",
    authorize={"scope": f"{SCOPES} offline_access", "resource": RESOURCE},
)

CURSOR = ClientProfile(
    name="Cursor",
    version="3.13",
    evidence=Evidence.READ,
    sources=(
        "https://github.com/erp-mafia/accounted/pull/2225",  # three redirect URIs in one request, which one it uses
        "https://github.com/soflyy/agent-connector-for-wp/issues/111",  # if one is rejected, Cursor gives up
        "https://github.com/different-ai/openwork/pull/3059",  # token_endpoint_auth_method none
        "https://github.com/better-auth/better-auth/pull/10956",  # no application_type
    ),
    registration={
        "client_name": "Cursor",
        "redirect_uris": [
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ],
        **_CODE,
        "token_endpoint_auth_method": "none",
    },
    redirects=(
        "http://localhost:8787/callback",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://www.cursor.com/agents/mcp/oauth/callback",
    ),
    token_auth="none",
)

INSPECTOR_0 = ClientProfile(
    name="MCP Inspector 0.x",
    version="source at 006abfb",
    evidence=Evidence.READ,
    sources=(
        "https://github.com/modelcontextprotocol/inspector/blob/006abfb83ae6d2a8f1361a039f41d54429966a88/client/src/lib/auth.ts",
    ),
    registration={
        "redirect_uris": ["http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"],
        "token_endpoint_auth_method": "none",
        **_CODE,
        "client_name": "MCP Inspector",
        "client_uri": "https://github.com/modelcontextprotocol/inspector",
        "scope": SCOPES,
    },
    redirects=("http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"),
    token_auth="none",
)

_INSPECTOR_2 = {
    "token_endpoint_auth_method": "none",
    **_CODE,
    "client_name": "MCP Inspector",
    "client_uri": "https://github.com/modelcontextprotocol/inspector",
    "scope": SCOPES,
    "application_type": "native",
}

INSPECTOR = ClientProfile(
    name="MCP Inspector",
    version="2.12.0",
    evidence=Evidence.RAN,
    sources=("npm @modelcontextprotocol/inspector on Node 22, its page in Chromium: connect, log in, tools/list",),
    registration={"redirect_uris": ["http://127.0.0.1:6274/oauth/callback"], **_INSPECTOR_2},
    redirects=("http://127.0.0.1:6274/oauth/callback",),
    token_auth="none",
)

INSPECTOR_CLI = ClientProfile(
    name="MCP Inspector CLI",
    version="2.12.0",
    evidence=Evidence.RAN,
    sources=("npm @modelcontextprotocol/inspector on Node 22: `--cli <url> --transport http --method tools/list`",),
    registration={"redirect_uris": ["http://127.0.0.1:6276/oauth/callback"], **_INSPECTOR_2},
    redirects=("http://127.0.0.1:6276/oauth/callback",),
    token_auth="none",
)

CODEX = ClientProfile(
    name="Codex",
    version="0.169.0",
    evidence=Evidence.RAN,
    sources=("npm @openai/codex: `codex mcp add`, `codex mcp login`",),
    registration={
        "client_name": "Codex",
        "redirect_uris": ["http://127.0.0.1:33125/callback"],
        **_CODE,
        "token_endpoint_auth_method": "none",
        "scope": SCOPES,
        "application_type": "native",
    },
    redirects=("http://127.0.0.1:33125/callback",),
    token_auth="none",
)

GOOSE = ClientProfile(
    name="Goose",
    version="source at 06423fd",
    evidence=Evidence.READ,
    sources=(
        "https://github.com/block/goose/blob/06423fd5f56dd53e51ef0c3550fd932cc15e50dd/crates/goose/src/oauth/mod.rs",
        "https://github.com/modelcontextprotocol/rust-sdk: crates/rmcp/src/transport/auth.rs, register_client",
        "https://github.com/aaif-goose/goose/issues/9670",  # assumed that every provider supports its document
    ),
    registration={
        "client_name": "goose",
        "redirect_uris": ["http://127.0.0.1:41999/oauth_callback"],
        **_CODE,
        "token_endpoint_auth_method": "none",
        "scope": SCOPES,
    },
    redirects=("http://127.0.0.1:41999/oauth_callback",),
    token_auth="none",
    authorize={"scope": SCOPES, "resource": RESOURCE},
    refresh="when less than 30 s are left",
    metadata_url="https://goose-docs.ai/oauth/client-metadata.json",
)
