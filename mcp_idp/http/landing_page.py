"""The landing page at `GET /`: what the server is, the exact URL to use, how to connect each client."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from mcp_idp.http.client_snippets import Snippet, client_snippets
from mcp_idp.http.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.config.settings import Settings

_TEMPLATE = Path(__file__).with_name("landing_page.html")
_MCP_ONLY = frozenset({"POST", "DELETE"})
_HEADERS = (
    (b"cache-control", b"no-cache"),
    # The page is text and one style block: it needs no scripts, no resources and no framing.
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


def landing_page_endpoint(settings: Settings, access: AccessPolicy) -> ASGIApp:
    """Returns the application at `/`: the page, or, for a client that sends MCP messages there, the URL to use."""
    page = render_landing_page(settings, access)
    text = f"This is a page for people. The URL of the MCP server is exactly {settings.public_url}"
    document = {"error": "method_not_allowed", "error_description": text}
    misdirected = Response.json(405, document, ((b"allow", b"GET, HEAD"),))

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        await (misdirected.send(send) if scope["method"] in _MCP_ONLY else page(scope, receive, send))

    return endpoint


def render_landing_page(settings: Settings, access: AccessPolicy) -> Response:
    """Renders the page. It depends only on the settings and the access file, so one response serves all requests."""
    clients = "\n".join(map(_client_section, client_snippets(settings.public_url)))
    login = (
        "<strong>Authentication is disabled</strong> (DISABLE_AUTH): every request runs as the user <code>dev</code>."
        if settings.disable_auth
        else f"Your client will send you to <code>{escape(settings.server_url)}</code> to log in."
    )
    scopes = "\n".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(scope.description)}</td>"
        f"<td>{escape(', '.join(scope.roles))}</td></tr>"
        for name, scope in access.scopes.items()
    )
    body = (
        Template(_TEMPLATE.read_text(encoding="utf-8"))
        .substitute(
            name=escape(access.resource.name),
            url=escape(settings.public_url),
            login=login,
            clients=clients,
            scopes=scopes,
        )
        .encode()
    )
    own = ((b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"%d" % len(body)))
    return Response(200, (*own, *_HEADERS), body)


def _client_section(snippet: Snippet) -> str:
    """Renders the section of one client; the link, if any, is an alternative to the text."""
    where = escape(snippet.instructions)
    if snippet.link is not None:
        where = f'<a href="{escape(snippet.link)}">Add to {escape(snippet.client)}</a>, or {where}'
    return (
        f"<section><h3>{escape(snippet.client)}</h3><p>{where}</p>"
        f"<pre><code>{escape(snippet.text)}</code></pre></section>"
    )
