"""The Keycloak commands of `mcp-idp bootstrap`.

Each function takes the parsed options and the environment, and returns the exit code; `COMMANDS` maps the command's
name to it.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from mcp_idp.cli.bootstrap.access_lint import lint
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.admin_accounts import replace_bootstrap_admin
from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
from mcp_idp.cli.bootstrap.keycloak.compliance.realm_check import audit
from mcp_idp.cli.bootstrap.keycloak.initial_access_tokens import create_initial_access_token
from mcp_idp.cli.bootstrap.keycloak.probe.runner import PATIENCE, probe
from mcp_idp.cli.bootstrap.keycloak.removal import read_for_removal, removal_changes, remove_resource
from mcp_idp.cli.bootstrap.keycloak.runner import plan_lines, plan_report, resource_lines, run_apply
from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings
from mcp_idp.cli.bootstrap.keycloak.stale_clients import (
    StalenessRule,
    describe_rule,
    remove,
    self_registered,
    stale_clients,
)
from mcp_idp.cli.bootstrap.output import (
    change_json,
    change_lines,
    count_line,
    count_noun,
    line_printer,
    print_json,
    waiting,
)
from mcp_idp.cli.bootstrap.verification import create_client
from mcp_idp.cli.common.console import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.cli.bootstrap.options import BootstrapOptions, Command

_DRIFTED = 1


def _apply(options: BootstrapOptions, environ: Mapping[str, str]) -> int:
    settings = replace(KeycloakSettings.load(environ, "apply"), moved_from=options.moved_from)
    log = line_printer(sys.stdout)
    run_apply(settings, wait=options.wait, try_registration=options.verify, verbose=options.verbose, log=log)
    return 0


def _plan(options: BootstrapOptions, environ: Mapping[str, str]) -> int:
    settings = replace(KeycloakSettings.load(environ, "check"), moved_from=options.moved_from)
    with waiting("comparing the realm with the files") as log:
        for warning in lint(settings.access):
            log(f"warning: {warning}")
        report = plan_report(settings, wait=options.wait, log=log)
    if options.json:
        shared = (
            {
                "resources": {url: record.names for url, record in report.resources.items()},
                "realm_owner": report.owner,
                "differences": change_json(report.differences),
            }
            if len(report.resources) > 1
            else {}
        )
        print_json({"realm": settings.realm, "changes": change_json(report.changes), **shared}, sys.stdout)
        return 0
    print_line = line_printer(sys.stdout)
    for line in (*resource_lines(report), *plan_lines(settings, report.changes)):
        print_line(line)
    return 0


def _check(options: BootstrapOptions, environ: Mapping[str, str]) -> int:
    settings = KeycloakSettings.load(environ, "check")
    with waiting("comparing the realm with the files, and looking for weaknesses") as log:
        findings = audit(settings, wait=options.wait, log=log)
    if options.json:
        print_json({"realm": settings.realm, **findings.json()}, sys.stdout)
    else:
        print_line = line_printer(sys.stdout)
        for line in findings.lines():
            print_line(line)
    return 0 if findings.clean else _DRIFTED


def _remove(options: BootstrapOptions, environ: Mapping[str, str]) -> int:
    settings = KeycloakSettings.load(environ, "apply")
    print_line = line_printer(sys.stdout)
    session = AdminClient(settings, line_printer(sys.stderr))
    session.log_in(options.wait)
    actual = read_for_removal(session, options.resource)
    changes = removal_changes(options.resource, actual)
    if not changes:
        print_line(f"no changes: the realm {settings.realm} has no resource {options.resource}")
        return 0
    for change in changes:
        for line in change_lines(change):
            print_line(line)
    print_line(count_line(changes))
    if not _confirmed(options):
        raise ConfigError("nothing was removed: confirm with --yes")
    remove_resource(session, changes, actual, lambda _: None)
    print_line(f"removed {options.resource} from the realm {settings.realm}")
    return 0


def _confirmed(options: BootstrapOptions) -> bool:
    return options.yes or (sys.stdin.isatty() and click.confirm("Remove all of this?", err=True))


def _prune(options: BootstrapOptions, environ: Mapping[str, str]) -> int:
    settings = KeycloakSettings.load(environ, "apply" if options.delete else "check")
    print_line = line_printer(sys.stderr if options.json else sys.stdout)
    rule = StalenessRule(time.time(), options.older_than, unused=options.unused)
    print_line(
        f"looking for clients that registered themselves, {describe_rule(options.older_than, unused=options.unused)}"
    )
    with waiting("reading clients and events") as log:
        session = AdminClient(settings, log)
        session.log_in(options.wait)
        # Read all pages before deleting: deletions shift the offsets, so later pages would skip clients.
        clients = list(self_registered(session))
        found = list(stale_clients(session, clients, rule))
    if options.json:
        stale = [{**client.json(), "removed": options.delete and remove(session, client)} for client in found]
        print_json({"realm": settings.realm, "registered": len(clients), "stale": stale}, sys.stdout)
        return 0
    for client in found:
        print_line(f"- {client.text}")
    of_all = f"of {len(clients)} that registered themselves"
    if not options.delete:
        print_line(
            f"{len(found)} stale {of_all}" + ("; nothing was removed: add --delete to remove them" if found else "")
        )
        return 0
    removed = sum(remove(session, client) for client in found)
    busy = len(found) - removed
    print_line(
        f"{removed} removed {of_all}, {len(clients) - removed} kept"
        + (f"; {busy} of them were used for a login just now" if busy else "")
    )
    return 0


def _token(options: BootstrapOptions, environ: Mapping[str, str]) -> int:
    settings = KeycloakSettings.load(environ, "apply")
    print_line = line_printer(sys.stderr)
    session = AdminClient(settings, print_line)
    session.log_in(options.wait)
    profile = settings.access.registration.profile
    # Standard output carries the token alone, so that it can be redirected to a file or a pipe without being displayed.
    token = create_initial_access_token(session, profile, uses=options.uses, seconds=options.expires)
    endpoint = f"{settings.server_url}/clients-registrations/openid-connect"
    if options.json:
        found = {"token": token, "uses": options.uses, "expires_in": options.expires, "registration_endpoint": endpoint}
        print_json({"realm": settings.realm, **found}, sys.stdout)
        return 0
    print(printable(token))
    count = count_noun(options.uses, "client")
    print_line(f"The token above registers {count} within {options.expires} seconds and is shown only once.")
    print_line(f"Send it as `Authorization: Bearer` to {endpoint}")
    return 0


def _replace_admin(options: BootstrapOptions, environ: Mapping[str, str]) -> int:
    settings = KeycloakSettings.load(environ)
    replace_bootstrap_admin(settings, wait=options.wait, log=line_printer(sys.stdout))
    return 0


def _probe(options: BootstrapOptions, environ: Mapping[str, str]) -> int:
    settings = KeycloakSettings.load(environ, "apply")
    with waiting("probing the nine weaknesses") as log:
        session = AdminClient(settings, log)
        session.log_in(options.wait)
        with create_client(PATIENCE) as http:
            outcomes = probe(session, settings, http)
    if options.json:
        found = [{"id": outcome.id, "open": outcome.open, "observed": outcome.observed} for outcome in outcomes]
        print_json({"realm": settings.realm, "issuer": settings.server_url, "cases": found}, sys.stdout)
    else:
        print_line = line_printer(sys.stdout)
        for case in outcomes:
            label, state = ("weakness", "open") if case.open else ("verified", "closed")
            print_line(f"{label}: {case.id} {state}: {printable(case.observed)}")
    return _DRIFTED if any(outcome.open for outcome in outcomes) else 0


COMMANDS: Mapping[str, Command] = {
    "plan": _plan,
    "apply": _apply,
    "check": _check,
    "prune": _prune,
    "token": _token,
    "replace-admin": _replace_admin,
    "probe": _probe,
    "remove": _remove,
}
