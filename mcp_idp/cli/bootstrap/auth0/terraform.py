"""Renders the Terraform files: the access policy as the local values of a JSON file, next to a fixed main file.

In Terraform's JSON syntax every string is a template, the names of members included: `${` starts an interpolation and
`%{` a directive. Doubling the first character escapes both, so what the access file holds is never evaluated
(https://github.com/hashicorp/hcl/blob/main/json/spec.md and hclsyntax/spec.md, "Template Expressions").
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from mcp_idp.access.registration_profiles import PROFILES
from mcp_idp.cli.bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.auth0.settings import Auth0Settings

Value = str | bool | int | None | list["Value"] | dict[str, "Value"]

ACCESS, MAIN = "access.tf.json", "main.tf"
NOT_VERIFIED = (
    "not verified against a live tenant: written from the documentation of Auth0 and of its Terraform provider 1.55; "
    "review the output of `terraform plan` before you apply it"
)
_HEADER = "Written by scripts/bootstrap_idp.py --provider auth0 render from idp-config/access.yaml: change that."


def escape_templates(value: Value) -> Value:
    """Returns `value` with every string, and every name of a member, as a template that stands for itself."""
    if isinstance(value, str):
        return re.sub(r"([$%])(?=\{)", r"\1\1", value)
    if isinstance(value, list):
        return [escape_templates(part) for part in value]
    if isinstance(value, dict):
        return {str(escape_templates(name)): escape_templates(member) for name, member in value.items()}
    return value


def render(settings: Auth0Settings) -> dict[str, str]:
    """Renders the files.

    Returns:
        File name to content.

    Raises:
        ConfigError: The fixed file cannot be read.
    """
    # Terraform ignores a member named "//".
    comments = [_HEADER, NOT_VERIFIED, *unsupported_features(settings)]
    access = json.dumps({"//": comments, "locals": escape_templates(_values(settings))}, indent=2) + "\n"
    source = settings.sources / MAIN
    try:
        return {ACCESS: access, MAIN: source.read_text(encoding="utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: cannot be read ({type(error).__name__})") from error


def _values(settings: Auth0Settings) -> Value:
    access = settings.access
    profile = PROFILES[access.registration.profile]
    return {
        "tenant_domain": settings.tenant_domain,
        "resource": {"identifier": settings.public_url, "name": access.resource.name},
        "scopes": {name: scope.description for name, scope in access.scopes.items()},
        "roles": {role: [*sorted(access.scopes_granted_by(frozenset({role})))] for role in access.roles},
        "clients": {
            client_id: {"name": client.name, "callbacks": [*client.redirect_uris]}
            for client_id, client in access.clients.items()
        },
        "registration": {"anonymous": profile.anonymous, "documents": profile.metadata_documents},
    }


def unsupported_features(settings: Auth0Settings) -> Iterator[str]:
    """Yields a line for each feature of the access file that Auth0 or its Terraform provider does not support.

    The lines also become comments in the Terraform file; they contain no free text from the access file.
    """
    access = settings.access
    yield from _limits_of_registration(access)
    yield (
        "Auth0 has no introspection: revoked rights remain valid until the token expires (token_lifetime in main.tf)"
        + ("; remove introspect_for from the access file" if access.introspect_for else "")
    )
    if access.clients:
        yield (
            "Auth0 chooses client ids: give users what `terraform output client_ids` shows in place of the ids in "
            "the access file, and enable a connection for each client; the documentation does not say whether a "
            "loopback callback without a port matches any port"
        )
    for name, used in (
        ("machine_clients", access.machine_clients),
        ("upstreams", access.upstreams),
        ("claims", access.claims),
    ):
        if used:
            yield f"{name} of the access file are not rendered: configure them at Auth0"
    if access.demo_users:
        yield "demo users are not created: their passwords are public, and so is Auth0"
    if access.groups:
        yield "groups are not created: Auth0 assigns roles to users or by an Action"
    yield "users get no roles: assign roles in the dashboard, or in Terraform with auth0_user_roles"


def _limits_of_registration(access: AccessPolicy) -> Iterator[str]:
    registration = access.registration
    profile = PROFILES[registration.profile]
    if profile.anonymous:
        yield (
            f"registration.profile {registration.profile}: Auth0 accepts registrations from anyone with any "
            "redirect URI, so registration stays off; -var open_registration=true enables it"
        )
    elif profile.initial_access_token:
        yield (
            f"registration.profile {registration.profile}: Auth0 has no initial access tokens, so registration stays "
            "off: list clients in the access file"
        )
    if profile.metadata_documents:
        yield (
            f"registration.profile {registration.profile}: no setting of the Terraform provider limits the domains of "
            "client documents, so they stay off; -var any_client_document=true accepts them from everywhere"
        )
    if profile.anonymous or profile.metadata_documents:
        yield (
            "clients that register themselves are third-party applications: their users can log in only through "
            "domain-level connections, which are not configured here"
        )
        yield "max_clients and web_origins of the registration have no counterpart"
