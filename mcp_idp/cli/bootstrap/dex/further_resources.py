"""Several MCP servers behind one Dex: their access files become one configuration.

`front.yaml` names the further servers. One run renders the files of all servers, so names must be unique among them.
Users log in at each server with the same account; the audience of a token is the one server that the login named as
`resource` (RFC 8707 section 2).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mcp_idp.access.policy import AccessFileError, load_access
from mcp_idp.cli.bootstrap.dex.settings import check_settings
from mcp_idp.cli.bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.access.models import DemoUser
    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.dex.settings import DexSettings


def with_further_resources(settings: DexSettings, files: Mapping[str, str]) -> DexSettings:
    """Returns the settings with the access files of further servers merged into that of the first one.

    Args:
        settings: the settings of the run, with the access file of the first server.
        files: the names of the further access files, beside that of the first server, by public URL.

    Raises:
        ConfigError: a file cannot be used, or two servers share a URL, scope, role or client id.
    """
    merged = settings
    for url, name in files.items():
        try:
            access = load_access(settings.sources.parent / name)
        except AccessFileError as error:
            raise ConfigError(str(error)) from error
        check_settings(replace(settings, public_url=url, access=access))
        if url in {settings.public_url, *merged.further}:
            raise ConfigError(f"front.yaml: resources.{url}: is listed twice, or is MCP_PUBLIC_URL")
        _require_no_clash(name, access, merged.access)
        merged = replace(
            merged, access=_merged(merged.access, access), further={**merged.further, url: access.resource.name}
        )
    return merged


def _require_no_clash(name: str, access: AccessPolicy, others: AccessPolicy) -> None:
    if access.registration != others.registration:
        raise ConfigError(f"{name}: registration: must be the same in the access files of all servers behind one Dex")
    shared = {
        "scope": access.scopes.keys() & others.scopes.keys(),
        "role": set(access.roles) & set(others.roles),
        "client": access.clients.keys() & others.clients.keys(),
    }
    for noun, names in shared.items():
        if names:
            raise ConfigError(
                f"{name}: {noun} {min(names)}: belongs to another server behind this Dex: use another name"
            )


def _merged(first: AccessPolicy, second: AccessPolicy) -> AccessPolicy:
    """Returns the first file with what Dex needs of the second one: scopes, clients and users."""
    users = dict(first.demo_users)
    for name, user in second.demo_users.items():
        users[name] = _with_roles_of(users[name], user) if name in users else user
    update = {
        "scopes": {**first.scopes, **second.scopes},
        "clients": {**first.clients, **second.clients},
        "demo_users": users,
    }
    merged = first.model_copy(update=update)
    # Computed once and kept: those of the first file alone.
    for cached in ("roles", "roles_by_scope", "effective_scopes_by_scope"):
        merged.__dict__.pop(cached, None)
    return merged


def _with_roles_of(first: DemoUser, second: DemoUser) -> DemoUser:
    """Returns a user of two files, with the roles and groups of both and the password of the first."""
    roles, groups = dict.fromkeys((*first.roles, *second.roles)), dict.fromkeys((*first.groups, *second.groups))
    return first.model_copy(update={"roles": tuple(roles), "groups": tuple(groups)})
