"""
Run the unit tests under trial: every test module that is not in
C{tests/functional}, which trial has no option to leave out.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def modules() -> list[str]:
    """The dotted names of the test modules, in order."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    paths = [path.relative_to(ROOT).with_suffix("") for path in files]
    return [".".join(path.parts) for path in paths if "functional" not in path.parts]


if __name__ == "__main__":
    os.chdir(ROOT)
    command = [sys.executable, "-m", "twisted.trial", "--reporter=text"]
    os.execv(sys.executable, [*command, *sys.argv[1:], *modules()])
