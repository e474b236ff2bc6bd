"""The command as a whole: help, exit codes, names, completion, and what it needs to be installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mcp_idp import __version__
from mcp_idp.cli.common.launcher import as_launched
from mcp_idp.cli.subcommands import run
from tests.support.fake_mcp_server import fake_for_a_program

ROOT = Path(__file__).parents[3]
SUBCOMMANDS = ("init", "serve", "login", "token", "inspect", "doctor", "demo", "bootstrap")
TOOLS = {"bcrypt", "click", "keycloak", "rich"}


def python(program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_help_names_every_subcommand_and_imports_none() -> None:
    program = "import sys; from mcp_idp.cli.subcommands import run; run(['--help']); print(*sys.modules)"
    output = python(program).stdout
    listing, _, modules = output.rstrip().rpartition("\n")
    assert [name for name in SUBCOMMANDS if f"\n  {name} " not in listing] == []
    assert [name for name in SUBCOMMANDS if f"mcp_idp.cli.{name}.cli" in modules.split()] == []
    assert {"keycloak", "bcrypt", "mcp"} & set(modules.split()) == set()


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_help_has_examples_and_exit_codes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    output = capsys.readouterr().out
    assert f"Usage: mcp-idp {name}" in output
    assert re.search(rf"^examples.*mcp-idp {name}", output, re.MULTILINE | re.DOTALL)
    assert "xit codes" in output
    assert max(map(len, output.splitlines())) <= 120


def test_the_version_is_the_librarys(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"mcp-idp {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [[], ["destroy"], ["--destroy"], ["--completion", "tcsh"], *[[name, "--destroy"] for name in SUBCOMMANDS]],
    ids=" ".join,
)
def test_a_wrong_command_line_is_exit_code_2_and_standard_error(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Usage: mcp-idp" in captured.err


@pytest.mark.parametrize("name", ["login", "token", "doctor"])
def test_a_server_is_an_argument_or_an_option_and_not_two_servers(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_for_a_program(monkeypatch):
        for words in (["ftp://x/mcp"], ["--url", "ftp://x/mcp"], ["ftp://x/mcp", "--url", "ftp://x/mcp"]):
            assert run([name, *words]) == 2
            assert "ftp://x/mcp" in capsys.readouterr().err
        assert run([name, "http://a/mcp", "--url", "http://b/mcp"]) == 2
        assert "given twice" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_asks_the_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--completion", shell]) == 0
    assert f"_MCP_IDP_COMPLETE={shell}_complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "number", "completed"),
    [("mcp-idp d", "1", {"doctor", "demo"}), ("mcp-idp bootstrap pr", "2", {"prune", "probe"})],
)
def test_subcommands_are_completed(words: str, number: str, completed: set[str]) -> None:
    program = "from mcp_idp.cli.subcommands import run; run([])"
    variables = {"_MCP_IDP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": number}
    lines = python(program, **variables).stdout.splitlines()
    assert {line.rpartition(",")[2] for line in lines} == completed


def test_a_text_names_the_script_that_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "run mcp-idp bootstrap plan, then mcp-idp login; pip install mcp-idp; mcp-idp loginx"
    assert as_launched(text) == text
    monkeypatch.setenv("MCP_IDP_LAUNCHER", "scripts")
    launched = "run ./scripts/bootstrap_idp.py plan, then ./scripts/login; pip install mcp-idp; mcp-idp loginx"
    assert as_launched(text) == launched


@pytest.mark.parametrize("name", [*SUBCOMMANDS[2:-1], "bootstrap_idp.py"])
def test_every_launcher_starts_its_subcommand_and_calls_it_by_its_own_name(name: str) -> None:
    subcommand = "bootstrap" if name == "bootstrap_idp.py" else name
    text = (ROOT / "scripts" / name).read_text(encoding="utf-8")
    if name == "bootstrap_idp.py":
        assert 'main(["bootstrap", *sys.argv[1:]])' in text
    else:
        assert f'.venv/bin/python -m mcp_idp.cli {name} "$@"' in text
        assert "export MCP_IDP_LAUNCHER=scripts" in text
    program = "from mcp_idp.cli.main import main; raise SystemExit(main([__import__('sys').argv[1], '--help']))"
    output = python(program, subcommand, MCP_IDP_LAUNCHER="scripts").stdout
    assert output.startswith(f"Usage: ./scripts/{name} ")
    assert "mcp-idp " not in output


@pytest.mark.parametrize("missing", sorted(TOOLS))
def test_without_the_extra_the_command_says_how_to_install_it(missing: str) -> None:
    program = f"""
import sys
class WithoutOne:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name == {missing!r} else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [WithoutOne(finder) for finder in sys.meta_path]
from mcp_idp.cli.main import main
raise SystemExit(main(["--help"]))
"""
    done = python(program)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"mcp-idp: {missing} not installed: pip install 'mcp-idp[cli]'")
    assert done.stderr.count("\n") == 1


def test_the_entry_point_needs_the_standard_library_alone() -> None:
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import mcp_idp.cli.main"
    command = [sys.executable, "-I", "-S", "-c", program]
    subprocess.run(command, check=True, capture_output=True)
    command[-1] += "; raise SystemExit(mcp_idp.cli.main.main(['login']))"
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'mcp-idp[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_distribution_names_the_command_and_its_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "mcp-idp"
    assert project["scripts"] == {"mcp-idp": "mcp_idp.cli.main:main"}
    assert {"cli", "embedded"} <= project["optional-dependencies"].keys()
