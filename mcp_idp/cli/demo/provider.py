"""Runs the demo's identity provider: `python -m mcp_idp.cli.demo.provider DIRECTORY PORT`.

It is nanoidp, with one addition: authorization responses name the issuer (RFC 9207). nanoidp 3.4.0 does so only for an
https issuer, and the demo's is http on loopback; some clients (Gemini CLI) require `iss`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import request
from nanoidp.app import create_app  # type: ignore[import-untyped]  # nanoidp has no types

if TYPE_CHECKING:
    from flask import Flask, Response

_AUTHORIZE = "/authorize"
_METADATA = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
_SUPPORTED = "authorization_response_iss_parameter_supported"


def create_provider(directory: str, issuer: str) -> Flask:
    """Creates the provider's application.

    Args:
        directory: The configuration directory, see `nanoidp_config`.
        issuer: The issuer identifier in that configuration.
    """
    app: Flask = create_app(config_dir=directory, strict_config=True)

    @app.after_request
    def name_issuer(response: Response) -> Response:
        if request.path == _AUTHORIZE and response.location:
            response.location = with_issuer(response.location, issuer)
        elif request.path in _METADATA and response.is_json and isinstance(document := response.get_json(), dict):
            response.set_data(app.json.dumps({**document, _SUPPORTED: True}))
        return response

    return app


def with_issuer(location: str, issuer: str) -> str:
    """Adds `iss` to an authorization response (RFC 9207 section 2).

    Args:
        location: Where the provider redirects the browser.
        issuer: The issuer identifier.

    Returns:
        `location`, unchanged if it leads to a page of the provider or already has `iss`.
    """
    parts = urlsplit(location)
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    names = {name for name, _ in parameters}
    is_own_page = not parts.scheme or location.startswith(f"{issuer}/")
    if is_own_page or "iss" in names or not names & {"code", "error"}:
        return location
    return parts._replace(query=urlencode([*parameters, ("iss", issuer)])).geturl()


def main(directory: str, port: str) -> None:
    """Serves the provider on loopback until the process ends."""
    app = create_provider(directory, f"http://localhost:{port}")
    app.run(host="127.0.0.1", port=int(port), load_dotenv=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
