"""Settings: defaults and invalid values."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from mcp_idp.cli.bootstrap.keycloak.settings import NAMES as KEYCLOAK
from mcp_idp.config import load_settings
from mcp_idp.config.env import SettingsError
from mcp_idp.config.settings import NAMES, Settings
from mcp_idp.config.stack_settings import KNOWN_NAMES
from mcp_server.__main__ import main

ROOT = Path(__file__).parents[3]
PUBLIC = {"OAUTH_SERVER_URL": "https://login.example.com", "MCP_PUBLIC_URL": "https://mcp.example.com/mcp"}


def test_no_variable_and_empty_variables_mean_the_defaults() -> None:
    assert load_settings({}) == load_settings(dict.fromkeys(NAMES, "")) == Settings()


@pytest.mark.parametrize(
    ("written", "size"),
    [("268435456", 1 << 28), ("256M", 1 << 28), ("256MiB", 1 << 28), ("1g", 1 << 30), ("2GB", 2 << 30)],
)
def test_a_size_is_written_with_a_unit_or_in_bytes(written: str, size: int) -> None:
    assert load_settings({"MAX_MEMORY": written}).memory_plan.total == size


def test_what_follows_from_issuer_and_public_url() -> None:
    settings = load_settings({**PUBLIC, "OAUTH_SERVER_URL": "https://login.example.com/realms/team/"})
    assert settings.issuer == "https://login.example.com/realms/team/"
    assert settings.audience == settings.client_id == "https://mcp.example.com/mcp"
    assert settings.provider.name == "keycloak"
    assert load_settings(PUBLIC).provider.name == "generic"


def test_durations_are_written_with_units() -> None:
    variables = {"KEY_MAX_AGE": "90", "KEY_MAX_STALE": "2h", "MAX_TOKEN_LIFETIME": "7d", "CLOCK_LEEWAY": "1m"}
    settings = load_settings(variables)
    assert (settings.key_max_age, settings.key_max_stale) == (90, 7200)
    assert (settings.max_token_lifetime, settings.clock_leeway) == (604800, 60)


# Variables, and text that the error line must contain.
REJECTED: list[tuple[dict[str, str], str]] = [
    ({"OAUTH_SERVER_UR": "https://login.example.com"}, "did you mean OAUTH_SERVER_URL"),
    ({"OAUTH_SERVERURL": "https://login.example.com"}, "did you mean OAUTH_SERVER_URL"),
    ({"JWT_AUDIENCES": "x"}, "did you mean JWT_AUDIENCE"),
    ({"OAUTH_SERVER_URL": "login.example.com"}, "an absolute URL"),
    ({"OAUTH_SERVER_URL": "https://login.example.com/?a=b"}, "without user, query and fragment"),
    ({"OAUTH_SERVER_URL": 'https://login.example.com/"x'}, "an absolute URL"),
    ({"OAUTH_SERVER_URL": "https://user:pw@login.example.com"}, "without user"),
    ({"OAUTH_SERVER_URL": "https://login.example.com:99999"}, "an absolute URL"),
    ({"MCP_PUBLIC_URL": "http://localhost:3000"}, "with its path"),
    ({"MCP_PUBLIC_URL": "http://localhost:3000/mcp/"}, "without a trailing slash"),
    *(
        ({"MCP_PUBLIC_URL": f"http://localhost:3000{path}", "DISABLE_AUTH": off}, "serves something else at")
        for path in (
            "/livez",
            "/readyz",
            "/.well-known",
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resource/mcp",
            "/.well-known/openid-configuration",
        )
        for off in ("true", "false")
    ),
    *(
        ({"MCP_PUBLIC_URL": f"http://localhost:3000{path}"}, "in plain characters")
        for path in ("/m%63p", "/%6Dcp", "/a//mcp", "/a/./mcp", "/a/../mcp", "/mcp;v=1", "/..", "/a%2Fmcp", "//mcp")
    ),
    (
        {"MCP_PUBLIC_URL": "https://mcp.example.com/mcp"},
        "OAUTH_SERVER_URL=http://localhost:8080",
    ),
    ({**PUBLIC, "MCP_PUBLIC_URL": "http://mcp.example.com/mcp"}, "must be https unless it is on loopback"),
    ({"PORT": "http"}, "whole number from 0 to 65535"),
    ({"PORT": "65536"}, "whole number from 0 to 65535"),
    ({"AUTH_TOKEN_MODE": "opaque"}, "one of jwt, introspection"),
    ({"AUTH_TOKEN_MODE": "introspection"}, "needs OAUTH_CLIENT_SECRET"),
    ({"AUTH_TOKEN_MODE": "introspection", "OAUTH_CLIENT_SECRET_FILE": "/nowhere"}, "cannot be read"),
    ({"OAUTH_CLIENT_SECRET": "x", "OAUTH_CLIENT_SECRET_FILE": "y"}, "keep one"),
    ({**PUBLIC, "OAUTH_CLIENT_SECRET": "changeme"}, "placeholder"),
    ({"OAUTH_CLIENT_AUTH": "none"}, "one of basic, post, private_key_jwt"),
    ({"AUTH_TOKEN_MODE": "introspection", "OAUTH_CLIENT_AUTH": "post"}, "needs OAUTH_CLIENT_SECRET"),
    ({"AUTH_TOKEN_MODE": "introspection", "OAUTH_CLIENT_AUTH": "private_key_jwt"}, "needs OAUTH_CLIENT_KEY_FILE"),
    ({"OAUTH_CLIENT_AUTH": "private_key_jwt", "OAUTH_CLIENT_SECRET": "x"}, "keep one of the two"),
    ({"OAUTH_CLIENT_KEY_FILE": "/nowhere"}, "not used with OAUTH_CLIENT_AUTH=basic; set that to private_key_jwt"),
    ({"OAUTH_CLIENT_KEY_FILE": "/nowhere", "OAUTH_CLIENT_AUTH": "post"}, "not used with OAUTH_CLIENT_AUTH=post"),
    (
        {
            "AUTH_TOKEN_MODE": "introspection",
            "OAUTH_CLIENT_AUTH": "private_key_jwt",
            "OAUTH_CLIENT_KEY_FILE": "/nowhere",
        },
        "OAUTH_CLIENT_KEY_FILE=/nowhere: cannot be read (FileNotFoundError)",
    ),
    ({"OAUTH_SERVER_URL": "https://accounts.google.com"}, "use Keycloak or Dex"),
    ({"OAUTH_PROVIDER": "keyclock"}, "one of keycloak"),
    ({"DISABLE_AUTH": "maybe"}, "true or false"),
    ({"DISABLE_AUTH": "true", "HOST": "0.0.0.0"}, "set HOST and MCP_PUBLIC_URL to loopback"),  # noqa: S104 - the point of the row
    ({**PUBLIC, "DISABLE_AUTH": "1"}, "set HOST and MCP_PUBLIC_URL to loopback"),
    ({"MAX_TOKEN_BYTES": "9999999"}, "from 256 to 32768"),
    ({"MAX_MEMORY": "100M"}, "at least 128M"),
    ({"MAX_MEMORY": "much"}, "such as 512M or 2G"),
    ({"MAX_MEMORY": "-256M"}, "such as 512M or 2G"),
    ({"MAX_MEMORY": "0.5G"}, "such as 512M or 2G"),
    ({"MAX_MEMORY": "256T"}, "such as 512M or 2G"),
    ({"TOOL_TIMEOUT": "forever"}, "TOOL_TIMEOUT=forever: write a duration"),
    ({"MAX_TOKEN_LIFETIME": "1 day"}, "a duration such as"),
    ({"CLOCK_LEEWAY": "1h"}, "at most 300s"),
    ({"KEY_MAX_AGE": "0"}, "at least 1s"),
    ({"KEY_MAX_STALE": "1s"}, "must not be shorter"),
    ({"OAUTH_SERVER_URL": "http://login.example.com/realms/x"}, "must be https"),
    ({**PUBLIC, "OAUTH_INTERNAL_URL": "http://login.example.com/realms/x"}, "must be https"),
    ({"ALLOWED_ORIGINS": "*"}, "write origins such as"),
    ({"ALLOWED_ORIGINS": "https://app.example.com/"}, "write origins such as"),
    ({"ALLOWED_HOSTS": "http://mcp.example.com"}, "write hosts such as"),
    ({"ALLOWED_HOSTS": "*.example.com"}, "write hosts such as"),
    ({"TRUSTED_PROXIES": "*"}, "write addresses such as"),
    ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "write addresses such as"),
    ({"TRUSTED_PROXIES": "proxy"}, "write addresses such as"),
    ({"LOG_FORMAT": "xml"}, "one of auto, text, json"),
    ({"LEGACY_SESSIONS": "none"}, "one of stateful, stateless"),
]


@pytest.mark.parametrize(("variables", "message"), REJECTED)
def test_settings_that_cannot_work_are_rejected_in_one_line(variables: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as rejected:
        load_settings(variables)
    assert message in str(rejected.value)
    assert "\n" not in str(rejected.value)


def test_an_issuer_on_loopback_inside_a_container_needs_the_internal_url() -> None:
    with pytest.raises(SettingsError, match="OAUTH_INTERNAL_URL"):
        load_settings({}, in_container=True)
    with pytest.raises(SettingsError, match="OAUTH_INTERNAL_URL"):
        load_settings({"OAUTH_INTERNAL_URL": "http://localhost:8080/realms/mcp"}, in_container=True)
    internal = {"OAUTH_INTERNAL_URL": "http://keycloak:8080/realms/mcp"}
    assert load_settings(internal, in_container=True).internal_url == internal["OAUTH_INTERNAL_URL"]


def test_compose_s_own_variables_are_no_typing_errors() -> None:
    load_settings({"MCP_PORT": "1", "KEYCLOAK_PORT": "2", "DEX_PORT": "3", "HOME": "/", "PATH": "/bin", "OAUTH_X": "y"})


def test_an_unrelated_variable_similar_to_one_of_compose_s_is_no_typing_error() -> None:
    """The server does not read compose's variables, so similar names are not checked."""
    load_settings(
        {"HTTP_PORTS": "80", "LOGIN_HOSTS": "a", "MCP_USERS": "b", "MCP_PASSWORDS": "c", "KEYCLOAK_HEAPS": "d"}
    )
    for name in KNOWN_NAMES - set(NAMES):
        load_settings({name: "1"})


# Nine invalid starts, as users see them; a tenth, in a separate process, is below.
STARTS: list[tuple[dict[str, str], str]] = [
    ({"OAUTH_SERVER_UR": "https://login.example.com"}, "did you mean OAUTH_SERVER_URL?"),
    ({"OAUTH_SERVER_URL": "login.example.com"}, "OAUTH_SERVER_URL"),
    ({"MCP_PUBLIC_URL": "http://localhost:3000/"}, "MCP_PUBLIC_URL"),
    ({"MCP_PUBLIC_URL": "https://mcp.example.com/mcp"}, "must be https"),
    ({"PORT": "80a"}, "PORT=80a"),
    ({"AUTH_TOKEN_MODE": "introspection"}, "OAUTH_CLIENT_SECRET"),
    ({"OAUTH_SERVER_URL": "https://accounts.google.com"}, "use Keycloak or Dex"),
    ({"DISABLE_AUTH": "true", "HOST": "0.0.0.0"}, "DISABLE_AUTH"),  # noqa: S104 - the point of the row
    ({"RUNNING_IN_CONTAINER": "1"}, "OAUTH_INTERNAL_URL"),
]


@pytest.mark.parametrize(("variables", "message"), STARTS)
def test_a_bad_start_ends_with_one_line_and_exit_code_2(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with warnings.catch_warnings():
        assert main() == 2
    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    assert line.startswith("mcp-server: ")
    assert message in line
    assert output.out == ""


def test_the_process_ends_with_that_exit_code_and_no_traceback() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    ended = subprocess.run(
        [sys.executable, "-m", "mcp_server"],
        cwd=ROOT,
        env={**environment, "ACCESS_FILE": "no-such.yaml"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "mcp-server: no-such.yaml: cannot be read (No such file or directory)\n"


@pytest.mark.requirement("settings.no_secret_shown")
def test_a_secret_comes_from_its_file_and_is_never_printed(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cr3t-value\n", encoding="utf-8")
    settings = load_settings({"AUTH_TOKEN_MODE": "introspection", "OAUTH_CLIENT_SECRET_FILE": str(file)})
    assert settings.client_secret == "s3cr3t-value"
    assert "s3cr3t" not in f"{settings!r}{settings}"


def test_a_missing_secret_file_is_no_error_where_no_secret_is_needed() -> None:
    assert load_settings({"OAUTH_CLIENT_SECRET_FILE": "/nowhere"}).client_secret is None


def test_the_example_has_every_setting_commented_out() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    server = text[: text.index("# --- compose")]
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == []
    assert sorted(set(re.findall(r"^# ?([A-Z][A-Z0-9_]+)=", server, re.MULTILINE))) == sorted(NAMES)


def test_compose_reads_what_the_example_s_second_part_has() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    compose = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("docker-compose*.yml"))
    documented = set(re.findall(r"^# ?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE))
    read = set(re.findall(r"\$\{([A-Z][A-Z0-9_]+)", compose)) - {
        "COMPOSE_PROJECT_NAME",
        "DEX_FILES",
        "DEX_UPSTREAM",
    }  # compose sets these itself
    assert read - documented == set()
    # HOST and PORT are fixed in the container; MCP_PORT is the port on the host.
    container_only = {"HOST", "PORT", "OAUTH_CLIENT_SECRET_FILE"}
    without_compose = text[text.index("# --- the bootstrap without compose") :]
    bootstrap_only = set(re.findall(r"^# ?([A-Z][A-Z0-9_]+)=", without_compose, re.MULTILINE))
    assert documented - read - container_only == bootstrap_only
    assert set(KEYCLOAK) - documented == {"RUNNING_IN_CONTAINER"}
