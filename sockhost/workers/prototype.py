# -*- test-case-name: tests.workers.test_prototype -*-
"""
The prototype: a process that imports the handler once and forks workers.

It is a fresh interpreter with one thread and a blocking loop, so that what a
worker inherits is the imported modules and nothing that runs.  L{orders} tells
how the host talks to it.  It lives as long as the host holds the other end of
that socket; its workers live no longer than it does, by the kernel's doing.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from setproctitle import setproctitle
from twisted.logger import globalLogBeginner

from sockhost.interfaces import SockhostError
from sockhost.processes.collector import settle_in
from sockhost.sockets.handler import load_handler
from sockhost.sockets.hubreactor import install
from sockhost.workers.forking import check_reactor, check_threads, watch_threads
from sockhost.workers.linux import die_with_parent
from sockhost.workers.log import WorkerLog
from sockhost.workers.orders import (
    MAX_MESSAGE,
    Exited,
    Failed,
    Forked,
    Message,
    NotForked,
    Prepare,
    Prepared,
    Spawn,
    pack,
    tail,
    unpack,
)
from sockhost.workers.process import ending_of
from sockhost.workers.spec import WorkerSpec

Run = Callable[[int, socket.socket], int]
"""
Does a worker's work: gets its index and its port, returns its exit status.
"""


def main(descriptor: int) -> NoReturn:
    """
    Be a prototype.

    @param descriptor: the inherited end of the host's socket pair.
    """
    die_with_parent()
    ctl = socket.socket(fileno=descriptor)
    ctl.setblocking(True)
    ctl.set_inheritable(False)
    _set_signals()
    os._exit(_serve(ctl))


def _set_signals() -> None:
    # Whoever signals all of sockhost means the host with these two.  A handler
    # and not SIG_IGN, which programs that a worker executes would inherit.
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, lambda _number, _frame: None)
    # If it is ignored, the kernel reaps workers, and nobody hears how they ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _serve(ctl: socket.socket) -> int:
    try:
        spec = receive_spec(ctl)
        if spec is None:
            return 0
        run = prepare(spec)
    except BaseException as e:
        # Also a plugin that calls sys.exit() when imported gets here: the
        # host is told why, and this process has nothing else to do.
        if not isinstance(e, SockhostError):
            traceback.print_exc()
        ctl.send(pack(_failed(e)))
        return 1
    ctl.send(pack(Prepared()))
    Prototype(ctl, run, spec.title).loop()
    return 0


def _failed(error: BaseException) -> Failed:
    last = traceback.format_exception_only(error)[-1].strip()
    return Failed(tail(str(error) if isinstance(error, SockhostError) else last))


def receive_spec(ctl: socket.socket) -> WorkerSpec | None:
    """
    Wait for the specification.

    @return: it, or C{None} if the host is gone.
    @raise SockhostError: it cannot be had.
    """
    data, descriptors, _flags, _address = socket.recv_fds(ctl, MAX_MESSAGE, 1)
    if not data:
        return None
    if not descriptors:
        raise SockhostError("the prototype has no descriptor left for its orders")
    assert isinstance(unpack(data), Prepare)
    with open(descriptors[0], "rb") as file:
        return WorkerSpec.loads(file.read())


def prepare(spec: WorkerSpec) -> Run:
    """
    Import all that a worker needs, the handler first.

    @return: what a worker runs.
    @raise SockhostError: the handler cannot be imported; that was logged.
    @raise CannotFork: the handler's modules cannot be forked with.
    """
    setproctitle(spec.title("prototype"))
    sys.argv[:] = [spec.title("worker")]
    _import_first_from(spec.config_dir)
    _write_whole_lines()
    log = WorkerLog(sys.stderr, f"{spec.unit} prototype", spec.log_level)
    globalLogBeginner.beginLoggingTo([log], redirectStandardIO=False)
    if spec.hub_reactor:
        install()
    with watch_threads() as starters:
        load_handler(str(spec.socket["handler"]))
    # Only now: a plugin may have chosen its own reactor, and is to be told.
    from twisted.internet import reactor

    from sockhost.workers.worker import run_worker

    check_reactor(reactor)
    check_threads(starters)
    gc.collect()
    settle_in()

    def run(index: int, port: socket.socket) -> int:
        log.label = f"{spec.unit} worker {index}"
        return run_worker(reactor, spec, index, port)

    return run


def _import_first_from(directory: str) -> None:
    sys.path[:] = [directory, *(entry for entry in sys.path if entry != directory)]


def _write_whole_lines() -> None:
    # Several processes write to the same pipe.  What print() writes piece by
    # piece is kept together, also under PYTHONUNBUFFERED.
    sys.stdout, sys.stderr = (
        open(fd, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        for fd in (1, 2)
    )


class Prototype:
    """
    Forks workers when it is told to, reaps them, and reports both.
    """

    def __init__(
        self, ctl: socket.socket, run: Run, title: Callable[[str], str]
    ) -> None:
        """
        @param ctl: this end of the socket pair, blocking.
        @param run: a worker's work.
        @param title: makes the title of a process of its role.
        """
        self._ctl = ctl
        self._run = run
        self._title = title
        self._pid = os.getpid()
        self._workers: dict[int, int] = {}
        self._poll = select.poll()
        self._poll.register(ctl, select.POLLIN)

    def loop(self) -> None:
        """Serve the host until it is gone."""
        while True:
            for descriptor, _event in self._poll.poll():
                if descriptor != self._ctl.fileno():
                    self._reap(descriptor)
                elif not self._take_order():
                    return

    def _take_order(self) -> bool:
        data, descriptors, _flags, _address = socket.recv_fds(self._ctl, MAX_MESSAGE, 1)
        if not data:
            return False
        order = unpack(data)
        assert isinstance(order, Spawn)
        if not descriptors:
            self._tell(NotForked(order.stream, "no descriptor is left for its port"))
            return True
        with socket.socket(fileno=descriptors[0]) as port:
            self._spawn(order, port)
        return True

    def _spawn(self, order: Spawn, port: socket.socket) -> None:
        # What is still buffered would be written by each child again.
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as e:
            self._tell(NotForked(order.stream, f"cannot fork: {e.strerror}"))
            return
        if pid == 0:
            self._be_worker(order, port)
        self._watch(order, pid)

    def _watch(self, order: Spawn, pid: int) -> None:
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as e:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._tell(NotForked(order.stream, f"cannot watch: {e.strerror}"))
            return
        self._workers[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        self._tell(Forked(order.stream, pid), pidfd)

    def _reap(self, pidfd: int) -> None:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        assert result is not None
        ending = ending_of(result)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        self._tell(Exited(self._workers.pop(pidfd), ending.code, ending.signal))

    def _tell(self, message: Message, *descriptors: int) -> None:
        # The host is gone: the loop reads that from the same socket next.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._ctl, [pack(message)], descriptors)

    def _be_worker(self, order: Spawn, port: socket.socket) -> NoReturn:
        status = 1
        try:
            die_with_parent(self._pid)
            self._close()
            setproctitle(self._title(f"worker {order.index}"))
            status = self._run(order.index, port)
        except BaseException:
            traceback.print_exc()
        finally:
            # Never back into the loop, whatever happened.
            end_process(status)

    def _close(self) -> None:
        self._ctl.close()
        for pidfd in self._workers:
            os.close(pidfd)


def end_process(status: int) -> NoReturn:
    """
    End a forked process as an interpreter would end, without unwinding into
    what its parent was doing.
    """
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main(int(sys.argv[1]))
