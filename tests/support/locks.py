"""Locks as they are written: what each names, and what the distributions ask for that it does not name."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).parents[2]
# What each lock is resolved from: extras of the project, or groups of dependencies without it.
EXTRAS = {
    "requirements.lock": ("redis",),
    "requirements-tools.lock": ("redis", "tools"),
    "requirements-demo.lock": ("redis", "tools", "embedded"),
    "requirements-dev.lock": ("redis", "tools", "embedded", "dev"),
    "requirements-bench.lock": ("redis", "bench"),
}
GROUPS = {"requirements-mutants.lock": ("mutants",)}

_PIN = re.compile(r"([a-z0-9][a-z0-9.-]*)==([^\s;\\]+)(?: ; ([^\\]+))? \\")
_HASH = re.compile(r" {4}--hash=sha256:[0-9a-f]{64}(?: \\)?")


class Pin(NamedTuple):
    """One line of a lock: where `marker` holds, `name` is installed in this version."""

    name: str
    version: str
    marker: str | None


def read_lock(text: str) -> list[Pin]:
    """The pins of a lock, in its order.

    Raises:
        ValueError: a line is neither a pin nor a hash of one: an address, an option, a comment, a loose version.
    """
    found = []
    for line in text.splitlines():
        if pin := _PIN.fullmatch(line):
            found.append(Pin(*pin.groups()))
        elif not (found and _HASH.fullmatch(line)):
            raise ValueError(f"neither a pin nor a hash: {line}")
    return found


def pinned(lock: Iterable[Pin], environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Name → version, as `environment` (the variables of markers; left out: this Python) installs them."""
    here = dict(environment or _this_python())
    return {pin.name: pin.version for pin in lock if pin.marker is None or Marker(pin.marker).evaluate(here)}


def asked_for(lock: str) -> list[str]:
    """What `pyproject.toml` asks for in the lock of this name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if lock in GROUPS:
        return [line for group in GROUPS[lock] for line in project["dependency-groups"][group]]
    extras = project["project"]["optional-dependencies"]
    return [*project["project"]["dependencies"], *(line for extra in EXTRAS[lock] for line in extras[extra])]


def installed(site: str) -> dict[str, tuple[str, list[str]]]:
    """Name → version and requirements, of what is installed in the folder `site`."""
    return {
        canonicalize_name(found.metadata["Name"]): (found.version, list(found.requires or ()))
        for found in distributions(path=[site])
    }


def missing(
    pins: Mapping[str, str],
    wanted: Iterable[str],
    known: Mapping[str, tuple[str, list[str]]],
    environment: Mapping[str, str] | None = None,
) -> list[str]:
    """What is asked for, extras of extras included, and not pinned in a version that will do: one line each.

    Args:
        pins: name → version.
        wanted: what the project asks for.
        known: name → version and requirements. A distribution that is not in here, or in another version than the
            pinned one, is taken to ask for nothing: `known` is what happens to be installed.
        environment: the variables of markers; left out: this Python.
    """
    here = dict(environment or _this_python())
    lines: list[str] = []
    seen: set[tuple[str, str]] = set()
    waiting = [("the project", Requirement(line), "") for line in wanted]
    while waiting:
        who, need, extra = waiting.pop()
        holds = [need.marker is None or need.marker.evaluate({**here, "extra": name}) for name in ("", extra)]
        if not holds[1] or (extra and holds[0]):  # the latter comes from the distribution itself
            continue
        name = canonicalize_name(need.name)
        if name not in pins or not need.specifier.contains(pins[name], prereleases=True):
            lines.append(f"{who} asks for {need}, the lock has {pins.get(name, 'none')}")
        for wish in {"", *need.extras} - {found for asked, found in seen if asked == name}:
            seen.add((name, wish))
            version, needs = known.get(name, ("", []))
            if version == pins.get(name):
                waiting += [(f"{name}[{wish}]" if wish else name, Requirement(line), wish) for line in needs]
    return sorted(lines)


def _this_python() -> dict[str, str]:
    return {name: str(value) for name, value in default_environment().items()}
