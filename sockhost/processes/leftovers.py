# -*- test-case-name: tests.processes.test_leftovers -*-
"""
Ending what a former host left behind.

A host that is killed by SIGKILL cannot end its children.  It has noted each of
them in its run directory, so that the next host ends them before it starts the
same again: nothing ever runs twice.

The number of a process alone does not name it, as numbers are used again; with
its start time and the boot of the machine it does.  A file of notes has two
lines: a token that the process gets in its environment, written before it is
executed, and its number, as soon as that is known.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Any

from attrs import asdict, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from sockhost.interfaces import SockhostError
from sockhost.processes.countdown import Countdown
from sockhost.processes.procfs import (
    boot_id,
    environment_value,
    group_members,
    processes,
    read_stat,
)

#: Set in the environment of each process of a unit, to its name.
MARK = "SOCKHOST_UNIT"
#: Set in it too: names this one execution.
TOKEN = "SOCKHOST_RUN"
_POLL = 0.02
#: Seconds that killed processes get to be gone.
_DYING = 10.0


@frozen
class Record:
    """What names one process for ever."""

    pid: int
    start_time: int
    boot_id: str


@frozen
class Leftovers:
    """
    The notes about the processes of a run directory's units.

    @ivar run_dir: the run directory; the notes are in C{pids} in it.
    """

    _log = Logger()

    run_dir: str

    def expect(self, name: str) -> dict[str, str]:
        """
        Note that a process of a unit is about to be executed, for the case that
        this host is killed before it can note which one that is.

        @return: variables for its environment.
        @raise OSError: it cannot be written.
        """
        token = os.urandom(16).hex()
        self._write(name, "w", {"token": token, "boot_id": boot_id()})
        return {TOKEN: token}

    def record(self, name: str, pid: int) -> None:
        """
        Note that a process belongs to a unit; a later note counts for more.

        @raise OSError: it cannot be written.
        """
        stat = read_stat(pid)
        if stat is None:
            return
        self._write(name, "a", asdict(Record(pid, stat.start_time, boot_id())))

    def forget(self, name: str) -> None:
        """Remove the note of a unit, as nothing of its process is left."""
        with contextlib.suppress(FileNotFoundError):
            self._path(name).unlink()

    def names(self) -> list[str]:
        """Name all units that there are notes of."""
        return sorted(path.stem for path in Path(self.run_dir, "pids").glob("*.json"))

    def read(self, name: str) -> Record | None:
        """Read the note of a unit; C{None} if there is none that is whole."""
        try:
            lines = self._path(name).read_text().splitlines()
        except FileNotFoundError:
            return None
        for line in reversed(lines):
            try:
                return _parse(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue  # the host was killed as it wrote this
        self._log.error("the note {path} is spoilt", path=self._path(name))
        return None

    def living(self, name: str) -> list[int]:
        """List the processes of a unit that a former host left running."""
        record = self.read(name)
        if record is None or record.boot_id != boot_id():
            return []
        leader = read_stat(record.pid)
        members = [stat.pid for stat in group_members(record.pid)]
        if leader is not None:
            return members if leader.start_time == record.start_time else []
        # The group outlived its leader, unless it is another one by now.
        return [pid for pid in members if environment_value(pid, MARK) == name]

    def reclaim(
        self,
        clock: IReactorTime,
        name: str,
        grace: float,
        stop_signal: int = signal.SIGTERM,
    ) -> Deferred[bool]:
        """
        End what is left of a unit, and remove the note.

        @param grace: seconds between C{stop_signal} and SIGKILL.
        @return: fires when nothing is left, with whether there was something.
            Fails with L{SockhostError} if a process survives SIGKILL.
            Cancelling cuts the grace; the Deferred fires all the same.
        """
        return Deferred.fromCoroutine(self._reclaim(clock, name, grace, stop_signal))

    async def _reclaim(
        self, clock: IReactorTime, name: str, grace: float, stop_signal: int
    ) -> bool:
        found = bool(self.living(name))
        if found:
            self._log.warn("{unit}: ending what a former host left", unit=name)
            self._signal(name, stop_signal)
            if not await self._gone(clock, name, grace):
                self._signal(name, signal.SIGKILL)
                if not await self._gone(clock, name, _DYING, cuttable=False):
                    raise SockhostError(
                        f"process {self.living(name)} of a former host does not end"
                    )
        self.forget(name)
        return found

    async def _gone(
        self, clock: Any, name: str, timeout: float, cuttable: bool = True
    ) -> bool:
        countdown = Countdown(clock, timeout)
        while self.living(name):
            if countdown.over():
                return False
            try:
                await deferLater(clock, _POLL)
            except CancelledError:
                if cuttable:
                    countdown.left = 0.0
        return True

    def _signal(self, name: str, signum: int) -> None:
        for pid in self.living(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)

    def _write(self, name: str, mode: str, note: dict[str, Any]) -> None:
        path = self._path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            # No fsync: it has to outlive the host, not the machine.
            with path.open(mode) as file:
                file.write(json.dumps(note) + "\n")
        except OSError:
            # On a full disk the file itself has room.
            with contextlib.suppress(OSError):
                if not path.stat().st_size:
                    path.unlink()
            raise

    def _path(self, name: str) -> Path:
        return Path(self.run_dir, "pids", f"{name}.json")


def _parse(note: Any) -> Record | None:
    if "token" in note:
        return _executed(note["token"], note["boot_id"])
    return Record(note["pid"], note["start_time"], note["boot_id"])


def _executed(token: str, boot: str) -> Record | None:
    # What it has started since may lead groups of its own.
    found = [
        stat
        for stat in processes()
        if stat.pid == stat.group and environment_value(stat.pid, TOKEN) == token
    ]
    first = min(found, key=lambda stat: stat.start_time, default=None)
    return None if first is None else Record(first.pid, first.start_time, boot)
