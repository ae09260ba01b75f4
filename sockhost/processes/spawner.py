# -*- test-case-name: tests.processes.test_spawner -*-
"""
The spawner: the only place that makes processes.

It executes by L{subprocess.Popen}, whose vfork costs the same however large the
host is and reports a failed exec as an exception.
"""

from __future__ import annotations

import errno
import os
import signal

from attrs import define, field
from twisted.internet.interfaces import IProcessProtocol
from zope.interface import implementer

from sockhost.interfaces import ISpawner, SpawnError
from sockhost.processes.child import Child
from sockhost.processes.privileges import apply_privileges
from sockhost.processes.spec import ChildSpec
from sockhost.processes.stdio import IProcessReactor, Stdio
from sockhost.processes.system import Linux, Process, System


@implementer(ISpawner)
@define
class Spawner:
    """
    Starts processes.

    @ivar reactor: reads the children's pipes and notices their end.
    """

    reactor: IProcessReactor
    _system: System = field(factory=Linux)

    def spawn(self, spec: ChildSpec, protocol: IProcessProtocol) -> Child:
        """Execute a program, as L{ISpawner} says."""
        launch = apply_privileges(spec)
        stdio = self._open(launch)
        try:
            process = self._execute(launch, stdio)
            pidfd = self._watch(process, launch)
        except SpawnError:
            stdio.close()
            raise
        stdio.close_theirs()
        child = Child(
            pid=process.pid,
            group=process.pid,
            process=process,
            reactor=self.reactor,
            protocol=protocol,
            system=self._system,
            drain=spec.drain,
        )
        child.begin(pidfd, stdio)
        return child

    def _open(self, spec: ChildSpec) -> Stdio:
        try:
            return Stdio.open(spec)
        except OSError as error:
            raise _spawn_error(spec, error) from error

    def _execute(self, spec: ChildSpec, stdio: Stdio) -> Process:
        try:
            return self._system.popen(
                spec.argv,
                stdin=stdio.stdin,
                stdout=stdio.stdout,
                stderr=stdio.stderr,
                close_fds=True,
                pass_fds=spec.pass_fds,
                cwd=spec.cwd,
                env=spec.env,
                umask=-1 if spec.umask is None else spec.umask,
                start_new_session=True,
            )
        except OSError as error:
            raise _spawn_error(spec, error) from error
        except ValueError as error:  # a NUL in argv, "=" in a variable's name
            raise SpawnError(errno.EINVAL, spec.argv[0], str(error)) from error

    def _watch(self, process: Process, spec: ChildSpec) -> int:
        try:
            return self._system.watch(process.pid)
        except OSError as error:
            self._system.discard(process.pid)
            process.returncode = -signal.SIGKILL
            raise _spawn_error(spec, error) from error


def _spawn_error(spec: ChildSpec, error: OSError) -> SpawnError:
    number = error.errno or 0
    reason = error.strerror or str(error)
    program = spec.argv[0]
    if spec.cwd is not None and error.filename == spec.cwd != program:
        return SpawnError(number, spec.cwd, f"as the directory to run in: {reason}")
    if isinstance(error, FileNotFoundError) and os.path.isfile(program):
        reason += "; the interpreter that its first line names does not exist"
    return SpawnError(number, program, reason)
