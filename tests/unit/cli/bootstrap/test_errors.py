"""Usage errors of the bootstrap command: one line that says what to change, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.verification import create_client
from mcp_idp.cli.subcommands import run
from tests.support.compose_stack import free_port
from tests.support.fake_admin_api import TOKEN, keycloak

CONFIG = Path(__file__).parents[4] / "idp-config"
NOTHING = f"http://localhost:{free_port()}"


READER = {TOKEN: 200, "/admin": 403}
NO_SECRET = {"KEYCLOAK_ADMIN_CLIENT_SECRET": "", "KEYCLOAK_ADMIN_CLIENT_SECRET_FILE": "/nowhere"}
Mistake = tuple[str, dict[str, str], dict[str, int] | None, int, str]
MISTAKES: list[Mistake] = [
    ("plan", {"ACCESS_FILE": "nowhere.yaml"}, None, 2, "nowhere.yaml: cannot be read"),
    ("plan", {"KEYCLOAK_ADMIN_CLIENT_SECRET": ""}, None, 2, "KEYCLOAK_ADMIN_CLIENT_SECRET_FILE: set it to the file"),
    ("plan", NO_SECRET, None, 2, "KEYCLOAK_ADMIN_CLIENT_SECRET_FILE=/nowhere: cannot be read"),
    ("plan", {"OAUTH_SERVER_URL": "http://localhost:8080"}, None, 2, "ending with /realms/<name>"),
    ("replace-admin", {}, None, 2, "KEYCLOAK_ACCOUNTS: set it to"),
    ("render", {}, None, 2, "has no command render; its commands are plan"),
    ("plan", {}, None, 3, f"{NOTHING}/ does not respond"),
    ("plan", {}, {TOKEN: 401}, 2, "rejects the secret of its admin client 'bootstrap'"),
    ("plan", {"KEYCLOAK_ADMIN_REALM": "other"}, {TOKEN: 401}, 3, "has no realm 'other'"),
    ("plan", {"SCHEME": "https"}, {}, 3, "if Keycloak uses plain http, write http:// in OAUTH_INTERNAL_URL"),
    ("check", {}, READER, 2, "may not GET the realm: give its service account view-realm, view-clients, view-events"),
    ("apply", {}, {TOKEN: 200, "/admin/realms/mcp": 404, "/admin": 403}, 2, "the realm 'mcp' is not there, and"),
    ("apply", {"SSL_CERT_FILE": "nowhere.pem"}, {TOKEN: 200}, 2, "SSL_CERT_FILE=nowhere.pem: no certificate can be"),
    (
        "apply",
        {"SSL_CERT_FILE": str(CONFIG / "access.yaml")},
        {TOKEN: 200},
        2,
        "use a file of certificates in PEM, or",
    ),
    ("replace-admin", {"KEYCLOAK_ACCOUNTS": "accounts"}, READER, 2, "manage-users, roles of the client 'master-realm'"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda row: row[-1].replace(NOTHING, "a closed port"))
def test_a_mistake_is_one_line_that_says_what_to_change(
    mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command, variables, responses, code, message = mistake
    monkeypatch.chdir(tmp_path)
    with keycloak(responses or {}) as running:
        base = (NOTHING if responses is None else running).replace("http", variables.get("SCHEME", "http"), 1)
        granted = {
            "ACCESS_FILE": str(CONFIG / "access.yaml"),
            "OAUTH_SERVER_URL": f"{base}/realms/mcp",
            "KEYCLOAK_ADMIN_CLIENT_SECRET": "s" * 43,
            **variables,
        }
        for name, value in granted.items():
            monkeypatch.setenv(name, value)
        assert run(["bootstrap", command, "--wait", "0"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bootstrap: ")
    assert message in line
    assert "s" * 43 not in line


@pytest.mark.parametrize(
    "fault",
    [
        ("access.yaml", "scopes:\n", "scopes: [\n", "at line "),
        ("access.yaml", "base_scope:", "base_scop:", "did you mean 'base_scope'?"),
        ("keycloak/realm.yaml", "realm:\n", "realm: [\n", "at line "),
        ("keycloak/realm.yaml", "realm:\n", "realm: {}\nrealm:\n", "'realm' occurs twice"),
        ("keycloak/client-policies.yaml", "policies:\n", "policies: []\npolicies:\n", "'policies' occurs twice"),
        ("dex/dex.yaml", "storage:\n", "storage: {}\nstorage:\n", "'storage' occurs twice"),
    ],
)
def test_an_empty_or_ambiguous_file_is_reported_with_its_line(
    fault: tuple[str, str, str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name, old, new, message = fault
    for file in CONFIG.rglob("*"):
        if file.is_file():
            copy = tmp_path / file.relative_to(CONFIG)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert f"\n{old}" in f"\n{text}"
    (tmp_path / name).write_text(f"\n{text}".replace(f"\n{old}", f"\n{new}", 1)[1:], encoding="utf-8")
    monkeypatch.setenv("ACCESS_FILE", str(tmp_path / "access.yaml"))
    monkeypatch.setenv("KEYCLOAK_ADMIN_CLIENT_SECRET", "s" * 43)
    words = ["--provider", "dex", "plan"] if name.startswith("dex/") else ["apply", "--wait", "0"]
    assert run(["bootstrap", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / name) in line
    assert message in line
    assert "unicode string" not in line


@pytest.mark.parametrize("file", ["nowhere.pem", str(CONFIG / "access.yaml")])
def test_a_verification_client_without_authorities_names_the_setting(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", file)
    with pytest.raises(ConfigError, match=rf"^SSL_CERT_FILE={file}: no certificate"):
        create_client()
