"""
Build the distributions and use them as a user would: the wheel in one fresh
environment, an editable install in another, each from a directory that is not
the checkout; then the example package on top, with its own tests.  A third one
is left to what the README has a stranger type.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

from stranger import check_copied_example, check_quickstart

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command; show what it says, and stop, if it fails."""
    print("$", *command, flush=True)
    result = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode != 0:
        print(result.stdout, end="", flush=True)
        sys.exit(f"failed with status {result.returncode}: {command[0]}")
    return result.stdout


def build(into: Path) -> Path:
    """Make the wheel (by way of the sdist) and check what both say."""
    run(sys.executable, "-m", "build", "--outdir", into, ROOT)
    run(sys.executable, "-m", "twine", "check", "--strict", *into.iterdir())
    return next(into.glob("*.whl"))


def check_sdist(directory: Path) -> None:
    """What is kept in git is in the sdist, so that its tests run."""
    with tarfile.open(next(directory.glob("*.tar.gz"))) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    kept = set(run("git", "ls-files").splitlines()) - {".gitignore"}
    if missing := sorted(kept - inside):
        sys.exit(f"not in the sdist: {', '.join(missing)}")


def fresh(directory: Path, *requirements: str | Path) -> Path:
    """Make an environment with some requirements; say where its commands are."""
    venv.create(directory, with_pip=True)
    commands = directory / "bin"
    if requirements:
        run(commands / "python", "-m", "pip", "install", "--quiet", *requirements)
    return commands


def check_commands(commands: Path, elsewhere: Path) -> None:
    """The plugin is found and both ways in start, wherever one stands."""
    listed = run(commands / "twistd", "--help", cwd=elsewhere)
    if "sockhost" not in listed:
        sys.exit("twistd --help does not list sockhost")
    run(commands / "twistd", "sockhost", "--help", cwd=elsewhere)
    run(commands / "sockhost", "--version", cwd=elsewhere)


def check_example(commands: Path, elsewhere: Path) -> None:
    """The example package installs, is found, and passes its own tests."""
    example = ROOT / "examples" / "plugin"
    run(commands / "python", "-m", "pip", "install", "--quiet", "-e", example)
    run(commands / "trial", "sockhost_example", cwd=elsewhere)
    run(commands / "sockhost", "check", example / "sockhost.toml", cwd=elsewhere)


def main() -> None:
    """Check everything; the first failure ends it."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        elsewhere = scratch / "elsewhere"
        elsewhere.mkdir()
        wheel = build(scratch / "dist")
        check_sdist(scratch / "dist")
        check_commands(fresh(scratch / "wheel", wheel), elsewhere)
        editable = fresh(scratch / "editable", "-e", ROOT)
        check_commands(editable, elsewhere)
        check_example(editable, elsewhere)
        bare = fresh(scratch / "bare")
        check_quickstart(ROOT, scratch, bare)
        check_copied_example(ROOT, scratch, bare)
    print("packaging: everything works")


if __name__ == "__main__":
    main()
