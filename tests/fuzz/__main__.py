"""Fuzzes the parsers of remote input, guided by coverage: `./scripts/fuzz --help` describes it.

libFuzzer ends a process with its first finding, so each target has a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path

FINDINGS = Path(".fuzz")
_TARGETS = ("connections", "json", "tokens", "claims", "bodies", "headers", "texts")
_INPUT_SECONDS = 25
_MAX_MEMORY_MIB = 1024


def fuzz(name: str, seconds: int) -> None:
    """Fuzzes one target for this many seconds, in this process, which ends with it."""
    import atheris  # type: ignore[import-untyped] # noqa: PLC0415 - installed for fuzzing only

    with atheris.instrument_imports(include=["mcp_idp"]):
        from tests.fuzz.targets import MAX_INPUT_BYTES, TARGETS  # noqa: PLC0415 - instrumented at its import

    from mcp_idp.observability.logging import configure_logging  # noqa: PLC0415

    nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - the process writes its log to it
    with redirect_stderr(nowhere):
        configure_logging("json", "debug")
    target = TARGETS[name]()
    folder = FINDINGS / name
    for part in ("seeds", "inputs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (folder / "seeds" / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-timeout={_INPUT_SECONDS}",
        f"-rss_limit_mb={_MAX_MEMORY_MIB}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
    ]
    atheris.Setup([name, str(folder / "inputs"), str(folder / "seeds"), *options], target)
    atheris.Fuzz()


def main() -> int:
    """Fuzzes the targets one after the other."""
    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(_TARGETS)}; default: all")
    options = parser.parse_args()
    names = options.targets or _TARGETS
    if unknown := set(names) - set(_TARGETS):
        parser.error(f"unknown target {min(unknown)}: expected {', '.join(_TARGETS)}")
    if options.here:
        fuzz(names[0], options.seconds)
    failed = []
    for name in names:
        sys.stdout.write(f"--- {name}\n")
        sys.stdout.flush()
        command = [sys.executable, "-m", "tests.fuzz", "--here", "--seconds", str(options.seconds // len(names)), name]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    sys.stdout.write(f"found inputs, in {FINDINGS}: {', '.join(failed)}\n" if failed else "nothing found\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
