"""The bootstrap commands for the registration proxy of Entra: `plan`, `render`. They make no requests to Entra."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.entra.proxy_files import proxy_files
from mcp_idp.cli.bootstrap.entra.settings import FOLDER, EntraSettings
from mcp_idp.cli.bootstrap.output import count_noun, line_printer, print_json
from mcp_idp.cli.bootstrap.rendered_files import file_changes, file_changes_json, read_files, text_lines, write_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.cli.bootstrap.options import BootstrapOptions, Command


def _plan(options: BootstrapOptions, environ: Mapping[str, str]) -> int:
    return _compare(environ, as_json=options.json, writing=False)


def _render(_: BootstrapOptions, environ: Mapping[str, str]) -> int:
    return _compare(environ, as_json=False, writing=True)


def _compare(environ: Mapping[str, str], *, as_json: bool, writing: bool) -> int:
    settings = EntraSettings.load(environ)
    desired = proxy_files(settings)
    current = read_files(settings.folder, tuple(desired), FOLDER)
    changes = file_changes(desired, current)
    if writing:
        write_files(settings.folder, desired, current, FOLDER)
    if as_json:
        found = {"folder": settings.folder, "warnings": [], "changes": file_changes_json(changes)}
        print_json(found, sys.stdout)
        return 0
    print_line = line_printer(sys.stdout)
    lines = text_lines(changes)
    for line in lines:
        print_line(line)
    print_line(f"{count_noun(len(lines), 'change')} in {settings.folder / 'front'}" if lines else "no changes")
    return 0


COMMANDS: Mapping[str, Command] = {"plan": _plan, "render": _render}
