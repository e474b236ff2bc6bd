"""Parses lock files and finds requirements that a lock does not satisfy."""

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
# The extras of the project that each lock contains.
EXTRAS = {
    "requirements.lock": ("redis",),
    "requirements-cli.lock": ("redis", "cli"),
    "requirements-demo.lock": ("redis", "cli", "embedded"),
    "requirements-dev.lock": ("redis", "cli", "embedded", "dev"),
}

_PIN = re.compile(r"([a-z0-9][a-z0-9.-]*)==([^\s;\\]+)(?: ; ([^\\]+))? \\")
_HASH = re.compile(r" {4}--hash=sha256:[0-9a-f]{64}(?: \\)?")


class Pin(NamedTuple):
    """A line of a lock: if `marker` is true, this version of `name` is installed."""

    name: str
    version: str
    marker: str | None


def read_lock(text: str) -> list[Pin]:
    """Returns the pins of a lock, in order.

    Raises:
        ValueError: a line is neither a pin nor a hash, but a URL, an option, a comment or a version range.
    """
    found = []
    for line in text.splitlines():
        if pin := _PIN.fullmatch(line):
            found.append(Pin(*pin.groups()))
        elif not (found and _HASH.fullmatch(line)):
            raise ValueError(f"neither a pin nor a hash: {line}")
    return found


def pinned(lock: Iterable[Pin], environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns name → version for an `environment` (marker variables; by default this Python)."""
    here = dict(environment or _this_python())
    return {pin.name: pin.version for pin in lock if pin.marker is None or Marker(pin.marker).evaluate(here)}


def requested_packages(lock: str) -> list[str]:
    """Returns the requirements in `pyproject.toml` for the lock of this name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    return [*project["project"]["dependencies"], *(line for extra in EXTRAS[lock] for line in extras[extra])]


def installed(site: str) -> dict[str, tuple[str, list[str]]]:
    """Returns name → version and requirements of the distributions in the folder `site`."""
    return {
        canonicalize_name(found.metadata["Name"]): (found.version, list(found.requires or ()))
        for found in distributions(path=[site])
    }


def missing(
    pins: Mapping[str, str],
    requested: Iterable[str],
    known: Mapping[str, tuple[str, list[str]]],
    environment: Mapping[str, str] | None = None,
) -> list[str]:
    """Returns one line for each requirement, including transitive extras, that no pin satisfies.

    Args:
        pins: name → version.
        requested: the project's requirements.
        known: name → version and requirements of installed distributions. A distribution that is missing here, or has
            another version than the pin, counts as without requirements.
        environment: marker variables; by default those of this Python.
    """
    here = dict(environment or _this_python())
    lines: list[str] = []
    seen: set[tuple[str, str]] = set()
    waiting = [("the project", Requirement(line), "") for line in requested]
    while waiting:
        who, requirement, extra = waiting.pop()
        applies = [
            requirement.marker is None or requirement.marker.evaluate({**here, "extra": name}) for name in ("", extra)
        ]
        if not applies[1] or (extra and applies[0]):  # the second case is covered by the distribution itself
            continue
        name = canonicalize_name(requirement.name)
        if name not in pins or not requirement.specifier.contains(pins[name], prereleases=True):
            lines.append(f"{who} asks for {requirement}, the lock has {pins.get(name, 'none')}")
        for wish in {"", *requirement.extras} - {found for package, found in seen if package == name}:
            seen.add((name, wish))
            version, requirements = known.get(name, ("", []))
            if version == pins.get(name):
                waiting += [(f"{name}[{wish}]" if wish else name, Requirement(line), wish) for line in requirements]
    return sorted(lines)


def _this_python() -> dict[str, str]:
    return {name: str(value) for name, value in default_environment().items()}
