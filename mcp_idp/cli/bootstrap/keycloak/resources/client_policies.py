"""Client policies: rules for every client and for registrations, and support for client metadata documents.

Client metadata documents (OAuth Client ID Metadata Document, draft 01) let a client be identified by a URL. Keycloak
26.7.5 supports them experimentally: the server option `KC_FEATURES=cimd` announces the feature, and a client policy of
the realm enables it. Announcing it without the policy is worse than not announcing it: a client that finds it announced
uses it and ends at the page "Client not found".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_idp.access.redirect_uris import LOOPBACK_HOSTS
from mcp_idp.cli.bootstrap.changes import Change, field_diff, field_diffs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mcp_idp.access.models import RegistrationPolicy
    from mcp_idp.cli.bootstrap.changes import FieldDiff
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
    from mcp_idp.cli.bootstrap.keycloak.state.managed import RealmRecord


@dataclass(frozen=True, slots=True)
class ClientPolicies:
    """The managed client profiles and policies of a realm.

    Attributes:
        profiles: client profile representations.
        policies: client policy representations.
    """

    profiles: list[Object]
    policies: list[Object]


def without_condition_values(policy: Object, member: str, values: Collection[str]) -> Object:
    """Returns a policy with some values removed from a list that its conditions are configured with.

    Args:
        policy: a client policy representation; it is not modified.
        member: the list's name in the configuration, such as `grant_types`; conditions without it stay as they are.
        values: the values to remove.
    """
    conditions = []
    for condition in policy["conditions"]:
        configuration = dict(condition["configuration"])
        if member in configuration:
            configuration[member] = [value for value in configuration[member] if value not in values]
        conditions.append({**condition, "configuration": configuration})
    return {**policy, "conditions": conditions}


def without_grants(policy: Object, grants: Collection[str]) -> Object:
    """Returns a policy with grant types removed from its `grant-type` conditions.

    Args:
        policy: a client policy representation; it is not modified.
        grants: the grant types to remove, as `grant_types` names them.
    """
    return without_condition_values(policy, "grant_types", grants)


def client_policy_changes(desired: ClientPolicies, recorded: RealmRecord, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes to the realm's lists of client profiles and policies.

    A write replaces a whole list, so unmanaged entries are written back unchanged. Profiles are written first, because
    Keycloak rejects a policy that references a missing profile; profiles that are no longer needed are removed last.

    Args:
        desired: the desired profiles and policies.
        recorded: names of the managed ones so far.
        actual: the current state.
    """
    gone = recorded.profiles - {profile["name"] for profile in desired.profiles}
    in_use = merge(desired.profiles, actual.client_profiles, frozenset())
    yield from _set("profiles", desired.profiles, actual.client_profiles, in_use)
    dropped = recorded.policies - {policy["name"] for policy in desired.policies}
    policies = merge(desired.policies, actual.client_policies, dropped)
    yield from _set("policies", desired.policies, actual.client_policies, policies)
    yield from _set("profiles", [], in_use, merge([], in_use, gone))


def merge(desired: list[Object], there: list[Object], dropped: frozenset[str]) -> list[Object]:
    """Merges managed entries into a list of client profiles or policies.

    Args:
        desired: the managed entries.
        there: the realm's current entries.
        dropped: names of entries to remove.

    Returns:
        The current entries without `dropped`, with the managed ones replaced in place and missing ones appended.
    """
    managed = {entry["name"]: entry for entry in desired}
    retained = [managed.pop(entry["name"], entry) for entry in there if entry["name"] not in dropped]
    return [*retained, *managed.values()]


def _set(kind: str, desired: list[Object], there: list[Object], merged: list[Object]) -> Iterator[Change]:
    if merged == there:
        return
    names = [entry["name"] for entry in desired if entry not in there]
    gone = [entry["name"] for entry in there if entry["name"] not in {remaining["name"] for remaining in merged}]
    parts = [f"set {', '.join(names)}"] * bool(names) + [f"remove {', '.join(gone)}"] * bool(gone)
    fields = tuple(_fields(desired, there, gone))
    path = ("client-policies", kind)
    yield Change(f"client {kind}", " and ".join(parts), "PUT", path, {kind: merged}, fields=fields)


def _fields(desired: list[Object], there: list[Object], gone: list[str]) -> Iterator[FieldDiff]:
    before = {entry["name"]: entry for entry in there}
    for entry in desired:
        yield from field_diffs({entry["name"]: entry}, {entry["name"]: before.get(entry["name"])})
    yield from (field_diff(name, "there", None) for name in gone)


ANNOUNCED = "client_id_metadata_document_supported"  # member of the provider metadata
_NAME = "mcp-documents"


def cimd_profile(registration: RegistrationPolicy, client_uri_hosts: tuple[str, ...]) -> Object:
    """Builds the client profile that restricts client metadata documents.

    Args:
        registration: the registration policy of the access file.
        client_uri_hosts: hosts that known clients name as their home page.

    Returns:
        The profile. URLs in a document may only have the hosts listed in the access file, loopback hosts and
        `client_uri_hosts`.
    """
    hosts = {*registration.document_domains, *LOOPBACK_HOSTS, *client_uri_hosts}
    configuration = {
        "cimd-allow-http-scheme": False,
        # Keycloak fetches the document: this list alone prevents requests to arbitrary hosts from inside its network.
        "cimd-allow-permitted-domains": sorted(hosts),
        # Redirect URIs are on loopback, while the document is on a public host.
        "cimd-restrict-same-domain": False,
        "cimd-required-properties": ["client_id", "client_name", "redirect_uris"],
        "only-allow-confidential-client": False,
    }
    executor = {"executor": "client-id-metadata-document", "configuration": configuration}
    return {
        "name": _NAME,
        "description": "Clients known by a metadata document on a listed host",
        "executors": [executor],
    }


def without_anonymous(policy: Object) -> Object:
    """Returns a policy that no longer applies to anonymous registrations.

    Keycloak treats a client with a metadata document as an anonymous registration, and its pattern executor rejects
    every document with "not allowed input format" (seen on 26.7.5). Anonymous registration itself is disabled by the
    registration policies.
    """
    return without_condition_values(policy, "update-client-source", ("ByAnonymous",))


def cimd_policy(registration: RegistrationPolicy) -> Object:
    """Builds the client policy that accepts a client id as the URL of a client metadata document.

    It applies to https URLs on a host that the access file lists.
    """
    configuration = {
        "client-id-uri-scheme": ["https"],
        "client-id-uri-allow-permitted-domains": sorted(registration.document_domains),
    }
    return {
        "name": _NAME,
        "description": "Client ids that are URLs on a listed host",
        "enabled": True,
        "conditions": [{"condition": "client-id-uri", "configuration": configuration}],
        "profiles": [_NAME],
    }
