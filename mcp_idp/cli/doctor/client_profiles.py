"""The requests of known MCP clients, for `mcp-idp doctor --as NAME` and `--register`.

Facts only. A program that ran was driven against this project's server, and its requests were recorded; of the others
the public source or public reports were read. What is not known about a client follows the MCP specification.
"""

from __future__ import annotations

from mcp_idp.cli.doctor.client_requests import Basis, ClientProfile, Evidence, Scopes

_DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
_NATIVE = {"application_type": "native"}
_RECORDED = Basis(Evidence.RAN, "30 November 2026")
_RUN_BEFORE = Basis(Evidence.RAN, "21 November 2026")
_READ = Basis(Evidence.READ, "21 November 2026")


CLIENT_PROFILES: tuple[ClientProfile, ...] = (
    ClientProfile(
        key="codex",
        name="Codex",
        version="0.171.0",
        basis=_RECORDED,
        client_name="Codex",
        redirect_uris=("http://127.0.0.1:35855/callback/N8QRaRvORX7F",),
        adds_offline_access=True,
        members=_NATIVE,
    ),
    ClientProfile(
        key="claude-code",
        name="Claude Code",
        version="2.1.332",
        basis=_RECORDED,
        client_name="Claude Code (demo)",
        redirect_uris=("http://localhost:53601/callback",),
        adds_offline_access=True,
        members=_NATIVE,
        is_stateless=True,
    ),
    ClientProfile(
        key="vscode",
        name="VS Code",
        version="1.139.1",  # its MCP code, in code-server
        basis=_RECORDED,
        client_name="code-server",
        redirect_uris=(
            "https://insiders.vscode.dev/redirect",
            "https://vscode.dev/redirect",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418/",
        ),
        login_redirects=(
            "http://127.0.0.1:33418/",
            "http://127.0.0.1:50001/",  # its port is taken
            "https://vscode.dev/redirect",
        ),
        optional_grants=(_DEVICE_CODE,),
        members={"client_uri": "https://code.visualstudio.com", **_NATIVE},
        sends_protocol_version=False,
    ),
    ClientProfile(
        key="cursor",
        name="Cursor",
        version="3.13",
        basis=_READ,
        client_name="Cursor",
        redirect_uris=(
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ),
        login_redirects=(
            "http://localhost:8787/callback",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
        ),
        registers_scopes=Scopes.NONE,
    ),
    ClientProfile(
        key="opencode",
        name="opencode",
        version="1.18.33",
        basis=_RECORDED,
        client_name="OpenCode",
        redirect_uris=("http://127.0.0.1:19876/mcp/oauth/callback",),
        members={"client_uri": "https://opencode.ai"},
    ),
    ClientProfile(
        key="copilot",
        name="GitHub Copilot CLI",
        version="1.0.102",
        basis=_RECORDED,
        client_name="GitHub Copilot CLI",
        redirect_uris=("http://127.0.0.1:44501/",),
        registers_scopes=Scopes.NONE,
    ),
    ClientProfile(
        key="gemini",
        name="Gemini CLI",
        version="0.61.0",
        basis=_RECORDED,
        client_name="Gemini CLI MCP Client",
        redirect_uris=("http://localhost:36297/oauth/callback",),
        registers_scopes=Scopes.LISTED,
        requests_scopes=Scopes.LISTED,
        requires_iss=True,
        sends_protocol_version=False,
    ),
    ClientProfile(
        key="qwen",
        name="Qwen Code",
        version="0.24.4",
        basis=_RECORDED,
        client_name="Qwen Code MCP Client",
        redirect_uris=("http://localhost:7777/oauth/callback",),
        members={"code_challenge_method": ["S256"]},
        reads_metadata_at_origin=True,
    ),
    ClientProfile(
        key="cline",
        name="Cline",
        version="3.0.65",
        basis=_RECORDED,
        client_name="Cline",
        redirect_uris=("http://127.0.0.1:1456/mcp/oauth/callback",),
    ),
    ClientProfile(
        key="mcporter",
        name="mcporter",
        version="0.12.3",
        basis=_RECORDED,
        client_name="mcporter (demo)",
        redirect_uris=("http://127.0.0.1:42017/callback",),
    ),
    ClientProfile(
        key="fastmcp",
        name="FastMCP",
        version="4.2.3",
        basis=_RECORDED,
        client_name="FastMCP Client",
        redirect_uris=("http://localhost:35403/callback",),
        members=_NATIVE,
    ),
    ClientProfile(
        key="inspector",
        name="MCP Inspector",
        version="2.12.0",
        basis=_RECORDED,
        client_name="MCP Inspector",
        redirect_uris=("http://127.0.0.1:6276/oauth/callback",),  # the command line's
        login_redirects=(
            "http://127.0.0.1:6276/oauth/callback",
            "http://127.0.0.1:6274/oauth/callback",  # the page's, with the same registration
        ),
        members={"client_uri": "https://github.com/modelcontextprotocol/inspector", **_NATIVE},
    ),
    ClientProfile(
        key="inspector-0",
        name="MCP Inspector",
        version="0.x",
        basis=_READ,
        client_name="MCP Inspector",
        redirect_uris=("http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"),
        members={"client_uri": "https://github.com/modelcontextprotocol/inspector"},
        from_browser=True,
    ),
    ClientProfile(
        key="mcp-remote",
        name="mcp-remote",
        version="0.15.1",
        basis=_RECORDED,
        client_name="MCP CLI Proxy",
        redirect_uris=("http://localhost:46861/oauth/callback",),
        login_redirects=(
            "http://localhost:46861/oauth/callback",
            "http://localhost:46862/oauth/callback",  # its port is taken
        ),
        auth_method_without_none="client_secret_post",
        members={
            "client_uri": "https://github.com/modelcontextprotocol/mcp-cli",
            "software_id": "2e6dc280-f3c3-4e01-99a7-8181dbd1d23d",
            "software_version": "0.15.1",
            **_NATIVE,
        },
    ),
    ClientProfile(
        key="mcpjam",
        name="MCPJam",
        version="1.0.24",
        basis=_RECORDED,
        client_name="MCPJam - demo",
        redirect_uris=("http://127.0.0.1:16274/oauth/callback",),
        registers_scopes=Scopes.NONE,
        requests_scopes=Scopes.NONE,
        members={"client_uri": "https://github.com/mcpjam/inspector"},
    ),
    ClientProfile(
        key="goose",
        name="Goose",
        version="source at 06423fd",
        basis=_READ,
        client_name="goose",
        redirect_uris=("http://127.0.0.1:41999/oauth_callback",),
    ),
    ClientProfile(
        key="langchain",
        name="langchain-mcp-adapters",
        version="0.3.2",
        basis=_RECORDED,
        client_name="langchain",
        redirect_uris=("http://127.0.0.1:8765/callback",),
        auth_method="",
    ),
    ClientProfile(
        key="openai-agents",
        name="openai-agents",
        version="0.24.0",
        basis=_RECORDED,
        client_name="agents",
        redirect_uris=("http://127.0.0.1:8765/callback",),
        auth_method="",
        members=_NATIVE,
    ),
    ClientProfile(
        key="pydantic-ai",
        name="pydantic-ai",
        version="2.68.0",
        basis=_RECORDED,
        client_name="pydantic-ai",
        redirect_uris=("http://127.0.0.1:8765/callback",),
        auth_method="",
        members=_NATIVE,
    ),
    ClientProfile(
        key="python-sdk",
        name="Python SDK",
        version="mcp 2.3.0",
        basis=_RUN_BEFORE,
        client_name="An application",
        redirect_uris=("http://localhost:29497/callback",),
        adds_offline_access=True,
        auth_method="",
        members=_NATIVE,
    ),
    ClientProfile(
        key="typescript-sdk",
        name="TypeScript SDK",
        version="@modelcontextprotocol/client 2.4.0",
        basis=_RUN_BEFORE,
        client_name="An application",
        redirect_uris=("http://localhost:29498/callback",),
        auth_method="",
        sends_response_types=False,
        members=_NATIVE,
    ),
    ClientProfile(
        key="typescript-sdk-1",
        name="TypeScript SDK 1.x",
        version="@modelcontextprotocol/sdk 1.32.2",
        basis=_RUN_BEFORE,
        client_name="An application",
        redirect_uris=("http://localhost:29499/callback",),
        grants=(),
        auth_method="",
        sends_response_types=False,
    ),
    ClientProfile(
        key="claude-ai",
        name="Claude.ai",
        version="",
        basis=_READ,
        client_name="Claude",
        redirect_uris=("https://claude.ai/api/mcp/auth_callback",),
        registers_scopes=Scopes.NONE,
        auth_method="client_secret_post",
        hosted=True,
    ),
    ClientProfile(
        key="chatgpt",
        name="ChatGPT",
        version="",
        basis=_READ,
        client_name="ChatGPT",
        redirect_uris=("https://chatgpt.com/connector_platform_oauth_redirect",),
        registers_scopes=Scopes.NONE,
        hosted=True,
    ),
)
_BY_KEY = {profile.key: profile for profile in CLIENT_PROFILES}

# One of each kind of registration: no scope, redirect URIs of vendors and of a scheme of its own, a page, a secret.
REGISTERED_PROFILES = tuple(
    _BY_KEY[key] for key in ("codex", "copilot", "claude-code", "vscode", "inspector-0", "cursor", "claude-ai")
)


def find_profile(key: str) -> ClientProfile:
    """Returns the profile named `key` on the command line, in any case.

    Raises:
        ValueError: There is none; the message lists those that there are.
    """
    profile = _BY_KEY.get(key.strip().lower())
    if profile is None:
        raise ValueError(f"--as: no client is known as '{key[:50]}': use one of {', '.join(_BY_KEY)}")
    return profile
