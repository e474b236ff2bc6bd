"""Rendering of the registration proxy for Entra: invalid settings, and content that must not appear."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcp_idp.cli.bootstrap.entra.proxy_files import proxy_files
from mcp_idp.cli.bootstrap.entra.settings import NAMES, EntraSettings
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.subcommands import run
from mcp_idp.config.settings import Settings

ROOT = Path(__file__).parents[5]
ISSUER = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0"


def variables(folder: Path, access: dict[str, Any] | None = None, **changes: str) -> dict[str, str]:
    content = yaml.safe_load(Settings().access_file.read_text(encoding="utf-8"))
    content |= {"scope_prefix": "api://6e74172b/", **(access or {})}
    (folder / "access.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    if not (folder / "entra").exists():
        (folder / "entra").symlink_to(ROOT / "idp-config" / "entra")
    return {
        "OAUTH_SERVER_URL": "http://localhost:5557",
        "JWT_ISSUER": ISSUER,
        "FRONT_CLIENT_ID": "0a1b2c3d-1111-4222-8333-444455556666",
        "FRONT_FILES": str(folder / "out"),
        "ACCESS_FILE": str(folder / "access.yaml"),
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "access", "message"),
    [
        ({"JWT_ISSUER": ""}, {}, "JWT_ISSUER=: write https://login"),
        ({"JWT_ISSUER": ISSUER.replace("72f988bf-86f1-41af-91ab-2d7cd011db47", "common")}, {}, "JWT_ISSUER="),
        ({"JWT_ISSUER": ISSUER.removesuffix("/v2.0")}, {}, "JWT_ISSUER="),
        ({"FRONT_CLIENT_ID": ""}, {}, "FRONT_CLIENT_ID=: write the application id"),
        ({"FRONT_CLIENT_ID": '" {env.HOME}'}, {}, "FRONT_CLIENT_ID="),
        ({"OAUTH_SERVER_URL": ""}, {}, "OAUTH_SERVER_URL=: write the origin of the registration proxy"),
        ({"OAUTH_SERVER_URL": "http://localhost:5557/entra"}, {}, "the origin of the registration proxy"),
        ({"OAUTH_SERVER_URL": "http://login.example.com"}, {}, "use https"),
        ({"OAUTH_SERVER_URL": "https://login.example.com"}, {}, "open-dev|loopback-only or closed"),
        ({"MCP_PUBLIC_URL": "https://mcp.example.com/mcp"}, {}, "loopback-only or closed"),
        ({}, {"scope_prefix": ""}, "scope_prefix: "),
        (
            {},
            {"registration": {"profile": "initial-access-token"}},
            "the registration proxy supports open-dev, loopback-only, closed",
        ),
        ({}, {"registration": {"profile": "open-dev", "web_origins": ["*"]}}, "web_origins: '\\*' is not an origin"),
    ],
)
def test_settings_that_cannot_work_are_rejected_in_one_line(
    changes: dict[str, str], access: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message) as rejected:
        proxy_files(EntraSettings.load(variables(tmp_path, access, **changes)))
    assert "\n" not in str(rejected.value)


def test_over_tls_the_cookie_of_the_consent_page_belongs_to_this_host_alone(tmp_path: Path) -> None:
    public = {"OAUTH_SERVER_URL": "https://login.example.com", "MCP_PUBLIC_URL": "https://mcp.example.com/mcp"}
    access = {"registration": {"profile": "loopback-only"}}
    caddyfile = proxy_files(EntraSettings.load(variables(tmp_path, access, **public)))["front/Caddyfile"]
    assert '"__Host-consent={http.request.uuid}; Path=/; HttpOnly; SameSite=Strict; Max-Age=600; Secure"' in caddyfile
    assert "%%" not in caddyfile


@pytest.mark.requirement("registration_proxy.registration")
def test_the_registration_profile_decides_who_is_handed_the_client_id(tmp_path: Path) -> None:
    vendors = {"v": ["https://v.example/cb"]}

    def files(profile: str) -> dict[str, str]:
        access = {"registration": {"profile": profile, "vendors": vendors}}
        return proxy_files(EntraSettings.load(variables(tmp_path, access)))

    assert json.loads(files("open-dev")["front/policy.json"])["vendors"] == vendors
    assert json.loads(files("loopback-only")["front/policy.json"])["vendors"] == {}
    assert "registration_endpoint" in json.loads(files("loopback-only")["front/metadata.json"])
    assert "registration_endpoint" not in json.loads(files("closed")["front/metadata.json"])
    assert "error 403" in files("closed")["front/Caddyfile"]


def test_a_second_render_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert run(["bootstrap", "--provider", "entra", "plan", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert {change["action"] for change in planned["changes"]} == {"create"}
    assert run(["bootstrap", "--provider", "entra", "render"]) == 0
    assert "changes in" in capsys.readouterr().out
    assert run(["bootstrap", "--provider", "entra", "render"]) == 0
    assert capsys.readouterr().out == "no changes\n"
    assert run(["bootstrap", "--provider", "entra", "apply"]) == ConfigError.exit_code


def test_the_guide_documents_every_setting_and_the_compose_file_hands_it_through() -> None:
    guide = (ROOT / "docs" / "entra-registration-proxy.md").read_text(encoding="utf-8")
    compose = (ROOT / "docker-compose.entra.yml").read_text(encoding="utf-8")
    for name in NAMES:
        assert name in guide, name
        assert name in compose or name == "ACCESS_FILE", name
