"""Removes the checks of some modules one at a time and prints the removals that no test notices.

The second stage of `./scripts/mutate`. `finder.py` finds the checks. Coverage of one run of `TESTS` tells which tests
run which line, so each removal meets only the tests that can notice it: first those that run the branch behind the
check, and none after the first that fails.

    .venv/bin/python -m scripts.mutation.remove_checks [NAME ...]

Exit codes: 0 every unnoticed removal is in docs/mutation-testing.md, 1 one is not, 2 cannot run.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

import pytest
from coverage import CoverageData

from scripts.mutation.finder import find_removals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scripts.mutation.finder import Removal

ROOT = Path(__file__).parents[2]
EXPLAINED = ROOT / "docs" / "mutation-testing.md"
MODULES = (
    "mcp_idp/auth/bearer.py",
    "mcp_idp/auth/context.py",
    "mcp_idp/auth/middleware.py",
    "mcp_idp/auth/scopes.py",
    "mcp_idp/http/authorize_redirect.py",
    "mcp_idp/http/body.py",
    "mcp_idp/http/router.py",
    "mcp_idp/http/transport_security.py",
    "mcp_idp/http_server/connections.py",
    "mcp_idp/http_server/limits.py",
    "mcp_idp/http_server/protocol.py",
    "mcp_idp/oauth/discovery.py",
    "mcp_idp/oauth/endpoints.py",
    "mcp_idp/oauth/http.py",
    "mcp_idp/providers/self_hosted.py",
    "mcp_idp/tokens/claims.py",
    "mcp_idp/tokens/introspection.py",
    "mcp_idp/tokens/issuers.py",
    "mcp_idp/tokens/jwks.py",
    "mcp_idp/tokens/jwt.py",
    "mcp_idp/tokens/unverified_issuer.py",
    "mcp_idp/util/strict_json.py",
)
"""The modules that accept or reject requests; the rows of the corpus name the checks in them."""

TESTS = (
    "tests/corpus/test_corpus.py",
    "tests/unit/tokens",
    "tests/unit/auth",
    "tests/unit/http",
    "tests/unit/http_server/test_connection_log.py",
    "tests/unit/http_server/test_connections.py",
    "tests/unit/http_server/test_limits.py",
    "tests/unit/http_server/test_protocol.py",
    "tests/unit/http_server/test_turn_scheduler.py",
    "tests/unit/mcp_protocol",
    "tests/unit/mcp_server/test_tools.py",
    "tests/unit/oauth",
    "tests/unit/observability",
    "tests/unit/util",
    "tests/unit/test_application.py",
    "tests/provider_compat",
)
"""The corpus, then what it does not reach. Without the tests that start processes."""

_COPIED = ("mcp_idp", "mcp_server", "tests", "idp-config", "scripts", "docs", "pyproject.toml")
_OPTIONS = ("-q", "-p", "no:cacheprovider", "--assert=plain", "-m", "not full and not containers", "--timeout=60")
_MAX_SECONDS = 600  # for all tests of one removal
_PROGRESS_EVERY = 25
_FEW = 100
# Imported once, before the processes that run tests are forked: most of what their start would cost.
_PRELOADED = ("httpx", "hypothesis", "jwt", "mcp.server.mcpserver", "structlog.testing", "uvicorn", "yaml")

# Module, line number, ids of the tests that run the line; at line 0 those of the module's own test file, which may use
# constants without running a line.
Contexts = dict[str, dict[int, set[str]]]


class _Selection:
    """A pytest plugin that runs the tests of these ids in this order until one fails."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._place = {name: number for number, name in enumerate(ids)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Selects and sorts the tests."""
        chosen = [item for item in items if item.nodeid in self._place]
        items[:] = sorted(chosen, key=lambda item: self._place[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Ends the process with the first failure: what a test without the check has left open may never end."""
        if report.failed:
            os._exit(pytest.ExitCode.TESTS_FAILED)


class _Outcomes:
    """A pytest plugin that writes the id of each test and whether it failed to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed: dict[str, bool] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Records one report."""
        self._failed[report.nodeid] = self._failed.get(report.nodeid, False) or report.failed

    def pytest_sessionfinish(self) -> None:
        """Writes the file."""
        self._path.write_text(json.dumps(self._failed), encoding="utf-8")


def copy_tree(folder: Path) -> None:
    """Copies what the tests need, as it is in the working tree."""
    for name in _COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, folder / name)


def start_tests(folder: Path, arguments: Iterable[str], plugin: object) -> int:
    """Runs pytest in a process of its own, on the copy in `folder`.

    Returns:
        The id of the process. Its exit code is pytest's, and that of a failure if the tests take longer than
        `_MAX_SECONDS`.
    """
    if pid := os.fork():
        return pid
    code = int(pytest.ExitCode.TESTS_FAILED)
    try:
        os.chdir(folder)
        sys.path[:] = [str(folder), *(entry for entry in sys.path if entry not in {"", str(ROOT)})]
        for name in [name for name in sys.modules if name.partition(".")[0] == "scripts"]:
            del sys.modules[name]
        with (folder / "pytest.log").open("w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        watchdog = Timer(_MAX_SECONDS, os._exit, (code,))
        watchdog.daemon = True
        watchdog.start()
        code = pytest.main([*_OPTIONS, *arguments], plugins=[plugin])
    finally:
        os._exit(code)


def measure(folder: Path) -> Contexts:
    """Runs `TESTS` once, without any removal, and returns which tests run which lines.

    Tests that fail are left out: some measure memory and cannot pass while coverage is measured.

    Raises:
        ChildProcessError: pytest could not run.
    """
    outcomes = folder / "outcomes.json"
    coverage = ("--cov=mcp_idp", "--cov-context=test", "--cov-report=")
    pid = start_tests(folder, (*coverage, *TESTS), _Outcomes(outcomes))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in {0, 1} or not outcomes.exists():
        raise ChildProcessError(f"the tests do not run: {folder / 'pytest.log'}")
    has_failed: dict[str, bool] = json.loads(outcomes.read_text(encoding="utf-8"))
    failed = {name for name in has_failed if has_failed[name]}
    data = CoverageData(str(folder / ".coverage"))
    data.read()
    contexts: Contexts = {}
    for module in MODULES:
        lines = data.contexts_by_lineno(str(folder / module))
        contexts[module] = {
            line: {name.rpartition("|")[0] for name in names if name} - failed for line, names in lines.items()
        }
        contexts[module][0] = {name for name in has_failed if name.startswith(own_tests(module))} - failed
    print(f"{len(_tests_of(contexts.values()))} tests reach the checks", end="", flush=True)
    print(f"; {len(failed)} fail while coverage is measured and are left out:" if failed else "", *sorted(failed))
    return contexts


def own_tests(module: str) -> str:
    """Returns what the ids of the tests in a module's own test file begin with."""
    folder, _, file = module.removeprefix("mcp_idp/").rpartition("/")
    return f"tests/unit/{folder}/test_{file}::"


def select_tests(removal: Removal, contexts: Contexts) -> tuple[list[str], list[str]]:
    """Selects the tests that can notice a removal.

    Returns:
        The ids of the tests that are likely to notice it, and of the others, in the order in which to run them. Likely
        are those that run the branch behind the check (for a constant: whose ids contain its name) unless they are
        many, and one of each kind of all; the tests of one function are a kind, and the rows of one check.
    """
    lines = contexts[removal.module]
    if removal.lines:
        reached = {name for line in removal.lines for name in lines.get(line, ())}
        branch = {name for line in removal.branch for name in lines.get(line, ())}
    else:
        reached = _tests_of([lines]) or _tests_of(contexts.values())
        branch = {name for name in reached if removal.function.lower() in name.lower()}
    ordered = sorted(branch | reached, key=lambda name: (_place(name), name))
    one_of_each_kind = {_kind(name): name for name in reversed(ordered)}.values()
    are_few = len(branch) <= _FEW
    likely = [name for name in ordered if name in branch and (are_few or name in one_of_each_kind)]
    likely.sort(key=lambda name: name not in one_of_each_kind)
    likely += [name for name in ordered if name in one_of_each_kind and name not in branch]
    return likely, [name for name in ordered if name not in set(likely)]


def _tests_of(modules: Iterable[dict[int, set[str]]]) -> set[str]:
    return {name for lines in modules for names in lines.values() for name in names}


def _place(test: str) -> int:
    return next((number for number, start in enumerate(TESTS) if test.startswith(start)), len(TESTS))


def _kind(test: str) -> str:
    """Returns the part of an id that similar tests share. The id of a row is `check/ what is tried`."""
    return test.partition("/ ")[0] if "/ " in test else test.partition("[")[0]


class _Copies:
    """Copies of the tree, in each of which one removal at a time is tested.

    Args:
        original: the tree without any removal.
        folders: the copies of it.
    """

    def __init__(self, original: Path, folders: Iterable[Path]) -> None:
        self._original = original
        self._free = list(folders)
        self._running: dict[int, tuple[Removal, Path]] = {}

    def find_unnoticed(self, removals: Iterable[tuple[Removal, Sequence[str]]]) -> list[Removal]:
        """Runs the tests of each removal, given by their ids, and returns the removals for which none fails."""
        waiting, found, began = list(removals), [], time.monotonic()
        tests_of = dict(waiting)
        total = len(waiting)
        while waiting or self._running:
            if waiting and self._free:
                removal, tests = waiting.pop(0)
                if tests:
                    self._start(removal, tests)
                else:
                    found.append(removal)
                continue
            removal, is_noticed = self._finish()
            if not is_noticed:
                found.append(removal)
                print(f"  unnoticed by {len(tests_of[removal])} tests: {short_name(removal)}", flush=True)
            done = total - len(waiting) - len(self._running)
            if done % _PROGRESS_EVERY == 0 or done == total:
                seconds = time.monotonic() - began
                print(f"  {done} of {total} removed, {len(found)} unnoticed, {seconds:.0f} s", flush=True)
        return found

    def _start(self, removal: Removal, tests: Sequence[str]) -> None:
        folder = self._free.pop()
        source = (self._original / removal.module).read_bytes()
        (folder / removal.module).write_bytes(removal.apply(source))
        files = dict.fromkeys(name.partition("::")[0] for name in tests)
        pid = start_tests(folder, files, _Selection(tests))
        self._running[pid] = (removal, folder)

    def _finish(self) -> tuple[Removal, bool]:
        """Waits for the next end of tests; returns their removal, and whether it was noticed."""
        pid, status = os.wait()
        removal, folder = self._running.pop(pid)
        shutil.copy2(self._original / removal.module, folder / removal.module)
        self._free.append(folder)
        code = os.waitstatus_to_exitcode(status)
        if code == pytest.ExitCode.NO_TESTS_COLLECTED:
            raise ChildProcessError(f"{removal.name}: no test was found")
        return removal, code != 0


def short_name(removal: Removal) -> str:
    """Names a removal as docs/mutation-testing.md does: without the package."""
    return removal.name.removeprefix("mcp_idp.")


def describe(removal: Removal, source: bytes) -> str:
    """Returns the place of a removal in the module's source text, and the lines before (-) and after it (+)."""
    begin = source.rfind(b"\n", 0, removal.start) + 1
    end = source.find(b"\n", removal.end)
    before = source[begin:end].decode()
    after = (source[begin : removal.start] + removal.text + source[removal.end : end]).decode()
    changes = [*(f"- {line}" for line in before.splitlines()), *(f"+ {line}" for line in after.splitlines())]
    number = source.count(b"\n", 0, removal.start) + 1
    return "\n".join((f"{removal.module}:{number}", *changes))


def without_reason(found: Iterable[Removal], page: str) -> list[Removal]:
    """Returns the removals that the text of docs/mutation-testing.md does not name."""
    return [removal for removal in found if f"`{short_name(removal)}`" not in page]


def find_unnoticed(removals: Iterable[Removal], contexts: Contexts, copies: _Copies) -> list[Removal]:
    """Returns the removals that no test notices. Those that the page explains meet the likely tests only."""
    selected = {removal: select_tests(removal, contexts) for removal in removals}
    found = copies.find_unnoticed([(removal, likely) for removal, (likely, _) in selected.items()])
    doubtful = without_reason(found, EXPLAINED.read_text(encoding="utf-8"))
    missed = copies.find_unnoticed([(removal, selected[removal][1]) for removal in doubtful])
    return [removal for removal in found if removal not in doubtful or removal in missed]


def main(*names: str) -> int:
    """Removes the checks whose names match one of `names` (as in a shell), all by default."""
    began, jobs = time.monotonic(), int(os.environ.get("JOBS") or os.cpu_count() or 1)
    work = ROOT / ".mutants" / "checks"
    original, *folders = (work / name for name in ("original", *map(str, range(jobs))))
    shutil.rmtree(work, ignore_errors=True)
    copy_tree(original)
    removals = [removal for module in MODULES for removal in find_removals(module, (original / module).read_bytes())]
    removals = [each for each in removals if not names or any(fnmatch(each.name, name) for name in names)]
    if not removals:
        print(f"no check is named {' or '.join(names)}")
        return 0
    for module in _PRELOADED:
        import_module(module)
    contexts = measure(original)
    for folder in folders:
        shutil.copytree(original, folder)
    found = find_unnoticed(removals, contexts, _Copies(original, folders))
    unexplained = without_reason(found, EXPLAINED.read_text(encoding="utf-8"))
    for removal in unexplained:
        source = (original / removal.module).read_bytes()
        print(f"\nnot in docs/mutation-testing.md: `{short_name(removal)}`, {describe(removal, source)}")
    print(
        f"{len(removals)} checks removed, {len(removals) - len(found)} noticed, {len(found)} not, {len(unexplained)} "
        f"of them without a reason: {time.monotonic() - began:.0f} s"
    )
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
