"""Tests the direction of imports over the whole tree, from the source text: imports for types count too."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import mcp_idp

ROOT = Path(__file__).parents[2]
PACKAGES = ("mcp_idp", "mcp_server", "scripts", "tests", "bench", "docs")
# Each layer imports only from earlier layers of this list; modules of one layer do not import each other.
LIBRARY = (
    ("errors", "principal", "providers"),
    ("util",),
    ("access", "config"),
    ("observability", "http_server"),
    ("oauth",),
    ("tokens",),
    ("http",),
    ("auth",),
    ("mcp_protocol", "adapters"),
    ("state_metrics",),
    ("application",),
    ("registrar",),
    ("server",),
    ("cli",),
    ("testing",),
)
COMMAND = (
    ("common",),
    ("bootstrap", "inspect"),
    ("login",),
    ("demo", "doctor", "init", "serve"),
    ("token",),
    ("subcommands",),
    ("main",),
)
KEYCLOAK = (
    ("client_authentication",),
    ("credential_loading",),
    ("settings",),
    ("admin_client",),
    ("lookups",),
    ("state",),
    ("resources",),
    ("templates",),
    ("desired",),
    ("executor", "realm_ownership"),
    ("planner", "removal"),
    ("realm_verification",),
    ("change_log", "initial_access_tokens", "stale_clients"),
    ("admin_accounts",),
    ("runner",),
    ("compliance",),
    ("probe",),
    ("commands",),
)
MAX_LINES = 400


def module_paths(*packages: str) -> dict[str, Path]:
    """Returns the path of each module by dotted name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        if "node_modules" not in path.parts  # npm packages that the tests install
    }


def imports(path: Path, modules: dict[str, Path]) -> set[str]:
    """Returns the modules of `modules` that a file imports, including imports for types."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in names}
    return found & modules.keys()


def upward(prefix: str, layers: tuple[tuple[str, ...], ...]) -> list[str]:
    """Returns the imports between parts of the package `prefix` that violate the order of `layers`."""
    rank = {name: number for number, layer in enumerate(layers) for name in layer}
    modules = module_paths(prefix.replace(".", "/"))
    depth = prefix.count(".") + 1
    wrong = []
    for name, path in modules.items():
        for other in imports(path, modules):
            if name.count(".") < depth or other.count(".") < depth:
                continue  # the package's own __init__, whose imports are checked by themselves
            part, target = name.split(".")[depth], other.split(".")[depth]
            if part != target and not part.startswith("__") and rank[target] >= rank[part]:
                wrong.append(f"{name} imports {other}")
    return sorted(wrong)


@pytest.mark.parametrize(
    ("prefix", "layers"),
    [("mcp_idp", LIBRARY), ("mcp_idp.cli", COMMAND), ("mcp_idp.cli.bootstrap.keycloak", KEYCLOAK)],
)
def test_imports_run_in_one_direction(prefix: str, layers: tuple[tuple[str, ...], ...]) -> None:
    parts = {path.stem if path.is_file() else path.name for path in (ROOT / prefix.replace(".", "/")).iterdir()}
    named = {name for layer in layers for name in layer}
    assert {part for part in parts if not part.startswith("__")} - named <= {"py", "landing_page"}, (
        "a part has no layer"
    )
    assert upward(prefix, layers) == []


def test_the_shared_bootstrap_code_depends_on_no_provider() -> None:
    modules = module_paths("mcp_idp/cli/bootstrap")
    providers = ("keycloak", "dex", "auth0", "entra")
    shared = {name: path for name, path in modules.items() if name.split(".")[3:4] not in [[p] for p in providers]}
    wrong = {
        f"{name} imports {other}"
        for name, path in shared.items()
        for other in imports(path, modules)
        if other not in shared
    }
    assert wrong == set()


def test_no_module_is_part_of_an_import_circle() -> None:
    modules = module_paths(*PACKAGES)
    # `mcp_idp/__init__.py` names its public modules for type checkers only and imports each on first use.
    graph = {name: imports(path, modules) - {"mcp_idp"} for name, path in modules.items() if name != "mcp_idp"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]), pytrace=False)


def test_the_library_imports_nothing_of_this_repository() -> None:
    others = module_paths(*PACKAGES[1:])
    wrong = {name: found for name, path in module_paths("mcp_idp").items() if (found := imports(path, others))}
    assert wrong == {}


@pytest.mark.parametrize("folder", ["mcp_server", "docs/examples"])
def test_the_server_and_the_examples_use_public_names_only(folder: str) -> None:
    private = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "mcp_idp":
                names = {alias.name for alias in node.names} - set(mcp_idp.__all__)
                private += [f"{path.name}: {node.module}.{name}" for name in names]
                private += [f"{path.name}: {node.module}"] if node.module != "mcp_idp" else []
    assert private == []


def test_every_public_name_resolves_and_importing_the_package_loads_nothing() -> None:
    program = (
        "import sys; before = set(sys.modules); import mcp_idp; "
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('_')))"
    )
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = ast.literal_eval(printed.stdout)
    assert [name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names] == ["mcp_idp"]
    assert [name for name in mcp_idp.__all__ if getattr(mcp_idp, name, None) is None] == []


def test_the_library_imports_no_library_of_the_command() -> None:
    extras = {"bcrypt", "click", "keycloak", "nanoidp", "rich"}
    wrong = []
    for name, path in module_paths("mcp_idp").items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if extras & {module.partition(".")[0] for module in modules} and not name.startswith("mcp_idp.cli."):
                wrong.append(name)
    assert wrong == []
    # Others import click, rich and bcrypt where they are installed: uvicorn, structlog, cryptography.
    loaded = "sorted({'keycloak', 'nanoidp', 'typer'} & {*sys.modules})"
    program = f"import sys, mcp_idp; [getattr(mcp_idp, name) for name in mcp_idp.__all__]; print({loaded})"
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert printed.stdout == "[]\n"


def test_the_corpus_and_its_issuer_need_no_test_tools() -> None:
    program = (
        "import sys; sys.modules |= dict.fromkeys(('pytest', 'hypothesis', 'tests', 'mcp_server')); "
        "import mcp_idp.testing.corpus.assertions, mcp_idp.testing.corpus.benign_cases; "
        "import mcp_idp.testing.corpus.all_attacks"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)


def test_what_the_secrets_image_runs_needs_the_standard_library_only() -> None:
    command = [sys.executable, "-S", "-c", "import mcp_idp.cli.bootstrap.secret_file"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def test_the_environment_is_read_where_a_process_starts_only() -> None:
    readers = {
        name
        for name, path in module_paths("mcp_idp", "mcp_server").items()
        if not name.startswith("mcp_idp.cli.")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers == {"mcp_idp.server", "mcp_idp.registrar.__main__"}


def test_no_module_is_too_long() -> None:
    lengths = {
        name: len(path.read_text(encoding="utf-8").splitlines())
        for name, path in module_paths("mcp_idp", "mcp_server").items()
    }
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_no_test_imports_another_test() -> None:
    modules = module_paths("tests")
    wrong = [
        f"{name} imports {other}"
        for name, path in modules.items()
        for other in imports(path, modules)
        if other.rpartition(".")[2].startswith("test_")
    ]
    assert wrong == []
