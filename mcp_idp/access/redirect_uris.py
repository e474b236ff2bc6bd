"""Which redirect URIs a client may register, as patterns: this machine, and the vendors' exact URIs.

Keycloak matches a whole URI against each pattern; the anchors say so to a reader as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.access.registration_profiles import PROFILES

if TYPE_CHECKING:
    from mcp_idp.access.models import RegistrationPolicy

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")

# RFC 8252 section 7.3: http on loopback, any port, any path. The path is a short list of characters, so there is no
# room for a wildcard (Keycloak's `*`), a fragment, a user part (`localhost@evil`), a backslash or an escape; and a host
# such as `localhost.evil.example` goes on where only a port or a path may.
LOOPBACK_PATTERN = r"^http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$"
NOTHING = r"^$"


def redirect_patterns(registration: RegistrationPolicy) -> list[str]:
    """The patterns of a registration profile; a redirect URI must fit one of them."""
    admission = PROFILES[registration.profile]
    if not admission.initial_access_token:
        return [NOTHING]
    vendors = registration.vendors.values() if admission.vendors else ()
    return [LOOPBACK_PATTERN, *(exact_pattern(uri) for uris in vendors for uri in uris)]


def redirect_hosts(registration: RegistrationPolicy) -> list[str]:
    """The hosts of those redirect URIs, for the check that stands behind the patterns."""
    hosts = list(LOOPBACK_HOSTS)
    if PROFILES[registration.profile].vendors:
        hosts += [urlsplit(uri).hostname or "" for uris in registration.vendors.values() for uri in uris]
    return sorted(set(filter(None, hosts)))


def exact_pattern(uri: str) -> str:
    """A pattern that only `uri` fits. Every character a regular expression reads is escaped."""
    return "^" + re.sub(r"[^A-Za-z0-9:/_-]", lambda found: "\\" + found[0], uri) + "$"
