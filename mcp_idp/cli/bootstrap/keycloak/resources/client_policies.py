"""Client policies: what every client must do, and what one that registers itself may ask for.

Clients known by a metadata document at their own URL (OAuth Client ID Metadata Document, draft 01).

Keycloak 26.7.5 has it as an experimental feature: the server's switch (`KC_FEATURES=cimd`) announces it, a client
policy of the realm makes it work. One without the other is worse than neither: a client that finds it announced uses
it, and without the policy ends at the page "Client not found".
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


@dataclass(frozen=True, slots=True)
class ClientPolicies:
    """The client profiles and policies that we own."""

    profiles: list[Object]
    policies: list[Object]


def without_grants(policy: Object, allowed: Collection[str]) -> Object:
    """The policy, no longer about the grants that are `allowed` (as `grant_types` names them)."""
    conditions = []
    for condition in policy["conditions"]:
        configuration = dict(condition["configuration"])
        if "grant_types" in configuration:
            configuration["grant_types"] = [grant for grant in configuration["grant_types"] if grant not in allowed]
        conditions.append({**condition, "configuration": configuration})
    return {**policy, "conditions": conditions}


def client_policy_changes(desired: ClientPolicies, actual: CurrentState) -> Iterator[Change]:
    """What the realm's two lists lack. Others' entries stay: a write replaces a list, so they are written again.

    Profiles first: a policy that names one that is not there is refused. So a profile that goes, goes last.
    """
    gone = actual.managed_state.profiles - {profile["name"] for profile in desired.profiles}
    in_use = merge(desired.profiles, actual.client_profiles, frozenset())
    yield from _set("profiles", desired.profiles, actual.client_profiles, in_use)
    dropped = actual.managed_state.policies - {policy["name"] for policy in desired.policies}
    policies = merge(desired.policies, actual.client_policies, dropped)
    yield from _set("policies", desired.policies, actual.client_policies, policies)
    yield from _set("profiles", [], in_use, merge([], in_use, gone))


def merge(desired: list[Object], there: list[Object], dropped: frozenset[str]) -> list[Object]:
    """`there` without the `dropped`, with ours put right in their places and the missing ones at the end."""
    ours = {entry["name"]: entry for entry in desired}
    retained = [ours.pop(entry["name"], entry) for entry in there if entry["name"] not in dropped]
    return [*retained, *ours.values()]


def _set(kind: str, desired: list[Object], there: list[Object], merged: list[Object]) -> Iterator[Change]:
    if merged == there:
        return
    names = [entry["name"] for entry in desired if entry not in there]
    gone = [entry["name"] for entry in there if entry["name"] not in {entry_kept["name"] for entry_kept in merged}]
    parts = [f"set {', '.join(names)}"] * bool(names) + [f"remove {', '.join(gone)}"] * bool(gone)
    fields = tuple(_fields(desired, there, gone))
    path = ("client-policies", kind)
    yield Change(f"client {kind}", " and ".join(parts), "PUT", path, {kind: merged}, fields=fields)


def _fields(desired: list[Object], there: list[Object], gone: list[str]) -> Iterator[FieldDiff]:
    before = {entry["name"]: entry for entry in there}
    for entry in desired:
        yield from field_diffs({entry["name"]: entry}, {entry["name"]: before.get(entry["name"])})
    yield from (field_diff(name, "there", None) for name in gone)


ANNOUNCED = "client_id_metadata_document_supported"  # in the provider's metadata
_NAME = "mcp-documents"


def cimd_profile(registration: RegistrationPolicy, client_uri_hosts: tuple[str, ...]) -> Object:
    """What a document may say: the hosts it may name are the listed ones, this machine and known home pages."""
    hosts = {*registration.document_domains, *LOOPBACK_HOSTS, *client_uri_hosts}
    configuration = {
        "cimd-allow-http-scheme": False,
        # The only thing between a client's URL and a request from inside this network.
        "cimd-allow-permitted-domains": sorted(hosts),
        # A client's redirects are on this machine, its document is not.
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
    """The policy as far as it binds others than anonymous callers.

    To Keycloak whoever brings a document is one, and its pattern executor refuses every document with "not allowed
    input format" (seen on 26.7.5). Anonymous registration itself is shut by the registration policies.
    """
    conditions = []
    for condition in policy["conditions"]:
        configuration = dict(condition["configuration"])
        if "update-client-source" in configuration:
            configuration["update-client-source"] = [
                source for source in configuration["update-client-source"] if source != "ByAnonymous"
            ]
        conditions.append({**condition, "configuration": configuration})
    return {**policy, "conditions": conditions}


def cimd_policy(registration: RegistrationPolicy) -> Object:
    """Which client ids are taken as the address of such a document."""
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
