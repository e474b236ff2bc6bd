"""What an MCP client sends: its registration, its search for metadata, its authorization request."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mcp_idp.oauth.discovery import well_known_urls

if TYPE_CHECKING:
    from collections.abc import Mapping


class Evidence(StrEnum):
    """How a client's requests are known."""

    RAN = "ran"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Basis:
    """How a client's requests are known.

    Attributes:
        evidence: Whether the program was run.
        date: The day of the recording, or on which the source was read.
    """

    evidence: Evidence
    date: str

    def __str__(self) -> str:
        """Returns it for messages: `ran, 30 November 2026`."""
        return f"{self.evidence.value}, {self.date}"


class Scopes(StrEnum):
    """Which scopes a client sends in a request."""

    CHALLENGE = "those of the challenge"
    LISTED = "all that the provider lists"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientProfile:
    """The requests of one MCP client.

    Attributes:
        key: Its name on the command line.
        name: The common name of the program.
        version: The version that was run or read, or "".
        basis: How its requests are known.
        client_name: The `client_name` that it registers; "" if it sends none.
        redirect_uris: The redirect URIs that it registers; ports of loopback URIs are examples.
        login_redirects: Redirect URIs of later logins with the same registration; empty if it uses the first one.
        registers_scopes: The scopes that it registers.
        requests_scopes: The scopes of its authorization request.
        adds_offline_access: Whether it adds `offline_access` to both where the provider lists it.
        grants: The `grant_types` that it registers; empty if it sends none.
        optional_grants: Further ones that it registers where the provider lists them.
        auth_method: Its `token_endpoint_auth_method`; "" if it sends none.
        auth_method_without_none: The method at a provider that does not list "none"; "" if the same.
        members: Further members of its registration.
        sends_response_types: Whether it registers `response_types`.
        from_browser: Whether its requests come from a web page, with an Origin header.
        hosted: Whether it runs on its vendor's machines.
        reads_metadata_at_origin: Whether it looks for the provider's metadata at the origin of the issuer only.
        requires_iss: Whether it rejects an authorization response without `iss` (RFC 9207).
        sends_protocol_version: Whether its requests in a session have the header MCP-Protocol-Version.
        is_stateless: Whether it begins with `server/discover` (MCP 2026-07-28) and not with `initialize`.
    """

    key: str
    name: str
    version: str
    basis: Basis
    client_name: str
    redirect_uris: tuple[str, ...]
    login_redirects: tuple[str, ...] = ()
    registers_scopes: Scopes = Scopes.CHALLENGE
    requests_scopes: Scopes = Scopes.CHALLENGE
    adds_offline_access: bool = False
    grants: tuple[str, ...] = ("authorization_code", "refresh_token")
    optional_grants: tuple[str, ...] = ()
    auth_method: str = "none"
    auth_method_without_none: str = ""
    members: Mapping[str, Any] = field(default_factory=dict)
    sends_response_types: bool = True
    from_browser: bool = False
    hosted: bool = False
    reads_metadata_at_origin: bool = False
    requires_iss: bool = False
    sends_protocol_version: bool = True
    is_stateless: bool = False

    @property
    def label(self) -> str:
        """The name with the version, for messages."""
        return f"{self.name} {self.version}".strip()

    def registration(self, scopes: tuple[str, ...], provider: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the client metadata that it sends to the registration endpoint (RFC 7591 section 2).

        Args:
            scopes: The scopes of the server's challenge.
            provider: The provider's metadata.
        """
        grants = [*self.grants, *(name for name in self.optional_grants if _lists(provider, "grant_types", name))]
        without_none = self.auth_method_without_none and not _lists(provider, "token_endpoint_auth_methods", "none")
        document: dict[str, Any] = {
            "client_name": self.client_name,
            "redirect_uris": list(self.redirect_uris),
            "grant_types": grants,
            "response_types": ["code"] if self.sends_response_types else [],
            "token_endpoint_auth_method": self.auth_method_without_none if without_none else self.auth_method,
            "scope": self._scope(self.registers_scopes, scopes, provider),
            **self.members,
        }
        return {name: value for name, value in document.items() if value}

    def authorization_scope(self, scopes: tuple[str, ...], provider: Mapping[str, Any]) -> str:
        """Returns the `scope` of its authorization request; "" if it sends none.

        Args:
            scopes: The scopes of the server's challenge.
            provider: The provider's metadata.
        """
        return self._scope(self.requests_scopes, scopes, provider)

    def metadata_urls(self, issuer: str) -> tuple[str, ...]:
        """Returns the URLs at which it looks for the metadata of `issuer`, in its order."""
        parts = urlsplit(issuer)
        return well_known_urls(f"{parts.scheme}://{parts.netloc}" if self.reads_metadata_at_origin else issuer)

    def _scope(self, kind: Scopes, scopes: tuple[str, ...], provider: Mapping[str, Any]) -> str:
        if kind is Scopes.NONE:
            return ""
        listed = provider.get("scopes_supported")
        names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
        named = list(names) if kind is Scopes.LISTED else list(scopes)
        if self.adds_offline_access and "offline_access" in names:
            named.append("offline_access")
        return " ".join(dict.fromkeys(named))


def _lists(provider: Mapping[str, Any], kind: str, name: str) -> bool:
    listed = provider.get(f"{kind}_supported")
    return isinstance(listed, list) and name in listed
