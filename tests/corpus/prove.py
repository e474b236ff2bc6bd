"""Shows that each check is needed: takes it away, and sees a row of the corpus turn red.

`python -m tests.corpus.prove [NAME…]` prints a line a check: how many of its rows are red without it, and how many of
those attacks were let in. What is red and not in was stopped by the next check, for another reason. The status is 1 if
a check can be taken away unnoticed, or is no longer found in the source.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.corpus.checks import CHECKS

ROOT = Path(__file__).parents[2]
_COPIED = ("mcp_idp", "mcp_server", "tests", "idp-config", "pyproject.toml")
_LET_IN = re.compile(r"answered (\[[0-9, ]*)?200")


def copy_to(folder: Path) -> None:
    """What the corpus needs, as it is in the working tree."""
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "integration.log"))
        else:
            shutil.copy(source, folder / name)


def rows_without(name: str, folder: Path) -> tuple[int, int, int]:
    """Rows of the check `name`, how many are red without it, and how many of those were let in.

    Raises:
        ValueError: the source text is not there, or more than once, or the corpus could not be run.
    """
    check = CHECKS[name]
    path = folder / check.file
    source = path.read_text(encoding="utf-8")
    if source.count(check.text) != 1:
        raise ValueError(f"{check.file}: {check.text!r} is there {source.count(check.text)} times")
    report = folder / "report.xml"
    path.write_text(source.replace(check.text, check.without), encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "--timeout=20", f"--junitxml={report}", "-k", f"[{name}/"]
    command = [sys.executable, "-B", "-m", "pytest", "tests/corpus/test_corpus.py", *options]
    try:
        ran = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=90)
    except subprocess.TimeoutExpired as error:
        raise ValueError("the corpus did not come to an end") from error
    finally:
        path.write_text(source, encoding="utf-8")
    if ran.returncode not in {0, 1}:
        raise ValueError(f"the corpus could not be run: status {ran.returncode}")
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - our own report
    red = [ET.tostring(case, encoding="unicode") for case in cases if case.find("failure") is not None]
    return len(cases), len(red), sum(_LET_IN.search(text) is not None for text in red)


def main(*names: str) -> int:
    """Prove the checks `names`, all of them by default; the status to exit with."""
    unproven = []
    with tempfile.TemporaryDirectory() as folder:
        copy_to(Path(folder))
        sys.stdout.write(f"{'check':<28} rows  red  let in\n")
        for name in names or CHECKS:
            try:
                rows, red, let_in = rows_without(name, Path(folder))
            except ValueError as error:
                sys.stdout.write(f"{name:<28} {error}\n")
                unproven.append(name)
                continue
            sys.stdout.write(f"{name:<28} {rows:>4} {red:>4} {let_in:>7}\n")
            sys.stdout.flush()
            if not red:
                unproven.append(name)
    sys.stdout.write(f"{len(names or CHECKS) - len(unproven)} checks proven, not: {', '.join(unproven) or 'none'}\n")
    return 1 if unproven else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
