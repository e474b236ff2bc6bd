"""The committed locks, checked without installing anything."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
from itertools import pairwise, product
from typing import TYPE_CHECKING

import pytest
from packaging.markers import default_environment

from tests.support.locks import EXTRAS, ROOT, installed, missing, pinned, read_lock, requested_packages

if TYPE_CHECKING:
    from collections.abc import Callable

LOCKS = [*EXTRAS]
NESTED = ["requirements.lock", "requirements-cli.lock", "requirements-demo.lock", "requirements-dev.lock"]
PYTHONS = ("3.11.0", "3.11.7", "3.12.1", "3.13.0", "3.14.0")
SYSTEMS = {
    "linux": ("posix", "Linux", "x86_64"),
    "darwin": ("posix", "Darwin", "arm64"),
    "win32": ("nt", "Windows", "AMD64"),
}


def lock(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def environments() -> list[dict[str, str]]:
    """Returns the marker variables of each system and Python version."""
    here = {name: str(value) for name, value in default_environment().items()}
    return [
        {
            **here,
            "sys_platform": system,
            "os_name": os_name,
            "platform_system": platform,
            "platform_machine": machine,
            "python_full_version": python,
            "implementation_version": python,
            "python_version": ".".join(python.split(".")[:2]),
        }
        for python, (system, (os_name, platform, machine)) in product(PYTHONS, SYSTEMS.items())
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_every_required_distribution(name: str) -> None:
    pins, known = read_lock(lock(name)), installed(sysconfig.get_path("purelib"))
    lines = [
        line
        for environment in environments()
        for line in missing(pinned(pins, environment), requested_packages(name), known, environment)
    ]
    assert lines == []


def test_what_runs_these_tests_is_what_the_lock_names() -> None:
    """Otherwise the test above would read requirements of other versions and find nothing."""
    pins, known = pinned(read_lock(lock("requirements-dev.lock"))), installed(sysconfig.get_path("purelib"))
    assert {name: known.get(name, ("missing",))[0] for name in pins} == pins


@pytest.mark.parametrize(
    ("name", "gone", "message"),
    [
        ("requirements.lock", "mcp", "the project asks for mcp<3"),
        ("requirements.lock", "mcp-types", "mcp asks for mcp-types"),
        ("requirements.lock", "cryptography", "pyjwt[crypto] asks for cryptography"),
        ("requirements.lock", "cffi", "cryptography asks for cffi"),
        ("requirements-cli.lock", "python-keycloak", "the project asks for python-keycloak"),
        ("requirements-demo.lock", "flask", "nanoidp asks for flask"),
        ("requirements-dev.lock", "coverage", "pytest-cov asks for coverage[toml]"),
        ("requirements-dev.lock", "fastmcp", "the project asks for fastmcp"),
        ("requirements-dev.lock", "mutmut", "the project asks for mutmut"),
    ],
)
def test_what_a_lock_lacks_is_named(name: str, gone: str, message: str) -> None:
    pins = pinned(read_lock(lock(name)))
    del pins[gone]
    lines = missing(pins, requested_packages(name), installed(sysconfig.get_path("purelib")))
    assert any(line.startswith(message) and line.endswith("the lock has none") for line in lines), lines


@pytest.mark.parametrize(
    ("known", "lines"),
    [
        ({}, []),
        ({"lib": ("1", ['far ; extra == "fast"'])}, ["lib[fast] asks for far"]),
        ({"lib": ("1", ['far ; extra == "slow"'])}, []),  # this extra was not requested
        ({"lib": ("2", ["far"])}, []),  # of another version than the one that is pinned
        ({"lib": ("1", ['lib[all] ; extra == "fast"', 'far ; extra == "all"'])}, ["lib[all] asks for far"]),
        (
            {"lib": ("1", ['Near[x] ; extra == "fast"']), "near": ("1", ['far ; extra == "x"'])},
            ["near[x] asks for far"],
        ),
        ({"lib": ("1", ['far ; sys_platform == "none"'])}, []),
        ({"lib": ("1", ["near>=2"])}, ["lib asks for near>=2"]),
        ({"lib": ("1", ["near[x]"]), "near": ("1", ["lib[fast]"])}, []),  # a circle
    ],
)
def test_extras_are_followed_as_far_as_they_lead(known: dict[str, tuple[str, list[str]]], lines: list[str]) -> None:
    found = missing({"lib": "1", "near": "1"}, ["lib[fast]>=1"], known)
    assert [line.split(",")[0].split(" ;")[0].split(";")[0] for line in found] == lines


@pytest.mark.parametrize(("smaller", "larger"), list(pairwise(NESTED)))
def test_an_environment_can_grow_from_one_lock_into_the_next(smaller: str, larger: str) -> None:
    assert set(read_lock(lock(smaller))) < set(read_lock(lock(larger)))


def test_installing_a_lock_resolves_nothing() -> None:
    """Only `scripts/venv` and the Dockerfile install locks."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    programs = [
        name
        for name in listed
        if name.startswith((".ci/", "bench/", "idp-config/", "mcp_idp/", "mcp_server/", "scripts/"))
    ]
    commands = {
        (name, line)
        for name in programs
        for line in (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        if re.search(r"\bpip install\b", line) and not line.lstrip().startswith("#") and re.search(r"\s-r|--req", line)
    }
    assert {name for name, _ in commands} == {"scripts/venv", "mcp_server/Dockerfile"}
    for name, line in commands:
        assert {"--no-deps", "--require-hashes"} <= set(line.split()), f"{name}: {line}"
    images = [line for name, line in commands if name == "mcp_server/Dockerfile"]
    assert len(images) == 2
    assert all("--only-binary :all:" in line and line.endswith("&& pip check") for line in images)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_names_versions_markers_and_hashes(name: str) -> None:
    assert read_lock(lock(name))


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example/simple",
        "--extra-index-url https://packages.example/simple",
        "-i https://packages.example/simple",
        "--find-links wheels",
        "--trusted-host packages.example",
        "lib @ https://packages.example/lib-1.0-py3-none-any.whl",
        "-e git+https://code.example/lib#egg=lib",
        "lib==1.0 --hash=sha256:" + 64 * "0",
        "# from https://packages.example/simple",
        "lib>=1.0 \\",
        "lib[fast]==1.0 \\",
        "lib==1.0",
        "    --hash=md5:" + 32 * "0",
        "-r other.lock",
        "-c https://packages.example/constraints.txt",
    ],
)
@pytest.mark.parametrize("put", [lambda line, text: f"{line}\n{text}", lambda line, text: f"{text}{line}\n"])
def test_anything_else_in_a_lock_is_rejected(line: str, put: Callable[[str, str], str]) -> None:
    with pytest.raises(ValueError, match="neither a pin nor a hash"):
        read_lock(put(line, lock("requirements.lock")))


@pytest.mark.parametrize("name", ["uv.lock", "pylock.toml", "pylock.dev.toml", "docs/uv.lock", "bench/pylock.toml"])
def test_a_lock_that_names_addresses_cannot_be_added_unawares(name: str) -> None:
    ignored = subprocess.run(["git", "check-ignore", "--no-index", "--quiet", name], cwd=ROOT, check=False)
    assert ignored.returncode == 0


def test_no_lock_that_names_addresses_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    names = [path.rsplit("/", 1)[-1] for path in listed]
    assert [name for name in names if name == "uv.lock" or (name.startswith("pylock") and name.endswith("toml"))] == []
    assert sorted(name for name in names if name.startswith("requirements") and name.endswith(".lock")) == sorted(LOCKS)


def test_npm_locks_have_a_digest_for_each_package_and_no_address() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    locks = [path for path in listed if path.endswith("package-lock.json")]
    assert len(locks) > 1
    for path in locks:
        packages = json.loads((ROOT / path).read_text(encoding="utf-8"))["packages"]
        installed = {name: package for name, package in packages.items() if name and not package.get("link")}
        wrong = [name for name, one in installed.items() if "integrity" not in one or "resolved" in one]
        assert wrong == [], path
