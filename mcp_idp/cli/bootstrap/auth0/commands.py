"""The bootstrap commands for Auth0: show the changes to the Terraform files, and write them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.auth0.settings import FOLDER, Auth0Settings
from mcp_idp.cli.bootstrap.auth0.terraform import ACCESS, MAIN, NOT_VERIFIED, render, unsupported_features
from mcp_idp.cli.bootstrap.output import count_noun, line_printer
from mcp_idp.cli.bootstrap.rendered_files import diff_lines, read_files, write_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.cli.bootstrap.options import BootstrapOptions, Command


def _plan(options: BootstrapOptions, variables: Mapping[str, str]) -> int:
    """Prints what would change in the files, without writing."""
    del options
    _compare(variables, writing=False)
    return 0


def _render(options: BootstrapOptions, variables: Mapping[str, str]) -> int:
    """Writes the files, and prints what Auth0 does not support."""
    del options
    settings = _compare(variables, writing=True)
    warn = line_printer(sys.stderr)
    for line in (NOT_VERIFIED, *unsupported_features(settings)):
        warn(f"warning: {line}")
    print_line = line_printer(sys.stdout)
    if settings.tenant_domain is None:
        print_line("AUTH0_DOMAIN:  set it to the tenant's own domain, which a custom issuer does not contain")
    print_line(f"Next:          cd {settings.folder} && terraform init && terraform plan")
    return 0


def _compare(variables: Mapping[str, str], *, writing: bool) -> Auth0Settings:
    settings = Auth0Settings.load(variables)
    desired, current = render(settings), read_files(settings.folder, (ACCESS, MAIN), FOLDER)
    changes = list(diff_lines(desired, current))
    if writing:
        write_files(settings.folder, desired, current, FOLDER)
    print_line = line_printer(sys.stdout)
    for line in changes:
        print_line(line)
    print_line(count_noun(len(changes), "change") if changes else "no changes")
    return settings


COMMANDS: Mapping[str, Command] = {"plan": _plan, "render": _render}
