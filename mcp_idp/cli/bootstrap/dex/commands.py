"""The bootstrap commands for Dex: `plan`, `render`, `apply`, `check`.

`render` writes the files; `apply` also waits until Dex and the proxy run with them, and verifies the result. Dex reads
its configuration once, at start; the compose file restarts it when the file changes.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import httpx

from mcp_idp.cli.bootstrap.access_lint import lint
from mcp_idp.cli.bootstrap.dex.deployment_verification import (
    verify_dex_metadata,
    verify_pkce_required,
    verify_public_clients,
    verify_registration,
    verify_running_config,
    verify_served_metadata,
    wait_for,
)
from mcp_idp.cli.bootstrap.dex.further_resources import with_further_resources
from mcp_idp.cli.bootstrap.dex.render import CONFIG, read_config, render
from mcp_idp.cli.bootstrap.dex.settings import DexSettings
from mcp_idp.cli.bootstrap.dex.static_passwords import BCRYPT_COST, groups_of, unmapped_roles
from mcp_idp.cli.bootstrap.dex.templates import read_source
from mcp_idp.cli.bootstrap.errors import ProviderUnreachable, VerificationError
from mcp_idp.cli.bootstrap.output import count_noun, print_json
from mcp_idp.cli.bootstrap.rendered_files import file_changes, file_changes_json, read_files, text_lines, write_files
from mcp_idp.cli.bootstrap.verification import create_client, run_verifications, verify_server_metadata
from mcp_idp.cli.common.launcher import as_launched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mcp_idp.cli.bootstrap.dex.templates import DexTemplates, Json
    from mcp_idp.cli.bootstrap.options import BootstrapOptions, Command

_FILES = (CONFIG, *(f"front/{name}" for name in ("Caddyfile", "metadata.json", "policy.json", "register.json")))
_FOLDER = "DEX_FILES"
_DRIFT = 1
_VERIFICATIONS = ("verified: ", "VERIFICATION FAILED: ", "note: ")  # see run_verifications
_USUAL_URL = "http://localhost:3000/mcp"  # the default of `mcp-idp login`


class DexRun:
    """One run: settings, current files, desired files and their differences.

    `settings` are those of the first server, `merged` those of all servers behind this Dex.

    Args:
        variables: The environment.
        log: Receives lines of text; by default they are printed.
        cost: The bcrypt cost of password hashes.
    """

    def __init__(
        self, variables: Mapping[str, str], log: Callable[[str], None] | None = None, *, cost: int = BCRYPT_COST
    ) -> None:
        self.log = log or _print_now
        self.settings = DexSettings.load(variables)
        self.source: DexTemplates = read_source(self.settings)
        self.current = read_files(self.settings.folder, _FILES, _FOLDER)
        self.merged = with_further_resources(self.settings, self.source.proxy.resources)
        self.desired = render(self.merged, self.source, self.current, cost)
        self.changes = file_changes(self.desired, self.current)

    @property
    def config(self) -> Json:
        """The desired configuration of Dex."""
        return read_config(self.desired[CONFIG])

    @property
    def warnings(self) -> list[str]:
        """What the access file asks for that has no effect, or an unwanted one."""
        return [*lint(self.settings.access), *unmapped_roles(self.settings.access)]

    def print_changes(self) -> None:
        """Prints lint warnings, a line for each field that would change, and the number of changes."""
        for warning in self.warnings:
            self.log(f"warning: {warning}")
        for line in (lines := text_lines(self.changes)):
            self.log(line)
        self.log(count_noun(len(lines), "change") if lines else "no changes")

    def json(self) -> dict[str, object]:
        """Returns the same as JSON-compatible data; see `file_changes_json`."""
        changes = file_changes_json(self.changes)
        return {"folder": self.settings.folder, "warnings": self.warnings, "changes": changes}

    def write(self) -> None:
        """Writes the files that differ, and prints the changes."""
        write_files(self.settings.folder, self.desired, self.current, _FOLDER)
        self.print_changes()

    def verify(self, http: httpx.Client) -> None:
        """Runs all verifications.

        Args:
            http: The HTTP client.

        Raises:
            VerificationError: At least one failed.
            ProviderUnreachable: The provider stopped responding.
        """
        settings, config = self.merged, self.config
        verifications = [
            partial(verify_running_config, settings, config, http),
            partial(verify_served_metadata, settings, self.source, http),
            partial(verify_dex_metadata, settings, self.source, http),
            partial(verify_public_clients, settings, config, http),
            partial(verify_pkce_required, settings, config, http),
            partial(verify_registration, settings, config, http),
            partial(verify_server_metadata, self.settings, http),
        ]
        try:
            run_verifications(verifications, self.log)
        except httpx.HTTPError as error:
            raise ProviderUnreachable(f"{settings.internal_url} stopped responding ({type(error).__name__})") from error

    def apply(self, wait: int) -> None:
        """Writes the files, waits until Dex and the proxy run with them, and verifies them.

        Args:
            wait: How long to wait, in seconds.

        Raises:
            VerificationError: At least one verification failed.
            ProviderUnreachable: The provider does not run with the files in time, or stopped responding.
        """
        self.write()
        with create_client() as http:
            wait_for(self.settings, self.config, http, wait)
            self.verify(http)
        for line in _summary(self.merged):
            self.log(line)


def plan(options: BootstrapOptions, variables: Mapping[str, str]) -> int:
    """Prints what would change in the files, field by field, without writing. Returns the exit code."""
    run = DexRun(variables)
    if options.json:
        print_json(run.json(), sys.stdout)
    else:
        run.print_changes()
    return 0


def write(options: BootstrapOptions, variables: Mapping[str, str]) -> int:
    """Writes the files, for a Dex that is not running yet. Returns the exit code."""
    del options
    DexRun(variables).write()
    return 0


def apply(options: BootstrapOptions, variables: Mapping[str, str]) -> int:
    """Writes the files, waits until Dex and the proxy run with them, and verifies them. Returns the exit code."""
    DexRun(variables).apply(options.wait)
    return 0


def check(options: BootstrapOptions, variables: Mapping[str, str]) -> int:
    """Prints how files, running Dex and proxy differ from the desired state, without writing.

    Returns:
        The exit code: 1 if anything differs.
    """
    lines: list[str] = []
    run = DexRun(variables, lines.append if options.json else None)
    clean = _is_clean(run)
    if options.json:
        verifications = [line for line in lines if line.startswith(_VERIFICATIONS)]
        print_json({"clean": clean, **run.json(), "verifications": verifications}, sys.stdout)
    return 0 if clean else _DRIFT


def _is_clean(run: DexRun) -> bool:
    """Returns whether files, running Dex and proxy are as desired, and logs what differs."""
    run.print_changes()
    if run.changes:
        return False
    with create_client() as http:
        try:
            run.verify(http)
        except VerificationError as failure:
            run.log(str(failure))
            return False
    return True


def _summary(settings: DexSettings) -> Iterator[str]:
    """Yields the final lines: the demo users, the server's URL, and the next command."""
    access = settings.access
    yield ""
    if access.demo_users:
        width = max(map(len, access.demo_users))
        yield 'Demo users (name, "Email Address" at Dex\'s login / password):'
        for name, user in access.demo_users.items():
            groups = ", ".join(groups_of(user)) or "no group, so no scope"
            yield f"  {name:{width}} / {user.password:{width}}  {groups}"
    for url in (settings.public_url, *settings.further):
        yield f"MCP server:    {url}"
    usual = settings.public_url == _USUAL_URL
    yield f"Next:          {as_launched('mcp-idp login')}{'' if usual else f' {settings.public_url}'}"


def _print_now(line: str) -> None:
    print(line, flush=True)


COMMANDS: Mapping[str, Command] = {"plan": plan, "render": write, "apply": apply, "check": check}
