"""The command as it is installed: from the wheel, in editable mode, and from the checkout, each in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.compose_stack import free_port
from tests.support.desired_state import CONFIG
from tests.support.wheel_install import add_dependencies, build_wheel

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(300)  # two virtual environments are made
INSTALLS = ("wheel", "editable", "checkout")
# What a folder of the repository beside the package has to be called in the wheel, too.
PROVIDERS = ("auth0", "dex", "entra", "keycloak")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The command of each kind of installation. The dependencies are those of the tests; mcp_idp is not among them."""
    found = {"checkout": [sys.executable, "-m", "mcp_idp.cli"]}
    for name, what in (("wheel", [str(wheel)]), ("editable", ["--no-build-isolation", "--editable", str(ROOT)])):
        venv = tmp_path_factory.mktemp(name) / "venv"
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        python = venv / "bin" / "python"
        add_dependencies(venv)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", *what]
        subprocess.run(pip, check=True, capture_output=True)
        found[name] = [str(venv / "bin" / "mcp-idp")]
    return found


@pytest.fixture(params=INSTALLS)
def command(
    request: pytest.FixtureRequest, programs: dict[str, list[str]], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command in an empty folder, as it is installed."""
    kind: str = request.param
    empty = tmp_path / "empty"
    empty.mkdir()

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        checkout = {"PYTHONPATH": str(ROOT)} if kind == "checkout" else {}
        return subprocess.run(
            [*programs[kind], *words],
            cwd=empty,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NO_COLOR": "1", **checkout, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_the_wheel_holds_the_library_the_command_and_its_files_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"mcp_idp", f"{wheel.name.split('-py3')[0]}.dist-info"}
    carried = {name.removeprefix("mcp_idp/cli/idp-config/") for name in names if "/idp-config/" in name}
    assert carried == {str(path.relative_to(CONFIG)) for path in CONFIG.rglob("*") if path.is_file()}
    assert [name for name in names if name.endswith((".pyc", ".env", ".orig"))] == []


def test_the_command_runs_where_nothing_is(command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert command("--help").stdout.startswith("Usage: mcp-idp ")
    assert re.fullmatch(r"mcp-idp \d+\.\d+\.\d+\n", command("--version").stdout)
    doctor = command("doctor", "http://localhost:1/mcp")
    assert (doctor.returncode, doctor.stderr) == (3, "")


@pytest.mark.parametrize(
    "words", [["bootstrap", "plan"], ["bootstrap", "apply"], ["serve", "mcp_idp.cli.demo.server:create_app"]]
)
def test_demo_users_are_never_created_by_default(
    words: list[str], command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """The access file that comes along serves the demo only."""
    done = command(*words, KEYCLOAK_ADMIN_CLIENT_SECRET="s" * 43)
    assert (done.returncode, done.stdout) == (2, "")
    assert "idp-config/access.yaml" in done.stderr
    assert "cannot be read" in done.stderr


def test_providers_files_come_along(command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    access = tmp_path / "access.yaml"
    shutil.copy(CONFIG / "access.yaml", access)
    plan = command(
        "bootstrap", "--provider", "dex", "plan", ACCESS_FILE=str(access), OAUTH_SERVER_URL="http://localhost:5556"
    )
    assert (plan.returncode, plan.stderr) == (0, "")
    assert "config.yaml" in plan.stdout
    unreachable = f"http://localhost:{free_port()}/realms/mcp"
    variables = {"ACCESS_FILE": str(access), "KEYCLOAK_ADMIN_CLIENT_SECRET": "s" * 43, "OAUTH_SERVER_URL": unreachable}
    plan = command("bootstrap", "plan", "--wait", "0", **variables)
    assert (plan.returncode, plan.stdout) == (3, "")
    assert "does not respond" in plan.stderr


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_the_pytest_plugin_is_installed(kind: str, programs: dict[str, list[str]], tmp_path: Path) -> None:
    """The page's tests run, with pytest as it finds the plugin itself."""
    (program,) = programs[kind]
    page = (ROOT / "docs" / "testing-your-server.md").read_text(encoding="utf-8")
    (tests,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "test_server.py").write_text(tests, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run([program, "init"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    pytest_command = [str(Path(program).with_name("python")), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        pytest_command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^1\d\d passed", done.stdout, re.MULTILINE)


def test_the_demo_runs_where_nothing_is(
    command: Callable[..., subprocess.CompletedProcess[str]], request: pytest.FixtureRequest
) -> None:
    done = command("demo", "--port", str(free_port()), "--idp-port", str(free_port()))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^STEP (\d)", done.stdout, re.MULTILINE) == list("12345678")
    assert "Hello, reader!" in done.stdout
    # The checkout's server, which has more tools, is started where there is one.
    assert ("calculator" in done.stdout) == ("wheel" not in request.node.callspec.id)
