"""The verbs of the command line for Keycloak: each takes the options and the environment and gives the exit code."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.access_lint import doubts
from mcp_idp.cli.bootstrap.keycloak.admin_client import Session
from mcp_idp.cli.bootstrap.keycloak.compliance.drift import check_now
from mcp_idp.cli.bootstrap.keycloak.initial_access_tokens import invite
from mcp_idp.cli.bootstrap.keycloak.probe.runner import PATIENCE, probe
from mcp_idp.cli.bootstrap.keycloak.runner import plan_now, run_apply
from mcp_idp.cli.bootstrap.keycloak.service_accounts import hand_over
from mcp_idp.cli.bootstrap.keycloak.settings import BootstrapSettings
from mcp_idp.cli.bootstrap.keycloak.stale_clients import Age, remove, self_registered, sought, stale_clients
from mcp_idp.cli.bootstrap.output import change_json, change_lines, count_line, printable, say_json, saying
from mcp_idp.cli.bootstrap.verification import open_http

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping

    Verb = Callable[[Namespace, Mapping[str, str]], int]

_DRIFTED = 1


def _apply(options: Namespace, environ: Mapping[str, str]) -> int:
    settings = BootstrapSettings.load(environ, "apply")
    run_apply(settings, wait=options.wait, try_registration=options.prove, say=saying(sys.stdout))
    return 0


def _plan(options: Namespace, environ: Mapping[str, str]) -> int:
    settings = BootstrapSettings.load(environ, "check")
    complain = saying(sys.stderr)
    for doubt in doubts(settings.access):
        complain(f"warning: {doubt}")
    changes = plan_now(settings, wait=options.wait, say=complain)
    if options.json:
        say_json({"realm": settings.realm, "changes": change_json(changes)}, sys.stdout)
        return 0
    say = saying(sys.stdout)
    for change in changes:
        for line in change_lines(change, members=True):
            say(line)
    if changes and changes[0].about == f"realm {settings.realm}":
        say("note: Keycloak puts scopes and policies of its own into a new realm; apply puts those right too")
    say(count_line(changes))
    return 0


def _check(options: Namespace, environ: Mapping[str, str]) -> int:
    settings = BootstrapSettings.load(environ, "check")
    findings = check_now(settings, wait=options.wait, say=saying(sys.stderr))
    if options.json:
        say_json({"realm": settings.realm, **findings.json()}, sys.stdout)
    else:
        say = saying(sys.stdout)
        for line in findings.lines():
            say(line)
    return 0 if findings.clean else _DRIFTED


def _prune(options: Namespace, environ: Mapping[str, str]) -> int:
    settings = BootstrapSettings.load(environ, "apply" if options.delete else "check")
    say = saying(sys.stdout)
    session = Session(settings, saying(sys.stderr))
    session.log_in(options.wait)
    say(f"looking for clients that registered themselves, {sought(options.older_than, unused=options.unused)}")
    # All first: a page of clients that shrinks while it is read would hide some.
    clients = list(self_registered(session))
    found = list(stale_clients(session, clients, Age(time.time(), options.older_than, unused=options.unused)))
    for stale in found:
        say(f"- {stale.text}")
    of_all = f"of {len(clients)} that registered themselves"
    if not options.delete:
        say(f"{len(found)} stale {of_all}" + ("; nothing was removed: add --delete to remove them" if found else ""))
        return 0
    removed = sum(remove(session, stale) for stale in found)
    busy = len(found) - removed
    say(
        f"{removed} removed {of_all}, {len(clients) - removed} kept"
        + (f"; {busy} of them because somebody has just logged in with them" if busy else "")
    )
    return 0


def _token(options: Namespace, environ: Mapping[str, str]) -> int:
    settings = BootstrapSettings.load(environ, "apply")
    say = saying(sys.stderr)
    session = Session(settings, say)
    session.log_in(options.wait)
    profile = settings.access.registration.profile
    # The token alone on standard output, so that it can go into a file or a pipe without passing a screen.
    print(invite(session, profile, uses=options.uses, seconds=options.expires))
    count = "1 client" if options.uses == 1 else f"{options.uses} clients"
    say(f"The token above registers {count} within {options.expires} seconds and is shown only now.")
    say(f"Send it as `Authorization: Bearer` to {settings.server_url}/clients-registrations/openid-connect")
    return 0


def _hand_over(options: Namespace, environ: Mapping[str, str]) -> int:
    settings = BootstrapSettings.load(environ)
    hand_over(settings, wait=options.wait, say=saying(sys.stdout))
    return 0


def _probe(options: Namespace, environ: Mapping[str, str]) -> int:
    settings = BootstrapSettings.load(environ, "apply")
    session = Session(settings, saying(sys.stderr))
    session.log_in(options.wait)
    with open_http(PATIENCE) as http:
        trials = probe(session, settings, http)
    if options.json:
        found = [{"id": trial.id, "open": trial.open, "seen": trial.seen} for trial in trials]
        say_json({"realm": settings.realm, "issuer": settings.server_url, "trials": found}, sys.stdout)
    else:
        say = saying(sys.stdout)
        for trial in trials:
            word, state = ("hole", "open") if trial.open else ("proof", "closed")
            say(f"{word}: {trial.id} {state}: {printable(trial.seen)}")
    return _DRIFTED if any(trial.open for trial in trials) else 0


VERBS: Mapping[str, Verb] = {
    "plan": _plan,
    "apply": _apply,
    "check": _check,
    "prune": _prune,
    "token": _token,
    "hand-over": _hand_over,
    "probe": _probe,
}
