"""The bootstrap commands for Auth0: show the changes to the Terraform files, and write them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.auth0.settings import FOLDER, Auth0Settings
from mcp_idp.cli.bootstrap.auth0.terraform import ACCESS, MAIN, NOT_VERIFIED, render, unsupported_features
from mcp_idp.cli.bootstrap.output import count_noun, line_printer, print_json
from mcp_idp.cli.bootstrap.rendered_files import file_changes, file_changes_json, read_files, text_lines, write_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcp_idp.cli.bootstrap.options import BootstrapOptions, Command
    from mcp_idp.cli.bootstrap.rendered_files import FileChange

    Files = dict[str, str]


def _plan(options: BootstrapOptions, variables: Mapping[str, str]) -> int:
    """Prints what would change in the files, without writing."""
    settings, _, changes = _compare(variables)
    if options.json:
        warnings = [NOT_VERIFIED, *unsupported_features(settings)]
        found = {"folder": settings.folder, "warnings": warnings, "changes": file_changes_json(changes)}
        print_json(found, sys.stdout)
    else:
        _print_changes(changes)
    return 0


def _render(options: BootstrapOptions, variables: Mapping[str, str]) -> int:
    """Writes the files, and prints what Auth0 does not support."""
    del options
    settings, files, changes = _compare(variables)
    write_files(settings.folder, *files, FOLDER)
    _print_changes(changes)
    warn = line_printer(sys.stderr)
    for line in (NOT_VERIFIED, *unsupported_features(settings)):
        warn(f"warning: {line}")
    print_line = line_printer(sys.stdout)
    if settings.tenant_domain is None:
        print_line("AUTH0_DOMAIN:  set it to the tenant's own domain, which a custom issuer does not contain")
    print_line(f"Next:          cd {settings.folder} && terraform init && terraform plan")
    return 0


def _compare(variables: Mapping[str, str]) -> tuple[Auth0Settings, tuple[Files, Files], list[FileChange]]:
    """Returns the settings, the desired and the current files, and their differences."""
    settings = Auth0Settings.load(variables)
    desired, current = render(settings), read_files(settings.folder, (ACCESS, MAIN), FOLDER)
    return settings, (desired, current), file_changes(desired, current)


def _print_changes(changes: Sequence[FileChange]) -> None:
    print_line = line_printer(sys.stdout)
    for line in (lines := text_lines(changes)):
        print_line(line)
    print_line(count_noun(len(lines), "change") if lines else "no changes")


COMMANDS: Mapping[str, Command] = {"plan": _plan, "render": _render}
