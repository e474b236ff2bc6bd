"""scripts/venv installs test distributions, and the real locks from pip's configured index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from tests.support.locks import EXTRAS, ROOT, installed, missing, pinned, read_lock, requested_packages
from tests.support.wheelhouse import add_wheel, lock_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)  # creating virtual environments takes most of the time

SMALLEST, CLI = "requirements.lock", "requirements-cli.lock"


# The pip bundled with the first release of each Python. No other pip is ever installed.
OLDEST_PIP = {(3, 11): "22.3", (3, 12): "23.2.1", (3, 13): "24.2", (3, 14): "25.2"}
# The cheapest one always runs; others may take minutes.
LOCKS = [pytest.param(lock, marks=[] if lock == SMALLEST else [pytest.mark.full]) for lock in EXTRAS]


class Place:
    """A folder like the repository, whose locks name wheels of `wheels`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.wheels = folder, folder / "wheels"
        self.venv = folder / ".venv"
        (folder / "scripts").mkdir()
        self.wheels.mkdir()
        shutil.copy(ROOT / "scripts" / "venv", folder / "scripts")

    def add(self, name: str, version: str, *requirements: str) -> Path:
        return add_wheel(self.wheels, name, version, requirements)

    def write(self, lock: str, *wheels: Path) -> None:
        (self.folder / lock).write_text(lock_of(*wheels), encoding="utf-8")

    def install(self, lock: str) -> subprocess.CompletedProcess[str]:
        """Runs scripts/venv."""
        remaining = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
        pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        command: list[str | Path] = [self.folder / "scripts" / "venv", lock]
        environment = {**remaining, **pip, "PYTHON": sys.executable}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def installed(self) -> dict[str, str]:
        """Returns name → version of the installed distributions, without those that every environment has."""
        (site,) = self.venv.glob("lib/python*/site-packages")
        found = {name: version for name, (version, _) in installed(str(site)).items()}
        return {name: version for name, version in found.items() if name not in {"pip", "setuptools"}}


def empty_environment(folder: Path, pip: str) -> None:
    """Creates a virtual environment as a Python with this bundled pip does."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", f"pip=={pip}"]
    subprocess.run(install, check=True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_newer_release_changes_nothing_however_the_distribution_is_asked_for(place: Place) -> None:
    """Pip 23.2 and earlier ignore the lock for an extra that a dependency names, and install the newest release."""
    wheels = [
        place.add(
            "app", "1.0", "plain>=1", "lib[fast]>=1", "here[x]>=1; python_version >= '3'", "never; extra == 'no'"
        ),
        place.add("plain", "1.0"),
        place.add(
            "lib", "1.0", 'far>=1; extra == "fast"', 'lib[all]>=1; extra == "fast"', 'further[x]; extra == "all"'
        ),
        place.add("far", "1.0"),
        place.add("further", "1.0", "plain>=1; extra == 'x'"),
        place.add("here", "1.0", "plain[none]>=1"),
    ]
    place.write(SMALLEST, *wheels)
    for name in ("app", "plain", "lib", "far", "further", "here"):
        place.add(name, "2.0", 'unheard-of; extra == "fast"')
        place.add(name, "9999.0", "unheard-of")

    ran = place.install(SMALLEST)

    assert (ran.returncode, ran.stderr.count("\n")) == (0, 1), ran.stderr
    assert place.installed() == dict.fromkeys(("app", "plain", "lib", "far", "further", "here"), "1.0")
    assert place.install(SMALLEST).stderr == ""


def test_an_environment_grows_and_is_made_anew_when_its_lock_changes(place: Place) -> None:
    old, other, more = place.add("lib", "1.0"), place.add("other", "1.0"), place.add("more", "1.0")
    place.write(SMALLEST, old, other)
    place.write(CLI, old, other, more)
    place.install(SMALLEST)
    mine = place.venv / "mine"
    mine.touch()
    place.install(CLI)
    grown, remaining = place.installed(), mine.exists()
    satisfied = place.install(SMALLEST)

    # The smaller lock is unchanged, but the environment no longer matches the larger one.
    place.write(CLI, old, other, place.add("more", "2.0"))
    place.install(SMALLEST)

    assert (grown, remaining, satisfied.stderr) == ({"lib": "1.0", "other": "1.0", "more": "1.0"}, True, "")
    assert (place.installed(), mine.exists()) == ({"lib": "1.0", "other": "1.0"}, False)


def test_what_a_lock_no_longer_names_goes_and_another_version_comes(place: Place) -> None:
    place.write(SMALLEST, place.add("lib", "1.0"), place.add("other", "1.0", "lib<2"))
    place.install(SMALLEST)
    place.write(SMALLEST, place.add("lib", "2.0"))

    assert place.install(SMALLEST).returncode == 0
    assert place.installed() == {"lib": "2.0"}


def test_an_interrupted_installation_starts_again_from_nothing(place: Place) -> None:
    lib, more = place.add("lib", "1.0"), place.add("more", "1.0")
    place.write(SMALLEST, lib, more)
    place.install(SMALLEST)
    (place.venv / ".installed").unlink()  # as after an interrupted installation
    (site,) = place.venv.glob("lib/python*/site-packages")
    (site / "lib_module.py").unlink()
    shutil.rmtree(site / "more-1.0.dist-info")

    assert place.install(SMALLEST).returncode == 0
    assert place.installed() == {"lib": "1.0", "more": "1.0"}
    assert (site / "lib_module.py").exists()


@pytest.mark.parametrize(("before", "remaining"), [(None, True), ("installed", False)])
def test_an_environment_made_by_hand_is_used_only_if_it_is_empty(
    place: Place, before: str | None, *, remaining: bool
) -> None:
    subprocess.run([sys.executable, "-m", "venv", place.venv], check=True)
    if before:
        wheel = place.add(before, "1.0")
        pip: list[str | Path] = [place.venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index", wheel]
        subprocess.run(pip, check=True, capture_output=True)
    (place.venv / "mine").touch()
    place.write(SMALLEST, place.add("lib", "1.0"))

    assert place.install(SMALLEST).returncode == 0
    assert place.installed() == {"lib": "1.0"}
    assert (place.venv / "mine").exists() is remaining


def test_a_lock_that_lacks_something_is_rejected(place: Place) -> None:
    place.write(SMALLEST, place.add("app", "1.0", "lib>=2", "far"), place.add("lib", "1.0"))
    place.add("far", "1.0")

    ran = place.install(SMALLEST)

    assert ran.returncode == 1
    assert "app 1.0 requires far, which is not installed" in ran.stderr
    assert "app 1.0 has requirement lib>=2, but you have lib 1.0" in ran.stderr
    assert "scripts/venv: installing requirements.lock failed" in ran.stderr
    assert not (place.venv / ".installed").exists()  # so the next run tries again


def test_a_distribution_with_another_hash_is_rejected(place: Place) -> None:
    lib = place.add("lib", "1.0")
    place.write(SMALLEST, lib)
    place.add("lib", "1.0", "something-else")

    ran = place.install(SMALLEST)

    assert (ran.returncode, place.installed()) == (1, {})
    assert "DO NOT MATCH THE HASHES" in ran.stderr


@pytest.mark.timeout(900)
@pytest.mark.parametrize("lock", LOCKS)
def test_the_oldest_pip_installs_a_lock_while_there_is_a_newer_release_of_all_that_it_names(
    tmp_path: Path, lock: str
) -> None:
    place, pip = Place(tmp_path), OLDEST_PIP[sys.version_info[:2]]
    shutil.copy(ROOT / lock, tmp_path)
    pins = read_lock((ROOT / lock).read_text(encoding="utf-8"))
    for name, version in pinned(pins).items():
        place.add(name, f"{Version(version).major + 1}", "unheard-of")
    empty_environment(place.venv, pip)

    # Nothing may be built, because pip would install build requirements that are not in the lock.
    links = f"{os.environ.get('PIP_FIND_LINKS', '')} {place.wheels}".strip()
    environment = {**os.environ, "PIP_FIND_LINKS": links, "PIP_ONLY_BINARY": ":all:"}
    ran = subprocess.run(
        [tmp_path / "scripts" / "venv", lock], env=environment, capture_output=True, text=True, check=False
    )

    (site,) = place.venv.glob("lib/python*/site-packages")
    found = installed(str(site))
    assert ran.returncode == 0, ran.stderr
    assert found["pip"][0] == pip
    assert place.installed() == pinned(pins)
    assert missing(pinned(pins), requested_packages(lock), found) == []


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_the_tests_pass_with_the_mcp_at_each_end_of_the_range(which: str) -> None:
    ran = subprocess.run(["scripts/test", "--mcp", which], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    assert f"{which} of the range of mcp: " in ran.stdout
