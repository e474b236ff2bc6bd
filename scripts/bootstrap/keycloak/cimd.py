"""Clients known by a metadata document at their own URL (OAuth Client ID Metadata Document, draft 01).

Keycloak 26.7.5 has it as an experimental feature: the server's switch (`KC_FEATURES=cimd`) announces it, a client
policy of the realm makes it work. One without the other is worse than neither: a client that finds it announced uses
it, and without the policy ends at the page "Client not found".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.bootstrap.keycloak.redirects import LOOPBACK_HOSTS

if TYPE_CHECKING:
    from mcp_server.access_parts import Registration
    from scripts.bootstrap.keycloak.actual import Object

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
