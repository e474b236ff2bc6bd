"""Shared code of the registration proxies: Caddy with templates, in front of a provider that lacks features."""

from __future__ import annotations

import json
import re
import string
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from mcp_idp.access.models import RegistrationPolicy
    from mcp_idp.cli.bootstrap.changes import Json

FOLDER = "/run/idp/front"  # the folder as Caddy sees it, which may differ from this process's path
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


# A name and a value, in which no character is a separator for another parser and no escape is a control character.
_CHARACTERS = "[A-Za-z0-9._~!$'()*+,/:@?=-]|%([2-6][0-9A-Fa-f]|7[0-9A-Ea-e]|[89A-Fa-f][0-9A-Fa-f])"
_PAIR = f"[a-z_]+=({_CHARACTERS})*"
_MAX_PAIRS = 30


def not_plain(text: str) -> str:
    """Returns a CEL expression that is true unless a form or query has one reading only.

    It is validated as a whole: names of lower-case letters without escapes, each at most once, and values of the
    characters of a URL. Whatever another parser could read differently is not plain: line breaks, `;`, `#`, escaped or
    repeated names, names without a value.

    Args:
        text: The Caddy placeholder of the form or query.
    """
    names = f'{text}.split("&")'
    return (
        f'!{text}.matches("^{_PAIR}(&{_PAIR})*$") || {names}.size() > {_MAX_PAIRS} || '
        f'!{names}.all(one, {names}.exists_one(other, other.split("=")[0] == one.split("=")[0]))'
    )


class _Template(string.Template):
    """A template with the delimiter `%%`, because `$` and `{` have a meaning in Caddyfiles."""

    delimiter = "%%"


def render_template(template: str, **values: str) -> str:
    """Returns `template` with its placeholders replaced.

    Raises:
        ConfigError: A placeholder is unknown.
    """
    try:
        return _Template(template).substitute(values)
    except (KeyError, ValueError) as error:
        raise ConfigError(f"Caddyfile: unknown placeholder:  {error}") from error


def origin_matchers(registration: RegistrationPolicy) -> str:
    """Returns the lines of a Caddy matcher for the web origins that may register; one match is enough.

    Raises:
        ConfigError: A web origin is invalid.
    """
    if registration.profile == "closed" or not registration.web_origins:
        return "\t\texpression `false`"
    for origin in registration.web_origins:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigError(f"registration.web_origins: '{origin}' is not an origin such as http://localhost:6274")
    return "\n".join(f"\t\theader Origin {origin}" for origin in registration.web_origins)


def redirect_help(registration: RegistrationPolicy) -> str:
    """Returns the help text for a rejected registration: the redirect URIs that are allowed."""
    loopback = "http on localhost, 127.0.0.1 or [::1], at any port, with a plain path"
    if registration.profile != "open-dev" or not registration.vendors:
        return f"1 to 10 redirect_uris, each {loopback}."
    vendors = ", ".join(name for name in registration.vendors if re.fullmatch(r"[A-Za-z0-9 ._-]+", name))
    return f"1 to 10 redirect_uris: each {loopback}; or each one of those of one vendor: {vendors}."


def as_json(document: Json) -> str:
    """Returns `document` as the text of a JSON file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
