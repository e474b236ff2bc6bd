"""The desired state of a realm, from the access file, `realm.yaml`, `client-policies.yaml` and run-time credentials."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_idp.access.redirect_uris import redirect_patterns
from mcp_idp.access.registration_profiles import PROFILES
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.client_authentication import ClientAuthentication
from mcp_idp.cli.bootstrap.keycloak.resources.client_policies import (
    ClientPolicies,
    cimd_policy,
    cimd_profile,
    without_anonymous,
    without_grants,
)
from mcp_idp.cli.bootstrap.keycloak.resources.clients import managed_client_ids
from mcp_idp.cli.bootstrap.keycloak.resources.groups import check_groups
from mcp_idp.cli.bootstrap.keycloak.resources.realm import message_names
from mcp_idp.cli.bootstrap.keycloak.resources.service_clients import CLIENT_CREDENTIALS
from mcp_idp.cli.bootstrap.keycloak.resources.token_exchange import (
    EXCHANGE_GRANT,
    check_upstreams,
    exchange_policy,
    exchange_profile,
)
from mcp_idp.cli.bootstrap.keycloak.state.managed import ManagedState, RealmRecord
from mcp_idp.cli.bootstrap.keycloak.templates import load_client_policies_file, load_realm_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.changes import Json
    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings
    from mcp_idp.cli.bootstrap.keycloak.templates import ClientPoliciesFile, RealmFile


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredState:
    """The desired state of a realm.

    Attributes:
        realm: the realm's name.
        resource: the public URL of the MCP server: audience of its tokens and id of its introspection client.
        access: the access file.
        realm_file: `realm.yaml`.
        client_policies_file: `client-policies.yaml`.
        credentials: credentials of the MCP server's own client.
        service_clients: credentials of the service clients, by client id.
        moved_from: the resource's former URL; empty if it did not move.
    """

    realm: str
    resource: str
    access: AccessPolicy
    realm_file: RealmFile
    client_policies_file: ClientPoliciesFile
    credentials: ClientAuthentication = field(default_factory=ClientAuthentication)
    service_clients: Mapping[str, ClientAuthentication] = field(default_factory=dict)
    moved_from: str = ""

    @classmethod
    def load(
        cls,
        settings: KeycloakSettings,
        credentials: ClientAuthentication,
        service_clients: Mapping[str, ClientAuthentication] | None = None,
    ) -> DesiredState:
        """Reads Keycloak's two files and combines them with the settings.

        Args:
            settings: settings of the run.
            credentials: credentials of the MCP server's own client.
            service_clients: credentials of the service clients, by client id.

        Raises:
            ConfigError: a file cannot be read or is invalid, or the access file requires what Keycloak cannot
                represent; or the client policies would reject the grant that the admin client itself uses.
        """
        check_upstreams(settings.access)
        check_groups(settings.access)
        client_policies_file = load_client_policies_file(settings.provider_folder)
        rejects_client_credentials = (
            client_policies_file.references_grant(CLIENT_CREDENTIALS) and not settings.access.machine_clients
        )
        if settings.admin_realm == settings.realm and rejects_client_credentials:
            raise ConfigError(
                f"KEYCLOAK_ADMIN_REALM={settings.realm}: client-policies.yaml forbids client_credentials here, "
                "which this run itself uses: use an admin client of the realm master with roles of the client "
                f"'{settings.realm}-realm', or remove the grant there"
            )
        return cls(
            realm=settings.realm,
            resource=settings.public_url,
            access=settings.access,
            realm_file=load_realm_file(settings.provider_folder),
            client_policies_file=client_policies_file,
            credentials=credentials,
            service_clients=service_clients or {},
            moved_from=settings.moved_from,
        )

    @property
    def realm_members(self) -> Json:
        """The realm's own settings: members of Keycloak's realm representation."""
        return {**self.realm_file.realm, "displayName": self.access.resource.name}

    @property
    def allowed_grants(self) -> frozenset[str]:
        """Grant types that the access file requires and `client-policies.yaml` rejects for all clients.

        Keycloak 26.7.5 cannot reject one grant for "all clients but these": docs/decisions/keycloak-service-clients.md.
        """
        return frozenset({CLIENT_CREDENTIALS} if self.access.machine_clients else self.access.realm.grants)

    @property
    def opened_grants(self) -> frozenset[str]:
        """Grant types that this state opens for some or all clients, as the realm's record lists them."""
        return self.allowed_grants | ({EXCHANGE_GRANT} if self.access.upstreams else frozenset())

    @property
    def client_policies(self) -> ClientPolicies:
        """The client profiles and policies of the realm.

        These are the ones of `client-policies.yaml`, adapted to the registration profile and the access file, and the
        ones for client metadata documents (profile `cimd`) and token exchange (`upstreams`) where those are used.
        """
        registration = self.access.registration
        profiles = self.client_policies_file.profiles_with(redirect_patterns(registration))
        policies = [
            without_grants(policy.model_dump(), self.allowed_grants) for policy in self.client_policies_file.policies
        ]
        if PROFILES[registration.profile].metadata_documents:
            policies = [without_anonymous(policy) for policy in policies]
            profiles.append(cimd_profile(registration, self.realm_file.client_uri_hosts))
            policies.append(cimd_policy(registration))
        if self.access.upstreams:
            policies = [without_grants(policy, {EXCHANGE_GRANT}) for policy in policies]
            profiles.append(exchange_profile())
            policies.append(exchange_policy(self.resource))
        return ClientPolicies(profiles, policies)

    @property
    def managed_state(self) -> ManagedState:
        """The names to record in the realm as owned by the resource."""
        return ManagedState(
            clients=frozenset(managed_client_ids(self.access, self.resource)),
            scopes=frozenset(self.access.scopes),
            upstream_scopes=frozenset(name for api in self.access.upstreams.values() for name in api.scopes),
            roles=frozenset(self.access.roles),
            groups=frozenset(self.access.groups),
            users=frozenset(self.access.demo_users),
            base_scope=self.access.base_scope,
        )

    @property
    def realm_record(self) -> RealmRecord:
        """What to record of the realm's own settings, if the resource owns them."""
        client_policies = self.client_policies
        return RealmRecord(
            owner=self.resource,
            policies=frozenset(policy["name"] for policy in client_policies.policies),
            profiles=frozenset(profile["name"] for profile in client_policies.profiles),
            messages=message_names(self.realm_file.messages),
            grants=self.opened_grants,
        )
