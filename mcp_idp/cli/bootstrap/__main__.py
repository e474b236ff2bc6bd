import sys

try:
    from mcp_idp.cli.bootstrap.cli import main

    status = main()
except ModuleNotFoundError as missing:
    sys.exit(
        f"bootstrap: {missing.name} is not installed: run `scripts/venv requirements-tools.lock` and use "
        ".venv/bin/python, or Docker"
    )
sys.exit(status)
