"""What a client program starts as the browser: `python -m tests.support.login_program URL`.

It logs in as LOGIN_USER at the authorization URL, consents, and follows the redirect to the waiting program. If the
provider shows a page instead, its status and text are printed.
"""

from __future__ import annotations

import os
import re
import sys
from urllib.parse import urlencode, urlsplit

import httpx

from mcp_idp.util.urls import is_loopback
from tests.support.form_user import FormUser


def main(url: str) -> int:
    """Logs in at `url`; returns 0 at the redirect URI, 1 at a page of the provider, 2 for a URL elsewhere."""
    if not is_loopback(urlsplit(url).hostname or ""):
        return 2
    back = FormUser(os.environ["LOGIN_USER"], (url,)).go(url)
    if "to" not in back:
        text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", str(back["page"]), flags=re.DOTALL)
        sys.stdout.write(f"{back['status']} {' '.join(text.split())}\n")
        return 1
    to = back.pop("to")
    # Some programs open the browser before they listen: retries wait 0.5 s, 1 s, 2 s …
    with httpx.Client(transport=httpx.HTTPTransport(retries=6), timeout=60) as http:
        http.get(f"{to}?{urlencode(back)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
