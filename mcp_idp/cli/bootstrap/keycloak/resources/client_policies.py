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
from mcp_idp.cli.bootstrap.changes import Change, field_of, fields_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mcp_idp.access.models import Registration
    from mcp_idp.cli.bootstrap.changes import Field
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import Actual


@dataclass(frozen=True, slots=True)
class ClientPolicies:
    """The client profiles and policies that we own."""

    profiles: list[Object]
    policies: list[Object]


def without_grants(policy: Object, let_in: Collection[str]) -> Object:
    """The policy, no longer about the grants that are `let_in` (as `grant_types` names them)."""
    conditions = []
    for condition in policy["conditions"]:
        configuration = dict(condition["configuration"])
        if "grant_types" in configuration:
            configuration["grant_types"] = [grant for grant in configuration["grant_types"] if grant not in let_in]
        conditions.append({**condition, "configuration": configuration})
    return {**policy, "conditions": conditions}


def client_policy_changes(wanted: ClientPolicies, actual: Actual) -> Iterator[Change]:
    """What the realm's two lists lack. Others' entries stay: a write replaces a list, so they are written again.

    Profiles first: a policy that names one that is not there is refused. So a profile that goes, goes last.
    """
    gone = actual.ledger.profiles - {profile["name"] for profile in wanted.profiles}
    in_use = merge(wanted.profiles, actual.client_profiles, frozenset())
    yield from _set("profiles", wanted.profiles, actual.client_profiles, in_use)
    dropped = actual.ledger.policies - {policy["name"] for policy in wanted.policies}
    policies = merge(wanted.policies, actual.client_policies, dropped)
    yield from _set("policies", wanted.policies, actual.client_policies, policies)
    yield from _set("profiles", [], in_use, merge([], in_use, gone))


def merge(wanted: list[Object], there: list[Object], dropped: frozenset[str]) -> list[Object]:
    """`there` without the `dropped`, with ours put right in their places and the missing ones at the end."""
    ours = {entry["name"]: entry for entry in wanted}
    kept = [ours.pop(entry["name"], entry) for entry in there if entry["name"] not in dropped]
    return [*kept, *ours.values()]


def _set(kind: str, wanted: list[Object], there: list[Object], merged: list[Object]) -> Iterator[Change]:
    if merged == there:
        return
    names = [entry["name"] for entry in wanted if entry not in there]
    gone = [entry["name"] for entry in there if entry["name"] not in {kept["name"] for kept in merged}]
    parts = [f"set {', '.join(names)}"] * bool(names) + [f"remove {', '.join(gone)}"] * bool(gone)
    fields = tuple(_fields(wanted, there, gone))
    path = ("client-policies", kind)
    yield Change(f"client {kind}", " and ".join(parts), "PUT", path, {kind: merged}, fields=fields)


def _fields(wanted: list[Object], there: list[Object], gone: list[str]) -> Iterator[Field]:
    before = {entry["name"]: entry for entry in there}
    for entry in wanted:
        yield from fields_of({entry["name"]: entry}, {entry["name"]: before.get(entry["name"])})
    yield from (field_of(name, "there", None) for name in gone)


ANNOUNCED = "client_id_metadata_document_supported"  # in the provider's metadata
_NAME = "mcp-documents"


def documents_profile(registration: Registration, client_uri_hosts: tuple[str, ...]) -> Object:
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


def without_strangers(policy: Object) -> Object:
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


def documents_policy(registration: Registration) -> Object:
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
