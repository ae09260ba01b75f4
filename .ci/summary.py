"""
Say in one line how a run of tox went: the tests of every JUnit file, and the
environments that are one check each.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree


def tests(path: Path) -> tuple[int, int]:
    """How many tests of a JUnit file passed and failed."""
    passed = failed = 0
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        number = {key: int(suite.get(key, 0)) for key in ("tests", "skipped")}
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        passed += number["tests"] - number["skipped"] - bad
        failed += bad
    return passed, failed


def environments(path: Path) -> dict[str, bool]:
    """Which environments of tox's result file ran, and whether all went well."""
    found = json.loads(path.read_text()).get("testenvs", {})
    return {
        name: bool(env["result"]["success"])
        for name, env in found.items()
        if "result" in env
    }


def main(work_dir: Path) -> int:
    """Print the summary; the status is 1 if anything failed or nothing ran."""
    passed = failed = 0
    for path in sorted((work_dir / "junit").glob("*.xml")):
        good, bad = tests(path)
        print(f"{path.stem}: {good} tests passed, {bad} failed")
        passed, failed = passed + good, failed + bad
    for name, good in environments(work_dir / "result.json").items():
        print(f"{name}: {'ok' if good else 'FAILED'}")
        passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
