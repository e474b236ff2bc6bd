"""docker-compose.dex.yml, parsed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[5]


@pytest.fixture
def services() -> dict[str, dict[str, Any]]:
    content = yaml.safe_load((ROOT / "docker-compose.dex.yml").read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = content["services"]
    return found


def test_only_the_registration_proxy_is_published_and_on_loopback(services: dict[str, dict[str, Any]]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"front": ["127.0.0.1:${DEX_PORT:-5556}:5556"]}  # others: docker-compose.yml
    assert services["dex"]["networks"] == ["behind"]
    others = {name for name, service in services.items() if "behind" in service.get("networks", [])} - {"dex"}
    assert others == {"front", "bootstrap"}


def test_no_service_has_a_right_it_does_not_need(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        if name != "mcp-server":
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["read_only"], name
            assert "mem_limit" in service, name
    assert [name for name, service in services.items() if "cap_add" in service] == ["front"]
    assert [name for name in ("dex", "front") if services[name]["user"] != "1000:1000"] == []


def test_the_server_is_the_one_of_the_first_file_with_other_urls(services: dict[str, dict[str, Any]]) -> None:
    server = services["mcp-server"]
    assert server["extends"] == {"file": "docker-compose.yml", "service": "mcp-server"}
    assert set(server) == {"extends", "environment"}
    assert server["environment"]["OAUTH_PROVIDER"] == "dex"


def test_dex_s_file_with_the_hashes_is_mounted_by_who_needs_it(services: dict[str, dict[str, Any]]) -> None:
    readers = {name: v for name, s in services.items() for v in s.get("volumes", []) if str(v).startswith("dex-files")}
    assert readers == {
        "files": "dex-files:/run/idp/dex",
        "dex": "dex-files:/run/idp/dex:ro",
        "bootstrap": "dex-files:/run/idp/dex:ro",
    }
    assert services["files"]["network_mode"] == "none"
