"""Writes docs/clients/matrix.md from tests/clients/results.json: `python -m scripts.docs.clients_matrix`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.client_programs import PROGRAMS
from tests.support.client_results import PROVIDERS, STEPS, read_results

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.client_programs import Program
    from tests.support.client_results import Result

PAGE = Path(__file__).parents[2] / "docs" / "clients" / "matrix.md"
NOT_RUN = "not run"
_HEAD = """\
# What each client does

*ran*: the tests run these programs as they are published, without an account or a model, and record what each did:
`./scripts/clients run`, then `./scripts/clients matrix`, which writes this page. Nothing on it was taken from source.

*not run*: no test has tried it. *needs a model*: the program calls tools only when a language model asks it to.
*failed*: the test failed. *refused person*: a user without a role logs in; the embedded provider (`mcp-idp demo`)
grants all scopes to everybody. *refresh*: the stored access token is made invalid. *step up*: a call needs a scope that
the login did not ask for. With Keycloak clients register through the [registrar](../registrar.md), with Dex through its
[registration proxy](../dex.md).
"""
_COMMANDS = """\
## Repeating a cell

The first command runs all steps of a client at all providers, the second one cell. PROVIDER is `at-keycloak`,
`at-dex` or `embedded`. Where a step has two tests, they are for different clients or providers.

```sh
./scripts/clients run NAME
.venv/bin/python -m pytest tests/integration/test_client_programs.py -k 'NAME and PROVIDER and STEP'
```
"""


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _table(head: list[str], rows: Iterable[Iterable[str]]) -> str:
    return _line(head) + "|" + "---|" * len(head) + "\n" + "".join(map(_line, rows))


def _cell(found: dict[tuple[str, str, str], Result], program: Program, provider: str, step: str) -> str:
    """Returns the outcome, with the version if another one is pinned now."""
    result = found.get((program.name, provider, step))
    if result is None:
        return NOT_RUN
    return result.outcome if result.version == program.version else f"{result.outcome} ({result.version})"


def _provider(provider: str, found: dict[tuple[str, str, str], Result]) -> str:
    rows = (
        (f"{program.name} {program.version}", *(_cell(found, program, provider, step) for step in STEPS))
        for program in PROGRAMS
    )
    return f"## {provider}\n\n" + _table(["client", *STEPS], rows)


def _commands(results: list[Result]) -> str:
    programs = ((program.name, f"`{program.slug}`", _days(results, program)) for program in PROGRAMS)
    steps = ((step, ", ".join(f"`{name}`" for name in _tests(results, step)) or NOT_RUN) for step in STEPS)
    return "\n".join([_COMMANDS, _table(["client", "NAME", "last run"], programs), _table(["step", "STEP"], steps)])


def _days(results: list[Result], program: Program) -> str:
    days = {one.date for one in results if one.client == program.name}
    return max(days) if days else NOT_RUN


def _tests(results: list[Result], step: str) -> list[str]:
    names = {one.test.rpartition("::")[2].partition("[")[0] for one in results if one.step == step}
    return sorted(name for name in names if name)


def page() -> str:
    """Returns the whole document."""
    results = read_results()
    found = {one.key: one for one in results}
    return "\n".join([_HEAD, *(_provider(provider, found) for provider in PROVIDERS), _commands(results)])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
