"""The compose file and the Dockerfile, parsed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcp_idp.cli.bootstrap.dex.settings import NAMES as DEX
from mcp_idp.cli.bootstrap.keycloak.settings import NAMES as KEYCLOAK
from mcp_idp.cli.subcommands import run
from mcp_idp.config.settings import NAMES
from mcp_idp.config.stack_settings import KNOWN_NAMES

ROOT = Path(__file__).parents[5]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES = ("secrets", "bootstrap", "mcp-server", "login", "front", "registrar")


@pytest.fixture
def services() -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(TEXT)
    return content["services"]


def test_everything_published_is_on_this_machine_only(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert not any(port.endswith(":9000") for port in ports)


def test_keycloak_is_reached_from_outside_through_its_front_only(services: dict[str, dict[str, Any]]) -> None:
    assert [name for name, service in services.items() if service.get("ports")] == ["front", "mcp-server"]
    assert services["keycloak"]["environment"]["KC_PROXY_HEADERS"] == "xforwarded"
    caddyfile = (ROOT / "idp-config" / "keycloak" / "local.Caddyfile").read_text(encoding="utf-8")
    for header in ("Forwarded", "X-Forwarded-Port", "X-Forwarded-Prefix"):
        assert f"header_up -{header}\n" in caddyfile


@pytest.mark.parametrize(
    ("name", "compose", "default"),
    [("local.Caddyfile", "docker-compose.yml", "true"), ("Caddyfile", "docker-compose.production.yml", "false")],
)
def test_the_metadata_at_the_origin_is_a_quirk(name: str, compose: str, default: str) -> None:
    caddyfile = (ROOT / "idp-config" / "keycloak" / name).read_text(encoding="utf-8")
    assert f"{{$QUIRK_ORIGIN_METADATA:{default}}}" in caddyfile
    line = f"QUIRK_ORIGIN_METADATA: ${{QUIRK_ORIGIN_METADATA:-{default}}}\n"
    assert (ROOT / compose).read_text(encoding="utf-8").count(line) == 1
    # The target is fixed, without the query of the request, and the clients that use it are counted.
    assert "rewrite @origin_metadata /realms/mcp/.well-known/openid-configuration?\n" in caddyfile
    assert "log_name @origin_metadata origin_metadata\n" in caddyfile


def test_no_service_has_a_right_it_does_not_need(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "mem_limit" in service, name
        assert "container_name" not in service, name
    assert all(services[name]["read_only"] for name in SERVICES)
    dockerfile = (ROOT / "mcp_server" / "Dockerfile").read_text(encoding="utf-8")
    for target in ("secrets", "bootstrap", "server"):
        stage = re.split(r"^FROM ", dockerfile.split(f" AS {target}\n")[1], flags=re.MULTILINE)[0]
        assert "USER 1000" in stage


def test_every_setting_of_the_server_reaches_it(services: dict[str, dict[str, Any]]) -> None:
    environment = services["mcp-server"]["environment"]
    assert set(NAMES) - set(environment) == set()
    assert set(environment) <= set(NAMES)


def test_no_service_gets_a_secret_from_the_compose_file(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if "SECRET" in variable and not variable.endswith("_FILE"):
                assert value in {"", f"${{{variable}:-}}"}, f"{name}: {variable}"
    secret_readers = {
        name
        for name, service in services.items()
        if any("admin-secret" in str(volume) for volume in service.get("volumes", []))
    }
    assert secret_readers == {"secrets", "keycloak", "bootstrap"}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert not any(line.startswith("!") and ".env" in line for line in ignored)


@pytest.mark.parametrize(
    ("file", "reader", "names"),
    [("docker-compose.yml", "bootstrap", KEYCLOAK), ("docker-compose.dex.yml", "files", DEX)],
)
def test_the_whole_of_env_reaches_one_service_which_reads_nothing_of_it(
    file: str, reader: str, names: tuple[str, ...]
) -> None:
    services = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["services"]
    assert [name for name, service in services.items() if "env_file" in service] == [reader]
    assert services[reader]["env_file"] == [{"path": ".env", "required": False}]
    environment = services[reader]["environment"]
    assert {*names, "OAUTH_PROVIDER"} - set(environment) == set()
    secret = {name for name in KNOWN_NAMES if re.search("SECRET|PASSWORD", name) and not name.endswith("_FILE")}
    assert {name: environment[name] for name in secret} == dict.fromkeys(secret, "")


def test_a_misspelt_name_is_one_warning_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OAUTH_CLIENT_SECERT", "s3cr3t")
    monkeypatch.setenv("KEYCLOAK_PROT", "8180")
    run(["bootstrap", "--provider", "dex", "prune"])
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert warnings == [
        "bootstrap: warning: KEYCLOAK_PROT is not a setting: did you mean KEYCLOAK_PORT?",
        "bootstrap: warning: OAUTH_CLIENT_SECERT is not a setting: did you mean OAUTH_CLIENT_SECRET?",
    ]


@pytest.mark.requirement("login.trusted_issuer")
@pytest.mark.parametrize("stack", ["", ".dex"])
def test_the_login_gets_the_addresses_that_the_stack_was_started_with(stack: str) -> None:
    content = yaml.safe_load((ROOT / f"docker-compose{stack}.yml").read_text(encoding="utf-8"))
    services = content["services"]
    bootstrap, login = services["bootstrap"], services["login"]
    assert {name: bootstrap["environment"][name] for name in content["x-urls"]} == content["x-urls"]
    assert bootstrap["environment"]["STACK_FILE"] == f"{login['working_dir']}/.env"
    assert set(login["environment"]) == {"PYTHONPATH", "ACCESS_FILE", "MCP_PASSWORD"}
    assert login["volumes"] == ["stack-addresses:/run/idp/stack:ro", content["x-access-file"]]
    writers = [name for name, service in services.items() if "stack-addresses:/run/idp/stack" in str(service)]
    assert writers == ["bootstrap", "login"]


@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose.dex.yml"])
def test_the_login_starts_and_recreates_no_other_service(file: str) -> None:
    login = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["services"]["login"]
    assert not {"depends_on", "links", "volumes_from", "network_mode"} & set(login)


@pytest.mark.requirement("login.trusted_issuer")
def test_no_other_stack_has_a_login() -> None:
    assert {path.name for path in ROOT.glob("docker-compose*.yml") if "\n  login:\n" in path.read_text("utf-8")} == {
        "docker-compose.yml",
        "docker-compose.production.yml",  # an overlay of the first
        "docker-compose.dex.yml",
    }
