"""Determines what a realm's client policies reject, be they managed or not.

The analysis uses the current state that was read; it sends no requests.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import is_satisfied
from mcp_idp.cli.bootstrap.keycloak.resources.registration_policies import REJECT_ALL, TRUSTED_HOSTS_POLICY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState

_PASSWORD = "password"  # noqa: S105 - the grant's name (RFC 6749 section 4.3)
_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_CIBA = "oidc.ciba.grant.enabled"  # the client attribute that enables CIBA


class ClientPolicyAnalysis:
    """Determines what the enabled client policies of a realm reject.

    Args:
        actual: the current state of the realm.
    """

    def __init__(self, actual: CurrentState) -> None:
        self._profiles = {profile["name"]: profile for profile in actual.client_profiles}
        guard = (actual.policies.get(TRUSTED_HOSTS_POLICY) or {}).get("config")
        # If anonymous registration is disabled, only changes by clients that registered earlier matter.
        self._anonymous_condition = (
            "ByRegistrationAccessToken" if guard and is_satisfied(REJECT_ALL, guard) else "ByAnonymous"
        )
        self._policies = [policy for policy in actual.client_policies if policy.get("enabled")]

    @property
    def rejected_grants(self) -> frozenset[str]:
        """Grant types that are rejected for every client."""
        grants: set[str] = set()
        for policy in self._policies:
            condition = _sole_condition(policy, "grant-type")
            if condition is not None and "reject-request" in self._executors(policy):
                grants |= set(condition.get("grant_types") or [])
        return frozenset(grants)

    @property
    def pattern_checked_fields(self) -> frozenset[str]:
        """Fields of a registration, by Keycloak's names, whose URLs are checked against patterns."""
        fields: set[str] = set()
        for policy in self._policies:
            if self._binds_registration(policy):
                for configuration in self._executors(policy).get("secure-client-uris-pattern", []):
                    named = configuration.get("client-uri-fields")
                    fields |= set(named if isinstance(named, list) else [])
        return frozenset(fields)

    @property
    def blocks_front_channel_logout(self) -> bool:
        """Whether registrations with a front-channel logout URL, which Keycloak would show in a frame, are rejected."""
        return any(
            configuration.get("allow-front-channel-logout") is False
            for policy in self._policies
            if self._binds_registration(policy)
            for configuration in self._executors(policy).get("secure-logout", [])
        )

    def open_flows(self) -> Iterator[str]:
        """Yields descriptions of the flows, other than the authorization code flow, that no policy rejects."""
        for_all = {name for policy in self._policies if _binds_all(policy) for name in self._executors(policy)}
        if _PASSWORD not in self.rejected_grants and "reject-ropc-grant" not in for_all:
            yield "users' passwords"
        if "reject-implicit-grant" not in for_all:
            yield "the implicit flow"
        if _DEVICE not in self.rejected_grants:
            yield "device codes"
        if not any(self._rejects_ciba(policy) for policy in self._policies):
            yield "logins that it starts on other devices (CIBA)"

    def _rejects_ciba(self, policy: Object) -> bool:
        attributes = (_sole_condition(policy, "client-attributes") or {}).get("attributes")
        try:
            desired = json.loads(str(attributes))
        except ValueError:
            return False
        # The condition requires every listed attribute, so a further one would exempt clients without it.
        return desired == [{"key": _CIBA, "value": "true"}] and "reject-request" in self._executors(policy)

    def _binds_registration(self, policy: Object) -> bool:
        source = _sole_condition(policy, "client-updater-context")
        sources = set(source.get("update-client-source") or []) if source is not None else set()
        return _binds_all(policy) or self._anonymous_condition in sources

    def _executors(self, policy: Object) -> dict[str, list[Mapping[str, object]]]:
        found: dict[str, list[Mapping[str, object]]] = {}
        for name in policy.get("profiles") or []:
            for executor in self._profiles.get(name, {}).get("executors") or []:
                found.setdefault(executor["executor"], []).append(executor.get("configuration") or {})
        return found


def _binds_all(policy: Object) -> bool:
    return _sole_condition(policy, "any-client") is not None


def _sole_condition(policy: Object, kind: str) -> Mapping[str, list[str]] | None:
    """Returns the configuration of the policy's only condition if it is of this kind, else None.

    Policies with several conditions do not count, because a second condition may keep the policy from applying.
    """
    conditions = policy.get("conditions") or []
    if len(conditions) != 1 or conditions[0].get("condition") != kind:
        return None
    configuration: Mapping[str, list[str]] = conditions[0].get("configuration") or {}
    return configuration
