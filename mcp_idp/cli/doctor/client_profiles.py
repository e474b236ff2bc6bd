"""How popular MCP clients register, as far as it affects the provider's decision (RFC 7591 section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientProfile:
    """The registration of one MCP client.

    Attributes:
        name: The client's name.
        redirect_uris: Its redirect URIs; the ports of native clients are examples.
        sends_scope: Whether it registers with the scopes that it will request.
        client_uri: The URL of its home page, or "".
        from_browser: Whether the request comes from a web page, with an Origin header.
        auth_method: Its `token_endpoint_auth_method`.
    """

    name: str
    redirect_uris: tuple[str, ...]
    sends_scope: bool = True
    client_uri: str = ""
    from_browser: bool = False
    auth_method: str = "none"

    def registration(self, scopes: tuple[str, ...]) -> dict[str, Any]:
        """Returns the client metadata that it sends to the registration endpoint.

        Args:
            scopes: The scopes that a login would request.
        """
        document: dict[str, Any] = {
            "client_name": f"test of mcp-idp doctor ({self.name})",
            "redirect_uris": list(self.redirect_uris),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": self.auth_method,
        }
        if self.sends_scope and scopes:
            document["scope"] = " ".join(scopes)
        if self.client_uri:
            document["client_uri"] = self.client_uri
        return document


CLIENT_PROFILES = (
    ClientProfile(name="a native client", redirect_uris=("http://127.0.0.1:33333/callback",)),
    ClientProfile(name="Claude Code", redirect_uris=("http://localhost:33333/callback",), sends_scope=False),
    ClientProfile(
        name="VS Code",
        redirect_uris=(
            "https://insiders.vscode.dev/redirect",
            "https://vscode.dev/redirect",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418/",
        ),
        client_uri="https://code.visualstudio.com",
    ),
    ClientProfile(
        name="Inspector",
        redirect_uris=("http://localhost:6274/oauth/callback",),
        client_uri="https://github.com/modelcontextprotocol/inspector",
        from_browser=True,
    ),
    ClientProfile(name="Cursor", redirect_uris=("cursor://anysphere.cursor-mcp/oauth/callback",)),
    ClientProfile(
        name="Claude.ai",
        redirect_uris=("https://claude.ai/api/mcp/auth_callback",),
        auth_method="client_secret_post",
    ),
)
