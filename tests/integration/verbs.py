"""What the verbs of the bootstrap do, for a realm of a test."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from scripts.bootstrap.keycloak.check import check_now
from scripts.bootstrap.run import plan_now
from scripts.bootstrap.settings import BootstrapSettings
from tests.integration.keycloak import REPOSITORY

if TYPE_CHECKING:
    from scripts.bootstrap.keycloak.check import Findings
    from scripts.bootstrap.plan import Change
    from tests.integration.keycloak import Realm


def settings_of(realm: Realm, **variables: str) -> BootstrapSettings:
    """The settings of a run for this realm, some of them otherwise."""
    return BootstrapSettings.load({**realm.environment, **variables})


def check(realm: Realm, **variables: str) -> Findings:
    """What the verb `check` finds."""
    return check_now(settings_of(realm, **variables), wait=30, say=lambda _: None)


def plan(realm: Realm, **variables: str) -> list[Change]:
    """What the verb `plan` shows."""
    return plan_now(settings_of(realm, **variables), wait=30, say=lambda _: None)


def command_line(realm: Realm, *words: str, **variables: str) -> tuple[int, str, str]:
    """Run scripts/bootstrap_idp.py as a person does: exit code, what it printed, what it complained about."""
    done = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "bootstrap_idp.py", *words],
        env={"PATH": os.environ["PATH"], **realm.environment, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr
