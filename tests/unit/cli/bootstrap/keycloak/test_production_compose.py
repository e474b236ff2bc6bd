"""docker-compose.production.yml merged with docker-compose.yml, parsed, without an engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcp_idp.access.policy import load_access
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings

ROOT = Path(__file__).parents[5]
KEYCLOAK = ROOT / "idp-config" / "keycloak"
IMAGE = (KEYCLOAK / "Dockerfile").read_text(encoding="utf-8")
SWITCHES = ("DEFAULT", "INSTALL", "SAML2_ENTITY_DESCRIPTOR")


class _Replaced:
    """A value that replaces that of the first file instead of being merged with it."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Loader(yaml.SafeLoader):
    """A loader with compose's own two tags (compose-spec, merge)."""


def _replaced(loader: yaml.SafeLoader, node: yaml.Node) -> _Replaced:
    if isinstance(node, yaml.MappingNode):
        return _Replaced(loader.construct_mapping(node, deep=True))
    if isinstance(node, yaml.SequenceNode):
        return _Replaced(loader.construct_sequence(node, deep=True))
    return _Replaced(None)


_Loader.add_constructor("!reset", _replaced)
_Loader.add_constructor("!override", _replaced)


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load((ROOT / name).read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    return content


def _merged(first: Any, second: Any) -> Any:
    """Merges a value of two files as compose does."""
    if isinstance(second, _Replaced):
        return second.value
    if isinstance(first, dict) and isinstance(second, dict):
        return {
            key: _merged(first.get(key), second[key]) if key in second else first[key] for key in {**first, **second}
        }
    if isinstance(first, list) and isinstance(second, list):
        return [*first, *second]
    return first if second is None else second


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Merges a service of two files. Command and entrypoint are replaced, the rest is merged."""
    output = {key: _Replaced(second[key]) for key in ("command", "entrypoint") if key in second}
    whole: dict[str, Any] = _merged(first, {**second, **output})
    return whole


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    base, overlay = _read("docker-compose.yml")["services"], _read("docker-compose.production.yml")["services"]
    found = {}
    for name in {**base, **overlay}:
        own = dict(overlay.get(name, {}))
        first = base[own.pop("extends")["service"]] if "extends" in own else base.get(name, {})
        found[name] = _joined(first, own)
    return found


def test_only_caddy_publishes_ports_and_only_keycloak_reaches_the_database(services: dict[str, dict[str, Any]]) -> None:
    assert [name for name, service in services.items() if service.get("ports")] == ["front"]
    assert {port.rpartition(":")[2] for port in services["front"]["ports"]} == {"8443", "8080"}
    assert [name for name, service in services.items() if service.get("network_mode") == "host"] == []
    stored = {name for name, service in services.items() if "storage" in service.get("networks", [])}
    assert stored == {"database", "keycloak", "keycloak-2"}
    assert services["database"]["networks"] == ["storage"]
    assert _read("docker-compose.production.yml")["networks"]["storage"] == {"internal": True}


def test_every_service_is_read_only_and_has_no_right_it_does_not_need(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "mem_limit" in service, name
        assert "privileged" not in service, name
    assert [name for name, service in services.items() if "cap_add" in service] == ["front"]
    # The other images, including Keycloak's, have a user that is not root.
    assert (services["database"]["user"], services["front"]["user"]) == ("postgres", "1000:1000")
    assert "USER" not in IMAGE


def test_what_must_last_is_looked_after(services: dict[str, dict[str, Any]]) -> None:
    lasting = ("database", "keycloak", "keycloak-2", "mcp-server", "mcp-server-2", "front")
    for name in lasting:
        assert services[name]["restart"] == "unless-stopped", name
        assert services[name]["healthcheck"]["test"], name
    for name in ("mcp-server", "mcp-server-2"):
        assert services[name]["environment"]["LEGACY_SESSIONS"] == "stateless"
        assert "replace-admin" in services[name]["depends_on"]
    assert services["front"]["depends_on"].keys() >= {"keycloak-2", "mcp-server", "mcp-server-2"}
    assert services["keycloak-2"]["depends_on"] == {"keycloak": {"condition": "service_healthy"}}
    assert {services[name]["command"] == ["start", "--optimized"] for name in ("keycloak", "keycloak-2")} == {True}


def test_caddy_retries_no_request_that_may_have_arrived_and_no_client_can_disable_a_node(
    services: dict[str, dict[str, Any]],
) -> None:
    caddyfile = (KEYCLOAK / "Caddyfile").read_text(encoding="utf-8")
    # By default Caddy's reverse_proxy retries only GET after a connection was established.
    assert "lb_retry_match" not in caddyfile
    # A response that any client can provoke must not count as a failure of the node.
    assert "unhealthy" not in caddyfile
    assert "/health/ready" not in re.sub("#.*", "", caddyfile)
    for name in ("keycloak", "keycloak-2"):
        assert services[name]["environment"]["KC_SERVER_ASYNC_BOOTSTRAP"] == "false"


@pytest.mark.requirement("login.trusted_issuer")
def test_the_login_gets_the_public_addresses_and_connects_to_caddy(services: dict[str, dict[str, Any]]) -> None:
    environment, urls = services["bootstrap"]["environment"], _read("docker-compose.production.yml")["x-urls"]
    assert {name: environment[name] for name in urls} == urls
    assert environment["CONNECT_TO"] == "${MCP_HOST}:443=front:8443,${LOGIN_HOST}:443=front:8443"
    assert set(services["login"]["environment"]) == {"PYTHONPATH", "ACCESS_FILE", "MCP_PASSWORD"}
    mounted = [name for name, service in services.items() if "stack-addresses" in str(service.get("volumes"))]
    assert mounted == ["bootstrap", "login"]


def test_no_environment_holds_a_secret_and_each_is_mounted_by_who_needs_it(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search("SECRET|PASSWORD", variable) and not variable.endswith("_FILE"):
                requested = value in {"", f"${{{variable}:-}}"} or (name, variable) == ("login", "MCP_PASSWORD")
                assert requested, f"{name}: {variable}"

    def mounting(volume: str) -> dict[str, bool]:
        """Returns the services that mount the volume, and whether they may write."""
        named = {
            name: str(v) for name, s in services.items() for v in s.get("volumes") or [] if str(v).startswith(volume)
        }
        return {name: not mounted.endswith(":ro") for name, mounted in named.items()}

    assert mounting("admin-secret") == {"secrets": True, "keycloak": False, "bootstrap": False, "replace-admin": False}
    assert mounting("apply-account") == {"bootstrap": False, "replace-admin": True}
    assert mounting("check-account") == {"replace-admin": True, "check": False}
    assert mounting("people-account") == {"replace-admin": True, "people": False}
    assert mounting("server-secret") == {
        "secrets": True,
        "bootstrap": True,
        "mcp-server": False,
        "mcp-server-2": False,
        "check": False,
    }
    output = {name: service.get("secrets") for name, service in services.items() if service.get("secrets")}
    assert output == {
        "database": ["database-password"],
        "keycloak": ["database-password"],
        "keycloak-2": ["database-password"],
        "front": ["tls-certificate", "tls-key", "acme-root"],
    }
    declared = _read("docker-compose.production.yml")["secrets"]
    assert all(set(secret) == {"file"} for secret in declared.values())
    assert ".secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.requirement("production.disabled_endpoints")
def test_the_image_is_built_with_the_switches_of_the_first_file() -> None:
    started = _read("docker-compose.yml")["services"]["keycloak"]
    built = IMAGE.partition("RUN")[0]
    for switch in SWITCHES:
        name = f"KC_SPI_CLIENT_REGISTRATION__{switch}__ENABLED"
        assert started["environment"][name] == "false"
        assert f"{name}=false" in built
    stages = re.findall("^FROM (.+)", IMAGE, re.MULTILINE)
    assert stages == ["quay.io/keycloak/keycloak:${KEYCLOAK_VERSION} AS options", "options AS built", "options"]
    assert (KEYCLOAK / ".dockerignore").read_text(encoding="utf-8").split() == ["*"]


def test_the_image_is_built_once_with_the_defaults_of_its_file(services: dict[str, dict[str, Any]]) -> None:
    """Compose merges build arguments too: those of docker-compose.yml would leave two nodes that know no cluster."""
    built = {"context": "idp-config/keycloak", "args": {"FEATURES": "${KC_FEATURES:-}"}}
    assert services["keycloak"]["build"] == built
    assert services["keycloak-2"]["build"] is None
    assert services["keycloak-2"]["image"] == services["keycloak"]["image"]
    assert "ARG DB=postgres CACHE=ispn\n" in IMAGE


def test_its_access_file_has_the_same_scopes_and_nothing_open() -> None:
    demo, production = (load_access(ROOT / "idp-config" / f"access{name}.yaml") for name in ("", ".production"))
    assert production.scopes == demo.scopes
    assert production.clients == demo.clients
    assert not production.demo_users
    assert production.registration.profile == "loopback-only"


@pytest.mark.parametrize(
    ("change", "secret", "named"),
    [
        ({"registration": {"profile": "open-dev"}}, "s" * 40, "open-dev"),
        ({"demo_users": {"reader": {"password": "reader", "roles": ["mcp-reader"]}}}, "s" * 40, "demo_users"),
        ({}, "changeme", "default password"),
    ],
)
def test_apply_rejects_settings_that_are_safe_on_loopback_only(
    change: dict[str, Any], secret: str, named: str, tmp_path: Path
) -> None:
    content = yaml.safe_load((ROOT / "idp-config" / "access.production.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "access.yaml"

    def load(content: dict[str, Any], secret: str) -> KeycloakSettings:
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        variables = {
            "OAUTH_SERVER_URL": "https://login.example.com/realms/mcp",
            "OAUTH_INTERNAL_URL": "http://identity:8080/realms/mcp",
            "MCP_PUBLIC_URL": "https://mcp.example.com/mcp",
            "KEYCLOAK_ADMIN_CLIENT_SECRET": secret,
            "ACCESS_FILE": str(file),
        }
        return KeycloakSettings.load(variables, "apply")

    assert not load(content, "s" * 40).on_loopback
    with pytest.raises(ConfigError, match=named):
        load({**content, **change}, secret)
