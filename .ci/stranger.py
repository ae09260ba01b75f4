"""
What the README promises to somebody who has nothing but a fresh machine: its
first command, typed as it stands there; and the example package, copied and
renamed, in a host.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 120.0
"""Seconds for an installation and the start of a host together."""

NOT_COPIED = (".git", ".tox", ".*_cache", "__pycache__", "*.egg-info", "run")


def first_command(readme: Path) -> str:
    """The first thing that the README has people type."""
    found = re.search(r"```sh\n(.+?)\n```", readme.read_text())
    if found is None:
        sys.exit(f"{readme} has no command")
    return found[1]


class Place:
    """A directory, and the environment whose commands are found in it."""

    def __init__(self, directory: Path, commands: Path) -> None:
        self.directory = directory
        path = os.pathsep.join([str(commands), os.environ["PATH"]])
        self.env = {**os.environ, "PATH": path}

    def type(self, line: str) -> str:
        """Type a line, and have what it prints; stop if it fails."""
        print("$", line, flush=True)
        done = subprocess.run(
            line,
            shell=True,
            cwd=self.directory,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        if done.returncode != 0:
            print(done.stdout, end="", flush=True)
            sys.exit(f"failed with status {done.returncode}: {line}")
        return done.stdout

    @contextmanager
    def running(self, line: str) -> Iterator[None]:
        """Have a host that a line starts, until it is asked to end itself."""
        print("$", line, "&", flush=True)
        log = self.directory / "host.log"
        with log.open("w") as output:
            host = subprocess.Popen(
                line,
                shell=True,
                cwd=self.directory,
                env=self.env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _until_ready(host, log)
            yield
            self.type("sockhost shutdown")
            if status := host.wait(PATIENCE):
                sys.exit(f"the host ended with status {status}: {log.read_text()}")
        finally:
            _kill_session(host)


def _kill_session(host: subprocess.Popen[bytes]) -> None:
    # What a shell runs outlives the shell.
    if host.poll() is None:
        os.killpg(host.pid, signal.SIGKILL)
        host.wait()


def _until_ready(host: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while "ready; steer it" not in log.read_text():
        if host.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"the host did not come up: {log.read_text()}")
        time.sleep(0.05)


def check_quickstart(root: Path, scratch: Path, commands: Path) -> None:
    """The first command brings up what the rest of the session then uses."""
    checkout = scratch / "checkout"
    shutil.copytree(root, checkout, ignore=shutil.ignore_patterns(*NOT_COPIED))
    place = Place(checkout, commands)
    with place.running(first_command(checkout / "README.md")):
        for line in (checkout / "docs/listings/session.sh").read_text().splitlines():
            if shlex.split(line, comments=True) != ["sockhost", "shutdown"]:
                place.type(line)


def renamed(root: Path, scratch: Path, name: str) -> Path:
    """Copy the example package, and rename what its README says."""
    copy = scratch / name
    ignored = shutil.ignore_patterns(*NOT_COPIED, "dropin.cache")
    shutil.copytree(root / "examples" / "plugin", copy, ignore=ignored)
    for path in [*copy.rglob("*.*")]:
        if path.is_file():
            text = path.read_text().replace("sockhost_example", name)
            path.write_text(text.replace("sockhost-example", name))
    for path in [*copy.rglob("sockhost_example*")]:
        path.rename(path.with_name(path.name.replace("sockhost_example", name)))
    return copy


def check_copied_example(root: Path, scratch: Path, commands: Path) -> None:
    """A copy under another name installs, passes its tests and runs."""
    place = Place(renamed(root, scratch, "mine"), commands)
    place.type("python -m pip install --quiet -e .")
    place.type("trial mine")
    with place.running("twistd -n sockhost --config sockhost.toml"):
        place.type("sockhost send run/count.sock x")
        place.type("sockhost status pulse --json")
