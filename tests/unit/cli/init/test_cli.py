"""`mcp-idp init`: what it writes, what it leaves alone, and what it says."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mcp_idp import load_settings
from mcp_idp.access.policy import load_access
from mcp_idp.application import is_protected
from mcp_idp.cli.bootstrap.network_checks import require_production_safe
from mcp_idp.cli.common.server_env import server_environment
from mcp_idp.cli.init.installed_wheel import WHEEL_NAME
from mcp_idp.cli.serve.application import find_application, protected
from mcp_idp.cli.subcommands import run
from tests.support.desired_state import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[4]
REALM = "https://login.example.com/realms/team"
ALWAYS = {"idp-config/access.yaml", "idp-config/access.schema.json", ".env", "docker-compose.yml"}
# Every combination of what changes a file.
VARIANTS = [
    f"{existing} {issuer} {image}"
    for existing in ("", "--existing orders.main:mcp")
    for issuer in ("", f"--issuer {REALM}", "--issuer http://localhost:8080/realms/team")
    for image in ("", "--dockerfile")
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def init(place: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Runs the command with `--json` in an empty folder."""

    def report(words: str = "") -> dict[str, Any]:
        assert run(["init", "--json", *words.split()]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return report


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("words", VARIANTS)
def test_every_file_it_writes_is_valid(words: str, place: Path, init: Callable[..., dict[str, Any]]) -> None:
    report = init(words)
    written = files_of(place)
    expected = ALWAYS | ({"server.py"} if "--existing" not in words else set())
    expected |= {"Dockerfile"} if "--dockerfile" in words else set()
    expected |= {"keycloak.Caddyfile"} if "--issuer" not in words else set()
    assert {name for name in report["written"] if not name.startswith("wheels/")} == expected
    assert set(report["written"]) == written.keys()
    text = b"\n".join(content for name, content in written.items() if name.endswith((".yaml", ".yml", ".env")))
    assert b"#%" not in text
    assert not re.search(rb"@[A-Z_]+@", text)
    access = load_access(place / "idp-config" / "access.yaml")
    assert len(access.scopes) == 2
    assert bool(access.tools) == ("--existing" not in words)
    assert bool(access.demo_users) == ("login.example.com" not in words)
    compose = yaml.safe_load(written["docker-compose.yml"])
    assert ("keycloak" in compose["services"]) == ("--issuer" not in words)
    published = {name for name, service in compose["services"].items() if "ports" in service}
    assert published - {"mcp-server"} == ({"front"} if "--issuer" not in words else set())
    assert ("mcp-server" in compose["services"]) == ("--dockerfile" in words)
    assert len(report["next"]) == 3
    for name in compose["services"].keys() & {"bootstrap", "mcp-server"}:
        service = compose["services"][name]
        assert compose["x-access-file"] in service["volumes"]
        assert service["environment"]["ACCESS_FILE"] == "./${ACCESS_FILE:-idp-config/access.yaml}"


@pytest.mark.parametrize("words", ["", f"--issuer {REALM}", "--port 3100 --keycloak-port 8180"])
def test_the_server_starts_with_the_settings_file(words: str, place: Path, init: Callable[..., dict[str, Any]]) -> None:
    init(words)
    settings = load_settings(server_environment({}, place / ".env"))
    port, keycloak = ("3100", "8180") if "--port" in words else ("3000", "8080")
    assert settings.public_url == f"http://localhost:{port}/mcp"
    assert settings.issuer == (REALM if "--issuer" in words else f"http://localhost:{keycloak}/realms/mcp")


def test_the_schema_is_beside_the_access_file_that_names_it(place: Path, init: Callable[..., dict[str, Any]]) -> None:
    init()
    first, *_ = (place / "idp-config" / "access.yaml").read_text(encoding="utf-8").splitlines()
    name = first.removeprefix("# yaml-language-server: $schema=")
    assert (place / "idp-config" / name).read_bytes() == (CONFIG / "access.schema.json").read_bytes()


@pytest.mark.parametrize("framework", ["sdk", "fastmcp", "starlette"])
def test_the_new_server_is_behind_protect_and_its_tools_are_listed(
    framework: str, place: Path, init: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    init(f"--framework {framework}")
    (place / "server.py").rename(place / f"server_of_{framework}.py")  # imported modules are kept
    monkeypatch.syspath_prepend(place)
    app = find_application(f"server_of_{framework}:app")
    assert is_protected(app)
    assert protected(app, load_settings({})) is app
    source = ast.parse((place / f"server_of_{framework}.py").read_text(encoding="utf-8"))
    tools = {node.name for node in source.body if isinstance(node, ast.AsyncFunctionDef)}
    assert tools == load_access(place / "idp-config" / "access.yaml").tools.keys()


def test_its_keycloak_and_proxy_are_those_of_the_stack(place: Path, init: Callable[..., dict[str, Any]]) -> None:
    init()
    services = [
        yaml.safe_load((folder / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
        for folder in (place, ROOT)
    ]
    own, stack = (service["keycloak"] for service in services)
    stack["environment"].pop("KC_FEATURES")  # which the stack lets one set; `init` leaves it out
    lines = stack["entrypoint"][2].splitlines(keepends=True)
    stack["entrypoint"][2] = "".join(line for line in lines if "KC_FEATURES" not in line)
    options = dict(re.findall(r"\b(KC_\w+)=([\w$-]+)", own.pop("build")["dockerfile_inline"]))
    dockerfile = (CONFIG / "keycloak" / "Dockerfile").read_text(encoding="utf-8")
    built = dict(re.findall(r"\b(KC_\w+)=([\w$-]+)", dockerfile))
    del built["KC_METRICS_ENABLED"]  # for production
    arguments = stack.pop("build")["args"]
    assert options == {**built, "KC_DB": arguments["DB"], "KC_CACHE": arguments["CACHE"]}
    assert own["healthcheck"].pop("retries") >= stack["healthcheck"].pop("retries")
    assert own == stack
    own, stack = (service["front"] for service in services)
    assert own.pop("volumes") == ["./keycloak.Caddyfile:/etc/caddy/Caddyfile:ro,z"]
    assert stack.pop("volumes") == ["./idp-config/keycloak/local.Caddyfile:/etc/caddy/Caddyfile:ro,z"]
    assert own == stack


def test_an_access_file_off_this_machine_passes_the_checks_of_production(
    place: Path, init: Callable[..., dict[str, Any]]
) -> None:
    init(f"--issuer {REALM}")

    class Public:
        server_url = internal_url = REALM
        public_url = "https://mcp.example.com/mcp"
        access = load_access(place / "idp-config" / "access.yaml")
        in_container = False

    require_production_safe(Public(), "loopback-only")


def test_a_second_run_keeps_every_file(place: Path, init: Callable[..., dict[str, Any]]) -> None:
    init()
    for path in place.rglob("*"):
        if path.is_file():
            path.write_bytes(b"mine")
    report = init("--framework fastmcp")
    assert report["written"] == []
    assert ALWAYS | {"server.py"} <= set(report["skipped"])
    assert set(files_of(place).values()) == {b"mine"}
    assert init("--force")["skipped"] == []
    assert b"mine" not in files_of(place).values()


@pytest.mark.parametrize("force", ["", "--force"])
def test_a_link_is_never_followed(force: str, place: Path, init: Callable[..., dict[str, Any]]) -> None:
    outside = place.with_name("outside")
    outside.write_bytes(b"theirs")
    (place / ".env").symlink_to(outside)
    (place / "server.py").symlink_to(place / "nowhere")
    report = init(force)
    assert outside.read_bytes() == b"theirs"
    assert not (place / "nowhere").exists()
    assert (place / ".env").is_symlink() == (not force)
    assert {".env", "server.py"} <= set(report["written" if force else "skipped"])


@pytest.mark.parametrize("force", ["", "--force"])
def test_a_dry_run_writes_nothing_and_reports_the_same(
    force: str, place: Path, init: Callable[..., dict[str, Any]]
) -> None:
    (place / ".env").write_bytes(b"mine")
    planned = init(f"--dry-run {force}")
    assert files_of(place) == {".env": b"mine"}
    assert {**planned, "dry_run": False} == init(force)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--issuer login.example.com", "--issuer"),
        ("--issuer ftp://login.example.com/realms/team", "--issuer"),
        ("--issuer https://login.example.com", "Keycloak realm"),
        ("--issuer https://login.example.com/realms/", "Keycloak realm"),
        ("--issuer https://login.example.com/realms/a/b", "Keycloak realm"),
        ("--issuer https://login.example.com/realms/team/", "Keycloak realm"),
        ("--issuer https://login.example.com/realms/master", "master"),
        ("--issuer https://user@login.example.com/realms/team", "--issuer"),
        ("--issuer https://login.example.com/realms/${HOME}", "Keycloak realm"),
        ("--issuer 'https://login.example.com/realms/a\nHOST=0.0.0.0'", "--issuer"),
        ("--issuer https://login.example.com/realms/a?b", "--issuer"),
        ("--existing orders", "MODULE:APP"),
        ("--existing orders:", "MODULE:APP"),
        ("--existing ../orders:app", "MODULE:APP"),
        ("--existing orders.py:app", None),
        ("--existing 'orders:app\nUSER root'", "MODULE:APP"),
        ("--existing 'orders:app\", \"--host'", "MODULE:APP"),
        ("--existing orders:create()", "MODULE:APP"),
        ("--framework django", "--framework"),
        ("--port 0", "--port"),
        ("--port 8080", "--keycloak-port"),
        ("a b", "b"),
    ],
)
def test_a_wrong_value_is_one_line_and_writes_nothing(
    words: str, named: str | None, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["init", *shlex.split(words)])
    captured = capsys.readouterr()
    if named is None:
        assert code == 0
        return
    assert (code, captured.out, files_of(place)) == (2, "", {})
    (line,) = (line for line in captured.err.splitlines() if line.startswith("Error: "))
    assert named in line


@pytest.mark.parametrize(
    ("obstacle", "words"),
    [("file", "file"), ("idp-config", ""), ("file", "file/inner"), (".env/", "--force"), ("server.py/", "--force")],
)
def test_what_cannot_be_written_is_one_line(
    obstacle: str, words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / obstacle).mkdir() if obstacle.endswith("/") else (place / obstacle).write_bytes(b"mine")
    assert run(["init", *words.split()]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("Error: "))
    assert "cannot be written" in line
    assert obstacle.rstrip("/") in line
    assert not obstacle.endswith("/") or files_of(place) == {}


def test_the_output_lists_the_files_and_the_next_commands(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / ".env").write_bytes(b"mine")
    assert run(["init", "--existing", "orders.main:mcp", "--framework", "fastmcp"]) == 0
    output = capsys.readouterr().out
    assert "\nwrote        docker-compose.yml\n" in output
    assert "skipped      .env (it exists: --force replaces it)" in output
    assert "  from mcp_idp import load_settings, protect\n  app = protect(mcp, load_settings(os.environ))  #" in output
    commands = output.partition("\nNext:\n")[2].splitlines()[:3]
    assert [line.split("  ")[1] for line in commands] == [
        "docker compose run --rm bootstrap",
        "mcp-idp serve orders.main:mcp --env-file .env",
        "MCP_PASSWORD=reader mcp-idp login --headless --user reader",
    ]


def test_another_folder_is_created(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "a/new one"]) == 0
    assert files_of(place / "a" / "new one").keys() >= ALWAYS
    assert f"Next, in a{os.sep}new one:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("is_package", "copied"), [(True, "COPY orders ./orders"), (False, "COPY orders.py ./orders.py")]
)
def test_the_image_holds_the_existing_servers_code(
    place: Path, init: Callable[..., dict[str, Any]], copied: str, *, is_package: bool
) -> None:
    if is_package:
        (place / "orders").mkdir()
    init("--existing orders.main:mcp --dockerfile")
    text = (place / "Dockerfile").read_text(encoding="utf-8")
    assert copied in text.splitlines()
    assert f"/wheels/{WHEEL_NAME}[cli]" in text
    assert text.endswith('ENTRYPOINT ["mcp-idp", "serve", "orders.main:mcp"]\n')
