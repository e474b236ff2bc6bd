"""Client registration policies: who may register a client, and what a registered client may have.

Keycloak checks a registration (RFC 7591) with policy components, one list for anonymous requests and one for requests
with an initial access token. The bootstrap manages one component of each kind; further ones added by an administrator
stay, because they can only restrict more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mcp_idp.access.redirect_uris import redirect_hosts
from mcp_idp.access.registration_profiles import PROFILES
from mcp_idp.cli.bootstrap.changes import Change, IdRef, Json, field_diffs, is_satisfied
from mcp_idp.cli.bootstrap.keycloak.lookups import REGISTRATION_POLICY
from mcp_idp.cli.bootstrap.keycloak.resources.client_scopes import OFFLINE_ACCESS, optional_scopes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.changes import Action
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState

Config = dict[str, list[str]]

ALLOWED_SCOPES = "allowed-client-scopes"
TRUSTED_HOSTS_POLICY = "trusted-hosts/anonymous"  # decides whether anonymous clients may register at all

# The sender must match a trusted host and none is listed, so every registration is rejected.
REJECT_ALL: Config = {
    "trusted-hosts": [],
    "host-sending-registration-request-must-match": ["true"],
    "client-uris-must-match": ["true"],
}
_NAMES = {
    "trusted-hosts": "Trusted Hosts",
    "allowed-client-templates": "Allowed Client Scopes",
    "allowed-protocol-mappers": "Allowed Protocol Mapper Types",
    "consent-required": "Consent Required",
    "scope": "Full Scope Disabled",
    "max-clients": "Max Clients Limit",
    "registration-web-origins": "Allowed Registration Web Origins",
}


def desired_policies(
    access: AccessPolicy, client_uri_hosts: tuple[str, ...], scopes_of_others: Collection[str] = ()
) -> dict[str, Config]:
    """Returns the policies that the registration profile requires.

    Args:
        access: the access file.
        client_uri_hosts: hosts that known clients name as their home page (RFC 7591 `client_uri`).
        scopes_of_others: scopes of other resources, which a client may request too.

    Returns:
        Configurations by "provider/subtype"; `TRUSTED_HOSTS_POLICY` is the last one.
    """
    registration = access.registration
    profile = PROFILES[registration.profile]
    allowed: Config = {
        "trusted-hosts": sorted({*redirect_hosts(registration), *client_uri_hosts}),
        # A client with loopback redirect URIs registers from whatever address the user's machine has.
        "host-sending-registration-request-must-match": ["false"],
        "client-uris-must-match": ["true"],
    }
    maximum = str(registration.max_clients)
    return {
        **_common_policies("anonymous", access, scopes_of_others),
        "max-clients/anonymous": {"max-clients": [maximum]},
        "registration-web-origins/anonymous": {
            "web-origins": list(registration.web_origins) if profile.anonymous else []
        },
        **_common_policies("authenticated", access, scopes_of_others),
        # In a closed realm an initial access token is useless too: the maximum number of clients is 0.
        "max-clients/authenticated": {"max-clients": [maximum if profile.initial_access_token else "0"]},
        "trusted-hosts/authenticated": allowed if profile.initial_access_token else REJECT_ALL,
        TRUSTED_HOSTS_POLICY: allowed if profile.anonymous else REJECT_ALL,
    }


def _common_policies(subtype: str, access: AccessPolicy, scopes_of_others: Collection[str]) -> dict[str, Config]:
    return {
        # Explicitly none. The default list has mappers that write any claim from an attribute that the user may edit:
        # with one, a client can forge another user's `sub`.
        f"allowed-protocol-mappers/{subtype}": {"allowed-protocol-mapper-types": []},
        # `openid` is not a client scope, but a registration with it is rejected unless it is listed.
        f"allowed-client-templates/{subtype}": {
            "allow-default-scopes": ["true"],
            ALLOWED_SCOPES: ["openid", *optional_scopes(access), *sorted(scopes_of_others)],
        },
        f"consent-required/{subtype}": {},
        f"scope/{subtype}": {},  # "Full Scope Disabled"
    }


def close_registration(desired: dict[str, Config], actual: CurrentState) -> Iterator[Change]:
    """Yields the first change of an apply: it disables anonymous registration, temporarily or as the profile requires.

    It yields nothing if the realm does not exist yet or anonymous registration is already disabled.
    """
    before = _config(actual, TRUSTED_HOSTS_POLICY)
    if not actual.realm or is_satisfied(REJECT_ALL, before):
        return
    if desired[TRUSTED_HOSTS_POLICY] == REJECT_ALL:
        change = Change("registration", "disabled", "PUT", (), fields=field_diffs(dict(REJECT_ALL), before))
    else:
        change = Change("registration", "disabled during apply", "PUT", (), action="step")
    yield _upsert(TRUSTED_HOSTS_POLICY, REJECT_ALL, actual, change)


def policy_changes(desired: dict[str, Config], actual: CurrentState) -> Iterator[Change]:
    """Yields the changes to all policies except `TRUSTED_HOSTS_POLICY`."""
    for name, config in desired.items():
        if name != TRUSTED_HOSTS_POLICY:
            yield from _policy_changes(name, config, actual)


def allowed_scope_changes(scopes: Collection[str], actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that let clients register with exactly these scopes and Keycloak's own two.

    They are all that a resource changes that does not own the registration policies; missing ones are for their owner.

    Args:
        scopes: names of the scopes of all resources.
        actual: the current state.
    """
    for name in ("allowed-client-templates/anonymous", "allowed-client-templates/authenticated"):
        if name in actual.policies:
            yield from _policy_changes(name, {ALLOWED_SCOPES: ["openid", OFFLINE_ACCESS, *sorted(scopes)]}, actual)


def policy_differences(desired: dict[str, Config], actual: CurrentState) -> Iterator[Change]:
    """Yields how the policies differ from those of a resource that does not own them, apart from the scopes.

    The changes are for output; nothing writes them.
    """
    for name, config in desired.items():
        own: Config = {member: value for member, value in config.items() if member != ALLOWED_SCOPES}
        yield from _policy_changes(name, own, actual)


def _policy_changes(name: str, config: Config, actual: CurrentState) -> Iterator[Change]:
    fields = field_diffs(dict(config), _config(actual, name))
    if name in actual.policies and not fields:
        return
    what = f"set {', '.join(field.name for field in fields)}" if name in actual.policies else "create"
    yield _upsert(name, config, actual, Change(f"registration policy {name}", what, "PUT", (), fields=fields))


def open_registration(desired: dict[str, Config], actual: CurrentState, *, closed: bool) -> Iterator[Change]:
    """Yields the last change of an apply: it sets `TRUSTED_HOSTS_POLICY` as the registration profile requires.

    Args:
        desired: the policies, from `desired_policies`.
        actual: the current state.
        closed: whether an earlier change of this apply disabled anonymous registration.
    """
    before = REJECT_ALL if closed else _config(actual, TRUSTED_HOSTS_POLICY)
    if TRUSTED_HOSTS_POLICY not in actual.policies and not closed and actual.realm:
        yield from _policy_changes(TRUSTED_HOSTS_POLICY, desired[TRUSTED_HOSTS_POLICY], actual)
    elif not is_satisfied(desired[TRUSTED_HOSTS_POLICY], before):
        fields = field_diffs(dict(desired[TRUSTED_HOSTS_POLICY]), _config(actual, TRUSTED_HOSTS_POLICY))
        # A profile without anonymous registration gets here only if the policy was changed by hand.
        what = f"allowed redirect hosts: {', '.join(desired[TRUSTED_HOSTS_POLICY]['trusted-hosts']) or 'none'}"
        path = ("components", IdRef("registration-policy", TRUSTED_HOSTS_POLICY))
        action: Action = "change" if fields else "step"
        body = _component(TRUSTED_HOSTS_POLICY, desired[TRUSTED_HOSTS_POLICY])
        yield Change("registration", what, "PUT", path, body, action=action, fields=fields)


def _upsert(name: str, config: Config, actual: CurrentState, change: Change) -> Change:
    """Returns `change` with the request that creates or updates the policy `name` with this `config`."""
    found = actual.policies.get(name)
    body = _component(name, config)
    if found is None:
        action: Action = "create" if change.action == "change" else change.action
        return replace(change, method="POST", path=("components",), body=body, action=action)
    # Keycloak keeps members of the configuration that a write omits; an empty list removes a member.
    return replace(change, path=("components", found["id"]), body={**body, "id": found["id"]})


def _component(name: str, config: Config) -> Json:
    provider, _, subtype = name.partition("/")
    return {
        "name": _NAMES[provider],
        "providerId": provider,
        "providerType": REGISTRATION_POLICY,
        "subType": subtype,
        "config": config,
    }


def _config(actual: CurrentState, name: str) -> dict[str, object]:
    return dict(actual.policies.get(name, {}).get("config") or {})
