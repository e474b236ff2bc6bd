"""What the fronts have in common: Caddy with templates, before a provider that lacks something."""

from __future__ import annotations

import json
import re
import string
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from mcp_idp.access.models import RegistrationPolicy
    from mcp_idp.cli.bootstrap.changes import Json

FOLDER = "/run/idp/front"  # where Caddy finds the files, whatever this process calls it
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?", re.ASCII)
REGISTRATION = """\
			route {
				root * %%{folder}
				method GET
				rewrite * /register.json
				templates {
					mime application/json
				}
				file_server {
					status 201
				}
			}"""
CLOSED = "\t\t\terror 403"


class _Template(string.Template):
    """With a mark of its own: `$` and `{` are Caddy's."""

    delimiter = "%%"


def render_template(template: str, **values: str) -> str:
    """`template` with its placeholders filled in.

    Raises:
        ConfigError: one of them is not known.
    """
    try:
        return _Template(template).substitute(values)
    except (KeyError, ValueError) as error:
        raise ConfigError(f"Caddyfile: unknown placeholder:  {error}") from error


def origin_matchers(registration: RegistrationPolicy) -> str:
    """Lines of a matcher, any of which may fit: the pages that may register.

    Raises:
        ConfigError: a web origin is none.
    """
    if registration.profile == "closed" or not registration.web_origins:
        return "\t\texpression `false`"
    for origin in registration.web_origins:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigError(f"registration.web_origins: '{origin}' is not an origin such as http://localhost:6274")
    return "\n".join(f"\t\theader Origin {origin}" for origin in registration.web_origins)


def redirect_help(registration: RegistrationPolicy) -> str:
    """For people whose program was refused."""
    loopback = "http on localhost, 127.0.0.1 or [::1], at any port, with a plain path"
    if registration.profile != "open-dev" or not registration.vendors:
        return f"1 to 10 redirect_uris, each {loopback}."
    vendors = ", ".join(name for name in registration.vendors if re.fullmatch(r"[A-Za-z0-9 ._-]+", name))
    return f"1 to 10 redirect_uris: each {loopback}; or each one of those of one vendor: {vendors}."


def as_json(document: Json) -> str:
    """A file that Caddy serves."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
