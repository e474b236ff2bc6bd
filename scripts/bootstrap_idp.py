#!/usr/bin/env python3
"""Gives the identity provider the realm, scopes, roles, clients and registration policy that MCP clients need.

What it shall be stands in idp-config/access.yaml (and, for what only Keycloak knows, in idp-config/keycloak).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs by its path

try:
    from scripts.bootstrap.dex.verbs import VERBS
    from scripts.bootstrap.failures import Failure, SettingsFailure
    from scripts.bootstrap.run import run_apply
    from scripts.bootstrap.settings import BootstrapSettings
except ModuleNotFoundError as missing:
    sys.exit(f"bootstrap: {missing.name} is not installed: run ./scripts/test once and use .venv/bin/python, or Docker")

_EPILOG = """\
environment (an empty value counts as unset):
  OAUTH_SERVER_URL                   the issuer; its last part is the realm   [http://localhost:8080/realms/mcp]
  OAUTH_INTERNAL_URL                 the same realm as this process reaches it          [OAUTH_SERVER_URL]
  MCP_PUBLIC_URL                     the resource: audience of every token  [http://localhost:3000/mcp]
  KEYCLOAK_ADMIN_CLIENT_ID           a client of the realm 'master' with a service account     [bootstrap]
  KEYCLOAK_ADMIN_CLIENT_SECRET_FILE  the file with its secret (or KEYCLOAK_ADMIN_CLIENT_SECRET)
  OAUTH_CLIENT_SECRET_FILE           where the server's own secret is kept; made if it is not there
  ACCESS_FILE                        who may do what                              [idp-config/access.yaml]
with --provider dex, besides:
  DEX_FILES                          the folder that the files are written to                      [.dex]
  DEX_UPSTREAM                       where Dex listens, behind the front                       [dex:5556]
  DEX_CONFIG                         Dex's own members, names in idp-config/dex                [dex.yaml]

exit codes: 0 done and proven, 1 the provider refused or the result is not as promised, 2 something to change here,
3 the provider does not answer.

examples:
  docker compose run --rm bootstrap                    what `docker compose up` does once
  scripts/bootstrap_idp.py apply                       against OAUTH_SERVER_URL; a second time: no changes
  scripts/bootstrap_idp.py apply --prove               also registers a client for a moment, to see that it works
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.provider == "dex":
            return VERBS[options.verb](options, os.environ)
        if options.verb != "apply":
            raise SettingsFailure(f"{options.verb}: Keycloak has apply only")
        settings = BootstrapSettings.load(os.environ)
        run_apply(settings, wait=options.wait, try_registration=options.prove)
    except Failure as failure:
        sys.stdout.flush()
        print(f"bootstrap: {failure}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        print("bootstrap: stopped; run it again to go on from here", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bootstrap_idp.py",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--provider", choices=("keycloak", "dex"), default="keycloak", help="which identity provider [keycloak]"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    apply = verbs.add_parser(
        "apply",
        help="make the provider as the files say, and prove it",
        description="Reads the provider, prints and writes what differs, proves the result. Writes nothing if nothing "
        "differs.",
    )
    apply.add_argument(
        "--wait", type=_seconds, default=120, metavar="SECONDS", help="how long a starting provider is waited for [120]"
    )
    apply.add_argument(
        "--prove", action="store_true", help="try a registration even if nothing changed; it is removed at once"
    )
    verbs.add_parser("plan", help="Dex: say what apply would change in the files")
    verbs.add_parser("render", help="Dex: write the files, for a Dex that is still to start")
    verbs.add_parser("check", help="Dex: exit 1 where files, running Dex and front differ")
    return parser


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text}: write a whole number of seconds")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
