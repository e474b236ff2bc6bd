"""What mends a refused registration, by the words it was refused with."""

from __future__ import annotations

# The first that fits counts. The words are those of Keycloak 26.
_HINTS = {
    "not permitted to use specified clientscope": (
        "Keycloak, policies Allowed Client Scopes: list the scopes that the server asks for, in both the anonymous and "
        "the authenticated one"
    ),
    "host not trusted": (
        "Keycloak, policy Trusted Hosts: switch 'Host Sending Client Registration Request Must Match' off, keep "
        "'Client URIs Must Match' on, and list the hosts of the redirect URIs"
    ),
    "trusted host": "Keycloak, policy Trusted Hosts: list the host of its redirect (and home page)",
    "max clients": "Keycloak, policy Max Clients Limit: raise it, or remove clients that nobody uses",
    "invalid origin": "Keycloak, policy Allowed Registration Web Origins: list the origin of the page",
    "https required": "reach the provider by https, or set the realm's sslRequired to external",
}
_BOOTSTRAP = "or let the bootstrap set it: registration.profile in access.yaml, then scripts/bootstrap_idp.py apply"


def advice(reason: str, *, keycloak: bool) -> str:
    """What to do about a registration that was refused with `reason`."""
    hint = next((hint for words, hint in _HINTS.items() if words in reason.lower()), None)
    if hint is None:
        hint = "the provider's registration policy decides; or give people a client id by hand"
    return f"{hint}; {_BOOTSTRAP}" if keycloak else hint
