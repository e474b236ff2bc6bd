"""What the command line does for the front before Entra: `render`. Nothing at Entra is read or written."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.entra.proxy_files import front_files
from mcp_idp.cli.bootstrap.entra.settings import FOLDER, EntraSettings
from mcp_idp.cli.bootstrap.output import saying
from mcp_idp.cli.bootstrap.rendered_files import differences, read_files, write_files

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping

    Verb = Callable[[Namespace, Mapping[str, str]], int]


def _render(_: Namespace, environ: Mapping[str, str]) -> int:
    settings = EntraSettings.load(environ)
    wanted = front_files(settings)
    held = read_files(settings.folder, tuple(wanted), FOLDER)
    say = saying(sys.stdout)
    lines = list(differences(wanted, held))
    write_files(settings.folder, wanted, held, FOLDER)
    for line in lines:
        say(line)
    say(f"{len(lines)} changes in {settings.folder / 'front'}" if lines else "no changes")
    return 0


VERBS: Mapping[str, Verb] = {"render": _render}
