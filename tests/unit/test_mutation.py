"""Checks are found by their form, each is removed by itself, and what nothing notices is reported."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from scripts.mutation.finder import STRICT_KEYWORDS, WEAKNESSES, find_removals
from scripts.mutation.remove_checks import (
    EXPLAINED,
    MODULES,
    TESTS,
    describe,
    own_tests,
    select_tests,
    short_name,
    without_reason,
)

ROOT = Path(__file__).parents[2]


def without_checks(source: str, module: str = "mcp_idp/made_up.py") -> dict[str, str]:
    """What the finder makes of a module: the source text without each check, by kind and number."""
    data = dedent(source).strip().encode()
    found = find_removals(module, data)
    names = [removal.name.split(" ", 1)[1] for removal in found]
    return dict(zip(names, (removal.apply(data).decode() for removal in found), strict=True))


def changed_lines(source: str) -> dict[str, list[str]]:
    """The lines that each removal changes, as they are afterwards."""
    before = dedent(source).strip().splitlines()
    return {
        name: [line.strip() for line in text.splitlines() if line not in before]
        for name, text in without_checks(source).items()
    }


@pytest.mark.parametrize("path", [*MODULES, *TESTS])
def test_the_modules_and_tests_of_the_second_stage_exist(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_modules_and_tests_of_the_first_stage_exist() -> None:
    script = (ROOT / "scripts" / "mutate").read_text(encoding="utf-8")
    paths = re.findall(r"\b(?:mcp_idp|tests)/[\w/]+\.py", script)
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(
            """
            def f(x):
                if len(x) > 3:
                    raise ValueError(x and 1)
                elif not x:
                    self._reject(x)
                while x:
                    shed()
            """,
            {"branch 1": ["if False:"], "branch 2": ["elif False:"], "branch 3": ["while False:"]},
            id="branches",
        ),
        pytest.param(
            """
            def f(x):
                if x or y:
                    raise ValueError
                if a and not (b and c):
                    raise ValueError
            """,
            {
                "branch 1": ["if False:"],
                "clause 1": ["if ((y)):"],
                "clause 2": ["if ((x)):"],
                "branch 2": ["if False:"],
                "clause 3": ["if a and not (((c))):"],
                "clause 4": ["if a and not (((b))):"],
            },
            id="of what is rejected, only the clauses that let more in",
        ),
        pytest.param(
            """
            def f(x):
                return x and (y or z)
            """,
            {
                "clause 1": ["return ((y or z))"],
                "clause 2": ["return ((x))"],
                "clause 3": ["return x and (((z)))"],
                "clause 4": ["return x and (((y)))"],
            },
            id="every clause of a result",
        ),
        pytest.param(
            """
            async def f(x):
                if x:
                    return
                await g()
                raise ValueError
            """,
            {"guard 1": ["if True:"], "branch 1": ["if False:"], "raise 1": ["return None"]},
            id="an early return in front of a raise",
        ),
        pytest.param(
            """
            def f(xs):
                found = [x for x in xs if x.ok]
                for x in xs:
                    if x.good:
                        found.append(x)
            """,
            {"filter 1": ["found = [x for x in xs if True]"], "filter 2": ["if True:"]},
            id="filters",
        ),
        pytest.param(
            """
            def f(x):
                return x[0] if len(x) == 1 else None
            """,
            {"choice 1": ["return (x[0])"], "choice 2": ["return (None)"]},
            id="both sides of a choice",
        ),
        pytest.param(
            """
            def f(x):
                try:
                    g()
                except KnownError:
                    raise
                except (ValueError, TypeError) as error:
                    raise KnownError from error
            """,
            {"handler 1": ["except () as error:"]},
            id="handlers, but for those that raise again",
        ),
        pytest.param(
            """
            def f(x):
                _check_audience(x)
                await self._key_set.ensure_fresh()
                rejected.append(x)
                checked = check(x)
                log.warning("rejected", x=x and 1)
                self.headers = []
            """,
            {"call 1": ["pass"], "call 2": ["pass"], "reset 1": ["pass"]},
            id="statements",
        ),
        pytest.param(
            """
            def f(x):
                self._timer = loop.call_later(x.seconds, g)
                return PATTERN.fullmatch(x.decode("utf-8"))
            """,
            {
                "limit 1": ["self._timer = loop.call_later((x.seconds) * 1024, g)"],
                "strict 1": ['return PATTERN.match(x.decode("utf-8"))'],
                "strict 2": ["return PATTERN.fullmatch(x.decode(\"utf-8\", 'replace'))"],
            },
            id="strict calls",
        ),
        pytest.param(
            """
            class HttpLimits:
                header_bytes: int = 32 * 1024
            class Other:
                number: int = 1
            PROFILE = Profile(name="x", roles_claim="groups", scopes_from_roles=True)
            """,
            {
                "limit 1": ["header_bytes: int = (32 * 1024) * 1024"],
                "keyword 1": ['PROFILE = Profile(name="x", **{}, scopes_from_roles=True)'],
                "keyword 2": ['PROFILE = Profile(name="x", roles_claim="groups", scopes_from_roles=not True)'],
            },
            id="limits and keywords",
        ),
        pytest.param(
            """
            if TYPE_CHECKING:
                from a import b
            def f(x):
                if x:
                    log.info("x", y=x or z)
                raise ValueError("a" if x else "b")
            """,
            {"raise 1": ["return None"]},
            id="nothing in logs, errors and imports for types",
        ),
    ],
)
def test_each_check_of_a_module_is_removed_by_itself(source: str, expected: dict[str, list[str]]) -> None:
    assert changed_lines(source) == expected


def test_a_weakness_is_added_in_front_of_its_function_s_body_and_a_missing_function_is_an_error() -> None:
    (path, function), statement = next(iter(WEAKNESSES.items()))
    class_name, method = function.split(".")
    source = f'class {class_name}:\n    def {method}(self):\n        """Says."""\n        return 1\n'
    assert without_checks(source, path) == {
        "weakness 1": f'class {class_name}:\n    def {method}(self):\n        """Says."""\n'
        f"        {statement}\n        return 1"
    }
    with pytest.raises(LookupError, match=method):
        find_removals(path, source.replace(method, "other").encode())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_without_one_of_its_checks_is_still_python_and_each_has_its_own_name(module: str) -> None:
    source = (ROOT / module).read_bytes()
    removals = find_removals(module, source)
    assert removals
    assert len({removal.name for removal in removals}) == len(removals)
    for removal in removals:
        changed = removal.apply(source)
        assert changed != source
        compile(changed, module, "exec")


def test_each_strict_keyword_is_an_argument_somewhere() -> None:
    texts = [
        source[removal.start : removal.end].decode()
        for module in MODULES
        for source in [(ROOT / module).read_bytes()]
        for removal in find_removals(module, source)
        if removal.kind == "keyword"
    ]
    assert {text.partition("=")[0] for text in texts} == STRICT_KEYWORDS


_SOURCE = b"""
def first(x):
    return x


def second(x):
    if x:
        raise ValueError
    return x
"""


def test_the_name_of_a_removal_does_not_depend_on_other_functions() -> None:
    (before,) = find_removals("mcp_idp/a.py", _SOURCE)
    (after,) = find_removals("mcp_idp/a.py", b"# more\n" + _SOURCE.replace(b"return x\n\n", b"return 2\n\n"))
    assert before.name == after.name == "mcp_idp.a.second branch 1"
    assert before.lines != after.lines


def test_a_removal_meets_the_tests_that_run_the_check_and_first_those_that_run_its_branch() -> None:
    (removal,) = find_removals("mcp_idp/a.py", _SOURCE)
    condition = {"passes", "fails", "row[one/ a]", "row[one/ b]", "row[two/ a]", "more[1]", "more[2]"}
    contexts = {"mcp_idp/a.py": {3: {"other"}, 7: condition, 8: {"fails"}, 9: {"passes"}}}
    likely, rest = select_tests(removal, contexts)
    assert likely == ["fails", "more[1]", "passes", "row[one/ a]", "row[two/ a]"]
    assert rest == ["more[2]", "row[one/ b]"]


def test_a_check_that_no_test_runs_meets_none() -> None:
    (removal,) = find_removals("mcp_idp/a.py", _SOURCE)
    assert select_tests(removal, {"mcp_idp/a.py": {3: {"other"}}}) == ([], [])


def test_a_constant_meets_every_test_and_first_those_that_are_named_after_it() -> None:
    (removal,) = find_removals("mcp_idp/a.py", b"ZITADEL = Profile(roles_claim=1)\n")
    contexts = {"mcp_idp/a.py": {}, "mcp_idp/b.py": {1: {"one"}, 2: {"two[zitadel]"}}}
    assert select_tests(removal, contexts) == (["two[zitadel]", "one"], [])


def test_a_constant_meets_the_tests_of_its_module_s_own_file() -> None:
    (removal,) = find_removals("mcp_idp/a.py", b"ZITADEL = Profile(roles_claim=1)\n")
    contexts = {"mcp_idp/a.py": {0: {"own"}, 1: {"runs"}}, "mcp_idp/b.py": {1: {"one"}}}
    assert select_tests(removal, contexts) == (["own", "runs"], [])
    assert own_tests("mcp_idp/http_server/limits.py") == "tests/unit/http_server/test_limits.py::"


def test_an_unnoticed_removal_needs_a_reason_on_the_page() -> None:
    (removal,) = find_removals("mcp_idp/a.py", _SOURCE)
    assert short_name(removal) == "a.second branch 1"
    assert describe(removal, _SOURCE) == "mcp_idp/a.py:7\n-     if x:\n+     if False:"
    assert without_reason([removal], "| `a.second branch 2` |") == [removal]
    assert without_reason([removal], "| `a.second branch 1` |") == []


def test_the_page_names_only_removals_that_exist() -> None:
    existing = {
        short_name(removal) for module in MODULES for removal in find_removals(module, (ROOT / module).read_bytes())
    }
    table = EXPLAINED.read_text(encoding="utf-8").partition("## Removed checks")[2]
    named = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    assert named - existing == set()
