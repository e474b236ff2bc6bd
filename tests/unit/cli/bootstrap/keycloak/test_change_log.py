"""What an apply prints about its changes: each, or of a new realm a summary, and after a failure each."""

from __future__ import annotations

from mcp_idp.cli.bootstrap.changes import Change, FieldDiff
from mcp_idp.cli.bootstrap.keycloak.change_log import ChangeLog

NEW_REALM = Change("realm mcp", "create, disabled until the apply is complete", "POST", (), action="create")
ROLE = Change("role mcp-reader", "create", "POST", ("roles",), action="create")
USER = Change("user ada", "create", "POST", ("users",), action="create")
SETTING = Change("realm", "set x", "PUT", (), fields=(FieldDiff("x", 1, 2),))
BATCH = Change("client a", "disable", "PUT", ("clients",), batch="disable clients")


def printed(*changes: Change, verbose: bool = False) -> list[str]:
    lines: list[str] = []
    log = ChangeLog(lines.append, verbose=verbose)
    for change in changes:
        log.record(change)
    log.print_total(len(changes))
    return lines


def test_the_changes_of_a_new_realm_are_counted_by_kind() -> None:
    first, total = printed(NEW_REALM, ROLE, SETTING, USER)
    assert first == "+ realm mcp: create, disabled until the apply is complete"
    assert total == (
        "4 changes: 1 role, 0 scopes, 0 clients, 1 user, and the settings of the realm (`apply --verbose` prints each)"
    )


def test_all_changes_of_a_new_realm_are_printed_if_requested() -> None:
    lines = printed(NEW_REALM, ROLE, SETTING, verbose=True)
    assert lines[1:] == ["+ role mcp-reader: create", "~ realm: set x", "    x: 1 → 2", "3 changes"]


def test_the_changes_of_an_existing_realm_are_printed_and_one_of_a_new_role_is_not_taken_for_a_new_realm() -> None:
    assert printed(ROLE, SETTING) == ["+ role mcp-reader: create", "~ realm: set x", "    x: 1 → 2", "2 changes"]
    assert printed() == ["no changes"]


def test_an_apply_that_fails_shows_how_far_it_came() -> None:
    lines: list[str] = []
    log = ChangeLog(lines.append, verbose=False)
    for change in (NEW_REALM, ROLE, SETTING):
        log.record(change)
    log.print_unprinted()
    assert lines[1:] == ["+ role mcp-reader: create", "~ realm: set x", "    x: 1 → 2"]


def test_many_requests_of_one_kind_are_one_line_for_a_hundred() -> None:
    lines = printed(*[BATCH] * 150)
    assert lines == ["~ disable clients: request 1", "~ disable clients: request 101", "150 changes"]
