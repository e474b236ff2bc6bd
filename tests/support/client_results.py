"""What each client program did at each provider: the cells of docs/clients/matrix.md.

The tests write them where CLIENT_RESULTS names a file, as `./scripts/clients run` does; a failed test says so there.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.client_programs import Program
    from tests.support.traffic_recorder import Exchange

REQUESTS = Path(__file__).parents[1] / "clients" / "requests.json"
RESULTS = Path(__file__).parents[1] / "clients" / "results.json"
STEPS = ("how it is known", "log in", "list", "call", "refresh", "step up", "refused person", "log out")
PROVIDERS = ("Keycloak", "Dex", "embedded")
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """A cell.

    Attributes:
        client: the program.
        version: its version.
        provider: one of PROVIDERS.
        step: one of STEPS.
        outcome: what happened.
        test: the test that showed it.
        date: the day, as YYYY-MM-DD.
    """

    client: str
    version: str
    provider: str
    step: str
    outcome: str
    test: str
    date: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.client, self.provider, self.step


def read_results(file: Path = RESULTS) -> list[Result]:
    """Returns the results in `file`, or none if it does not exist."""
    if not file.exists():
        return []
    return [Result(**row) for row in json.loads(file.read_text(encoding="utf-8"))]


@contextmanager
def recorded(program: Program, provider: str, *outcomes: tuple[str, str]) -> Iterator[None]:
    """Records pairs of step and outcome if the block succeeds; if it fails, that each of these steps failed."""
    passed = False
    try:
        yield
        passed = True
    finally:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" (")[0]
        day = datetime.now(UTC).date().isoformat()
        rows = (
            Result(program.name, program.version, provider, step, outcome if passed else FAILED, test, day)
            for step, outcome in outcomes
        )
        if "CLIENT_RESULTS" in os.environ:
            write_results(Path(os.environ["CLIENT_RESULTS"]), rows)


def write_results(file: Path, rows: Iterator[Result]) -> None:
    """Writes results to `file`: new ones replace those of the same client, provider and step."""
    found = {one.key: one for one in read_results(file)} | {one.key: one for one in rows}
    text = json.dumps([asdict(found[key]) for key in sorted(found)], indent=1, ensure_ascii=False)
    file.write_text(f"{text}\n", encoding="utf-8")


# Parameters that differ at every login.
_RANDOM = ("client_id", "state", "nonce", "code_challenge", "resource")


def requests_of(registration: Exchange, authorization: dict[str, str]) -> dict[str, Any]:
    """Returns a program's registration and authorization request without what differs at every login."""
    chosen = {name: "..." if name in _RANDOM else value for name, value in authorization.items()}
    found: dict[str, Any] = {
        "registration": dict(sorted(registration.message.items())),
        "user_agent": registration.headers.get("user-agent", ""),
        "authorization": dict(sorted(chosen.items())),
    }
    text = re.sub(r"(localhost|127\.0\.0\.1):\d+", r"\1:PORT", json.dumps(found))
    # Codex derives the end of its path from the server's URL.
    without_ports: dict[str, Any] = json.loads(re.sub(r"(/callback/)[\w-]{12}\b", r"\1ID", text))
    return without_ports


def check_requests(program: Program, found: dict[str, Any]) -> None:
    """Compares with the recorded requests of the program; records them instead where CLIENT_RESULTS is set."""
    all_of_them = json.loads(REQUESTS.read_text(encoding="utf-8")) if REQUESTS.exists() else {}
    if "CLIENT_RESULTS" not in os.environ:
        if program.name not in all_of_them:
            pytest.skip(f"the requests of {program.name} are not recorded yet: ./scripts/clients run {program.slug}")
        assert found == all_of_them[program.name]
        return
    all_of_them[program.name] = found
    REQUESTS.write_text(f"{json.dumps(dict(sorted(all_of_them.items())), indent=1)}\n", encoding="utf-8")
