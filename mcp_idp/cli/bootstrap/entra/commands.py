"""The bootstrap command for the registration proxy of Entra: `render`. It makes no requests to Entra."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.entra.proxy_files import proxy_files
from mcp_idp.cli.bootstrap.entra.settings import FOLDER, EntraSettings
from mcp_idp.cli.bootstrap.output import count_noun, line_printer
from mcp_idp.cli.bootstrap.rendered_files import diff_lines, read_files, write_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.cli.bootstrap.options import BootstrapOptions, Command


def _render(_: BootstrapOptions, environ: Mapping[str, str]) -> int:
    settings = EntraSettings.load(environ)
    desired = proxy_files(settings)
    current = read_files(settings.folder, tuple(desired), FOLDER)
    print_line = line_printer(sys.stdout)
    lines = list(diff_lines(desired, current))
    write_files(settings.folder, desired, current, FOLDER)
    for line in lines:
        print_line(line)
    print_line(f"{count_noun(len(lines), 'change')} in {settings.folder / 'front'}" if lines else "no changes")
    return 0


COMMANDS: Mapping[str, Command] = {"render": _render}
