"""Normalizes a registration document: drops what the realm cannot use, refuses what is dangerous.

Pure functions. `normalize` applies the rules of `RULES` to the members of the document. A member without a rule is
dropped (RFC 7591 section 2: a server ignores metadata that it does not understand), so nothing unknown reaches the
provider. The provider judges the result again: whatever `normalize` returns could have been sent to it directly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp_idp.access.redirect_uris import redirect_hosts, redirect_patterns
from mcp_idp.registrar.errors import InvalidMetadata, InvalidRedirectUri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mcp_idp.access.models import RegistrationPolicy

    Rule = Callable[[str, Any, "Limits"], Any]

DROP = object()
"""The result of a rule for a member that is not forwarded."""

MAX_REDIRECT_URIS = 20  # VS Code registers six; Keycloak takes 10,000
MAX_URI_CHARACTERS = 255  # a column of Keycloak's database
MAX_NAME_UNITS = 255  # the same, in UTF-16 code units: 128 emoji in a name end Keycloak's transaction with 500
MAX_LIST_ENTRIES = 20
GRANTS = frozenset({"authorization_code", "refresh_token"})
RESPONSE_TYPES = frozenset({"code"})

# RFC 8252 section 7.3. The patterns of `redirect_uris` have accepted the URI before.
_LOOPBACK_WITH_PORT = re.compile(r"(http://(?:localhost|127\.0\.0\.1|\[::1\])):[0-9]{1,5}((?:/.*)?)", re.ASCII)
_PLAIN_URL = re.compile(r"https?://([a-z0-9.-]+|\[::1\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/+-]*)?", re.ASCII)
_CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)))


@dataclass(frozen=True, slots=True)
class Limits:
    """What the registration profile allows.

    Attributes:
        redirect_uris: the patterns of which a redirect URI must match one.
        home_hosts: the hosts that `client_uri` may have.
    """

    redirect_uris: tuple[re.Pattern[str], ...]
    home_hosts: frozenset[str]

    @classmethod
    def of(cls, registration: RegistrationPolicy, home_hosts: Iterable[str]) -> Limits:
        """Returns the limits of the access file's registration profile.

        Args:
            registration: the block `registration` of the access file.
            home_hosts: hosts of `client_uri` that are allowed in addition to those of the redirect URIs.
        """
        patterns = tuple(re.compile(pattern) for pattern in redirect_patterns(registration))
        return cls(patterns, frozenset({*redirect_hosts(registration), *home_hosts}))

    def allows(self, uri: str) -> bool:
        """Whether a client may register this redirect URI."""
        return any(pattern.fullmatch(uri) for pattern in self.redirect_uris)


def normalize(document: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """Returns the document to forward.

    Args:
        document: the client's registration (RFC 7591 section 2). A member that is null counts as absent.
        limits: what the registration profile allows.

    Raises:
        InvalidRedirectUri, InvalidMetadata: the registration is refused; the text names the member.
    """
    if document.get("redirect_uris") is None:
        raise InvalidRedirectUri("redirect_uris: send a list of at least one URI")
    forwarded = {}
    for name, rule in RULES.items():
        value = document.get(name)
        if value is not None and (kept := rule(name, value, limits)) is not DROP:
            forwarded[name] = kept
    return forwarded


def dropped_members(document: Mapping[str, Any], forwarded: Mapping[str, Any]) -> list[str]:
    """Returns the names of the known members that were not forwarded, and how many unknown ones, for the log."""
    known = [name for name in RULES if document.get(name) is not None and name not in forwarded]
    unknown = len([name for name in document if name not in RULES])
    return [*known, *([f"{unknown} unknown"] if unknown else [])]


def add_portless(uris: Iterable[str]) -> list[str]:
    """Returns the URIs, followed by each http loopback URI among them without its port, each once.

    With a URI without a port, Keycloak accepts any port at the login (RFC 8252 section 7.3). The client's own URIs
    stay, because Keycloak derives the web origins of a page from them.
    """
    own = list(uris)
    portless = [found[1] + found[2] for uri in own if (found := _LOOPBACK_WITH_PORT.fullmatch(uri))]
    return list(dict.fromkeys([*own, *portless]))


def _redirect_uris(name: str, value: Any, limits: Limits) -> list[str]:
    return add_portless(_allowed_uris(name, value, limits))


def _post_logout_uris(name: str, value: Any, limits: Limits) -> list[str]:
    return _allowed_uris(name, value, limits)


def _allowed_uris(name: str, value: Any, limits: Limits) -> list[str]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_REDIRECT_URIS:
        raise InvalidRedirectUri(f"{name}: send a list of 1 to {MAX_REDIRECT_URIS} URIs")
    for index, uri in enumerate(value):
        if not isinstance(uri, str) or len(uri) > MAX_URI_CHARACTERS or not limits.allows(uri):
            raise InvalidRedirectUri(
                f"{name}[{index}]: this provider allows http URIs on loopback (localhost, 127.0.0.1, [::1]; any port, "
                "a plain path) and those that its administrator listed; clients with others need a client_id from there"
            )
    return value


def _grant_types(name: str, value: Any, limits: Limits) -> list[str]:  # noqa: ARG001 - a rule's signature
    kept = [grant for grant in _texts(name, value) if grant in GRANTS]
    if "authorization_code" not in kept:
        raise InvalidMetadata(f"{name}: must contain authorization_code, the only grant that begins a login here")
    return kept


def _response_types(name: str, value: Any, limits: Limits) -> list[str]:  # noqa: ARG001 - a rule's signature
    kept = [kind for kind in _texts(name, value) if kind in RESPONSE_TYPES]
    if not kept:
        raise InvalidMetadata(f"{name}: must contain code, the only response type here")
    return kept


def _client_name(name: str, value: Any, limits: Limits) -> str:  # noqa: ARG001 - a rule's signature
    """Cuts the name to `MAX_NAME_UNITS`, never inside a character, and drops control characters."""
    text = _text(name, value).translate(_CONTROLS)
    return text.encode("utf-16-le")[: 2 * MAX_NAME_UNITS].decode("utf-16-le", errors="ignore")


def _client_uri(name: str, value: Any, limits: Limits) -> Any:
    """Keeps the home page only if its host is known: the consent page shows it as a link."""
    found = _PLAIN_URL.fullmatch(_text(name, value))
    return value if found and len(value) <= MAX_URI_CHARACTERS and found[1] in limits.home_hosts else DROP


def _unchanged(name: str, value: Any, limits: Limits) -> Any:  # noqa: ARG001 - a rule's signature
    return value


def _text_unchanged(name: str, value: Any, limits: Limits) -> str:  # noqa: ARG001 - a rule's signature
    text = _text(name, value)
    if len(text) > MAX_URI_CHARACTERS:
        raise InvalidMetadata(f"{name}: send at most {MAX_URI_CHARACTERS} characters")
    return text


def _dropped(name: str, value: Any, limits: Limits) -> object:  # noqa: ARG001 - a rule's signature
    return DROP


def _refused(name: str, value: Any, limits: Limits) -> Any:  # noqa: ARG001 - a rule's signature
    raise InvalidMetadata(f"{name}: this provider accepts no client with it; leave it out")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidMetadata(f"{name}: send a text")
    return value


def _texts(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_LIST_ENTRIES or not all(isinstance(one, str) for one in value):
        raise InvalidMetadata(f"{name}: send a list of at most {MAX_LIST_ENTRIES} texts")
    return list(dict.fromkeys(value))


# Members that Keycloak 26.7.5 knows and that need no rule of their own here: its client policies and registration
# policies judge them. What they name is no address.
_JUDGED_BY_THE_PROVIDER = (
    "contacts",
    "jwks",
    "subject_type",
    "id_token_signed_response_alg",
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_signed_response_alg",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "request_object_signing_alg",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
    "default_max_age",
    "require_auth_time",
    "default_acr_values",
    "frontchannel_logout_session_required",
    "backchannel_logout_session_required",
    "backchannel_token_delivery_mode",
    "backchannel_authentication_request_signing_alg",
    "tls_client_certificate_bound_access_tokens",
    "tls_client_auth_subject_dn",
    "authorization_signed_response_alg",
    "authorization_encrypted_response_alg",
    "authorization_encrypted_response_enc",
    "require_pushed_authorization_requests",
    "dpop_bound_access_tokens",
)
# Addresses that the provider would fetch, call or show in a frame, and an id that the client would choose.
_REFUSED = (
    "client_id",
    "jwks_uri",
    "request_uris",
    "sector_identifier_uri",
    "initiate_login_uri",
    "frontchannel_logout_uri",
    "backchannel_logout_uri",
    "backchannel_client_notification_endpoint",
)
_DROPPED = (
    "scope",  # Keycloak never grants a client more than its registration named; without it, roles and consent decide
    "logo_uri",  # these three are shown on the consent page, where they could imitate another program
    "tos_uri",
    "policy_uri",
)
RULES: Mapping[str, Rule] = {
    "redirect_uris": _redirect_uris,
    "post_logout_redirect_uris": _post_logout_uris,
    "grant_types": _grant_types,
    "response_types": _response_types,
    "client_name": _client_name,
    "client_uri": _client_uri,
    "token_endpoint_auth_method": _text_unchanged,
    "token_endpoint_auth_signing_alg": _text_unchanged,
    "application_type": _text_unchanged,
    "software_id": _text_unchanged,
    "software_version": _text_unchanged,
    **dict.fromkeys(_JUDGED_BY_THE_PROVIDER, _unchanged),
    **dict.fromkeys(_REFUSED, _refused),
    **dict.fromkeys(_DROPPED, _dropped),
}
"""The rule of each known member, in the order of evaluation."""
