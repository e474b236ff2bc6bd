"""docs/clients/matrix.md and the results from which it is made; runs no program."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from scripts.docs.clients_matrix import PAGE, page
from tests.support.client_programs import FASTMCP, PROGRAMS
from tests.support.client_results import (
    FAILED,
    PROVIDERS,
    REQUESTS,
    STEPS,
    Result,
    read_results,
    recorded,
    write_results,
)

RESULTS = read_results()


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: ./scripts/clients matrix"


def test_every_result_is_a_cell_of_a_known_client() -> None:
    names = {program.name for program in PROGRAMS}
    assert [one for one in RESULTS if (one.client not in names) or one.provider not in PROVIDERS] == []
    assert {one.step for one in RESULTS} <= set(STEPS)


def test_every_result_names_the_test_that_showed_it() -> None:
    assert [one.key for one in RESULTS if "test_client_programs.py::test_" not in one.test] == []


def test_no_result_says_that_a_client_failed() -> None:
    assert [one.key for one in RESULTS if one.outcome == FAILED] == []


def test_the_recorded_requests_name_no_port_and_no_secret() -> None:
    for name, found in json.loads(REQUESTS.read_text(encoding="utf-8")).items():
        text = json.dumps(found)
        assert "localhost:PORT" in text or "127.0.0.1:PORT" in text, name
        assert found["authorization"]["code_challenge"] == "..."


def test_a_failed_block_is_recorded_as_failed_and_the_next_run_replaces_it(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path_factory.mktemp("results") / "results.json"
    monkeypatch.setenv("CLIENT_RESULTS", str(file))
    with pytest.raises(AssertionError), recorded(FASTMCP, "Dex", ("list", "yes")):
        raise AssertionError
    (failed,) = read_results(file)
    assert (failed.outcome, failed.version) == (FAILED, FASTMCP.version)
    with recorded(FASTMCP, "Dex", ("list", "yes")):
        pass
    assert read_results(file) == [replace(failed, outcome="yes")]


def test_results_of_other_cells_stay(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("results") / "results.json"
    first = Result("a", "1", "Dex", "list", "yes", "t", "2026-12-01")
    write_results(file, iter([first]))
    write_results(file, iter([replace(first, step="call")]))
    assert [one.step for one in read_results(file)] == ["call", "list"]
