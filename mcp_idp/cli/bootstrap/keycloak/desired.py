"""What the realm shall be: the access file, Keycloak's two files, and what is known only at run time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_idp.access.redirect_uris import redirect_patterns
from mcp_idp.access.registration_profiles import ADMISSIONS
from mcp_idp.cli.bootstrap.errors import SettingsFailure
from mcp_idp.cli.bootstrap.keycloak.client_credentials import Credentials
from mcp_idp.cli.bootstrap.keycloak.resources.client_policies import (
    ClientPolicies,
    documents_policy,
    documents_profile,
    without_grants,
    without_strangers,
)
from mcp_idp.cli.bootstrap.keycloak.resources.clients import our_clients
from mcp_idp.cli.bootstrap.keycloak.resources.groups import check_groups
from mcp_idp.cli.bootstrap.keycloak.resources.realm import message_names
from mcp_idp.cli.bootstrap.keycloak.resources.service_clients import MACHINE_GRANT
from mcp_idp.cli.bootstrap.keycloak.resources.token_exchange import (
    check_upstreams,
    exchange_policy,
    exchange_profile,
    without_exchange,
)
from mcp_idp.cli.bootstrap.keycloak.state.managed import Ledger
from mcp_idp.cli.bootstrap.keycloak.templates import load_client_policies_file, load_realm_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.access.policy import Access
    from mcp_idp.cli.bootstrap.changes import Json
    from mcp_idp.cli.bootstrap.keycloak.settings import BootstrapSettings
    from mcp_idp.cli.bootstrap.keycloak.templates import ClientPoliciesFile, RealmFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What the realm shall be."""

    realm: str
    resource: str
    access: Access
    realm_file: RealmFile
    client_policies_file: ClientPoliciesFile
    credentials: Credentials = field(default_factory=Credentials)
    machines: Mapping[str, Credentials] = field(default_factory=dict)

    @classmethod
    def load(
        cls, settings: BootstrapSettings, credentials: Credentials, machines: Mapping[str, Credentials] | None = None
    ) -> Desired:
        """Put it together; `credentials` are the server's own, `machines` those of the machine clients by id.

        Raises:
            SettingsFailure: one of the files does not fit.
        """
        check_upstreams(settings.access)
        check_groups(settings.access)
        client_policies_file = load_client_policies_file(settings.provider_folder)
        refused = client_policies_file.mentions(MACHINE_GRANT) and not settings.access.machine_clients
        if settings.admin_realm == settings.realm and refused:
            raise SettingsFailure(
                f"KEYCLOAK_ADMIN_REALM={settings.realm}: client-policies.yaml refuses client_credentials here, with "
                "which this run itself logs in: use an admin client of the realm master with roles of the client "
                f"'{settings.realm}-realm', or take the grant out there"
            )
        return cls(
            realm=settings.realm,
            resource=settings.public_url,
            access=settings.access,
            realm_file=load_realm_file(settings.provider_folder),
            client_policies_file=client_policies_file,
            credentials=credentials,
            machines=machines or {},
        )

    @property
    def realm_members(self) -> Json:
        """The realm's own settings."""
        return {**self.realm_file.realm, "displayName": self.access.resource.name}

    @property
    def grants_let_in(self) -> frozenset[str]:
        """Grants that the access file wants and that the file of client policies refuses everybody.

        Keycloak 26.7.5 has no rule "all but these clients" for one grant: docs/decisions/keycloak-machine-clients.md.
        """
        return frozenset({MACHINE_GRANT} if self.access.machine_clients else ())

    @property
    def client_policies(self) -> ClientPolicies:
        """The client profiles and policies of the file, those of the registration profile, and of upstreams."""
        registration = self.access.registration
        profiles = self.client_policies_file.profiles_with(redirect_patterns(registration))
        policies = [
            without_grants(policy.model_dump(), self.grants_let_in) for policy in self.client_policies_file.policies
        ]
        if ADMISSIONS[registration.profile].documents:
            policies = [without_strangers(policy) for policy in policies]
            profiles.append(documents_profile(registration, self.realm_file.client_uri_hosts))
            policies.append(documents_policy(registration))
        if self.access.upstreams:
            policies = [without_exchange(policy) for policy in policies]
            profiles.append(exchange_profile())
            policies.append(exchange_policy(self.resource))
        return ClientPolicies(profiles, policies)

    @property
    def ledger(self) -> Ledger:
        """What is written down as ours."""
        client_policies = self.client_policies
        return Ledger(
            clients=frozenset(our_clients(self.access, self.resource)),
            policies=frozenset(policy["name"] for policy in client_policies.policies),
            profiles=frozenset(profile["name"] for profile in client_policies.profiles),
            messages=message_names(self.realm_file.messages),
            groups=frozenset(self.access.groups),
        )
