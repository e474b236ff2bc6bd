"""The redirect URIs that a client may register, as regular expressions: loopback URIs and the exact URIs of vendors.

Keycloak matches the whole URI against each pattern; the patterns are anchored anyway, to make that explicit.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.access.registration_profiles import PROFILES

if TYPE_CHECKING:
    from mcp_idp.access.models import RegistrationPolicy

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")

# RFC 8252 section 7.3: http on loopback, any port, any path. The few characters allowed in the path exclude a wildcard
# (Keycloak's `*`), a fragment, user information (`localhost@evil`), a backslash and an escape. A host such as
# `localhost.evil.example` does not match, because only a port or a path may follow the host.
LOOPBACK_PATTERN = r"^http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$"
NOTHING = r"^$"


def redirect_patterns(registration: RegistrationPolicy) -> list[str]:
    """Returns the patterns of a registration profile; a redirect URI must match one of them.

    For a profile under which no client may register, the only pattern is `NOTHING`, which no URI matches.
    """
    rules = PROFILES[registration.profile]
    if not rules.initial_access_token:
        return [NOTHING]
    vendors = registration.vendors.values() if rules.vendors else ()
    return [LOOPBACK_PATTERN, *(exact_pattern(uri) for uris in vendors for uri in uris)]


def redirect_hosts(registration: RegistrationPolicy) -> list[str]:
    """Returns the hosts of the allowed redirect URIs, sorted, for a second check independent of the patterns."""
    hosts = list(LOOPBACK_HOSTS)
    if PROFILES[registration.profile].vendors:
        hosts += [urlsplit(uri).hostname or "" for uris in registration.vendors.values() for uri in uris]
    return sorted(set(filter(None, hosts)))


def exact_pattern(uri: str) -> str:
    """Returns a pattern that matches only `uri`, with every special character of regular expressions escaped."""
    return "^" + re.sub(r"[^A-Za-z0-9:/_-]", lambda found: "\\" + found[0], uri) + "$"
