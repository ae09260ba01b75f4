"""
Tests for L{sockhost.workers.prototype}.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import SockhostError
from sockhost.workers import prototype
from sockhost.workers.orders import (
    Failed,
    Message,
    NotForked,
    Prepare,
    Prepared,
    Spawn,
    pack,
    unpack,
)
from sockhost.workers.prototype import Prototype, end_process
from sockhost.workers.spec import WorkerSpec
from tests.workers.fakes import FakeSocket, loose

SPEC = WorkerSpec(unit="kv", socket={}, run_dir="/r", log_dir="/l", config_dir="/c")


class Exited(BaseException):
    """Stands in for the end of the process."""


class ServeTests(SynchronousTestCase):
    """
    What a prototype says of its import.
    """

    def serve(self, prepare: Any, spec: WorkerSpec | None = SPEC) -> tuple[int, Any]:
        """Serve a host that goes away at once; get the status and what was said."""
        said: list[Message] = []
        self.patch(prototype, "receive_spec", lambda _ctl: spec)
        self.patch(prototype, "prepare", prepare)
        self.patch(Prototype, "loop", lambda _self: None)
        talking = loose(_Talking(said))
        return prototype._serve(talking), said

    def test_prepared(self) -> None:
        """It says when it can fork, and ends well when the host is gone."""
        status, said = self.serve(lambda _spec: None)
        self.assertEqual((status, said), (0, [Prepared()]))

    def test_no_host(self) -> None:
        """Without a specification the host is gone already."""
        status, said = self.serve(self.fail, None)
        self.assertEqual((status, said), (0, []))

    def test_failed(self) -> None:
        """An error that sockhost raised is told by its text."""

        def prepare(_spec: WorkerSpec) -> None:
            raise SockhostError("cannot load handler a:B")

        status, said = self.serve(prepare)
        self.assertEqual((status, said), (1, [Failed("cannot load handler a:B")]))

    def test_exits(self) -> None:
        """A plugin that ends the process when it is imported is told of."""

        def prepare(_spec: WorkerSpec) -> None:
            raise SystemExit("no thanks")

        self.patch(sys, "stderr", loose(_Nowhere()))
        status, said = self.serve(prepare)
        self.assertEqual((status, said), (1, [Failed("SystemExit: no thanks")]))

    def test_no_orders(self) -> None:
        """So is a specification for which there is no descriptor left."""
        cut: Any = (pack(Prepare()), [], socket.MSG_CTRUNC, None)
        self.patch(socket, "recv_fds", lambda *_: cut)
        said: list[Message] = []
        self.assertEqual(prototype._serve(loose(_Talking(said))), 1)
        self.assertEqual(
            said, [Failed("the prototype has no descriptor left for its orders")]
        )


class _Talking(FakeSocket):
    def __init__(self, said: list[Message]) -> None:
        super().__init__(number=0)
        self.said = said

    def send(self, data: bytes) -> None:
        self.said.append(unpack(data))


class _Nowhere:
    def write(self, _text: str) -> None:
        pass

    def flush(self) -> None:
        pass


class ImportPathTests(SynchronousTestCase):
    """
    Where the handler is looked for.
    """

    def test_config_dir_first(self) -> None:
        """The directory of the configuration comes first, and once."""
        self.patch(sys, "path", ["/a", "/c", "/b"])
        prototype._import_first_from("/c")
        self.assertEqual(sys.path, ["/c", "/a", "/b"])


class SpawnTests(SynchronousTestCase):
    """
    Tests for L{Prototype}, short of the fork itself.
    """

    def test_cannot_fork(self) -> None:
        """A fork that the kernel refuses is told, and the loop goes on."""

        def fork() -> int:
            raise OSError(11, "Resource temporarily unavailable")

        sent: list[Message] = []
        self.patch(os, "fork", fork)
        self.patch(
            socket, "send_fds", lambda _s, data, _fds: sent.append(unpack(data[0]))
        )
        made = Prototype(loose(FakeSocket(0)), loose(self.fail), SPEC.title)
        made._spawn(Spawn(3, 1), loose(FakeSocket(21)))
        self.assertEqual(
            sent, [NotForked(3, "cannot fork: Resource temporarily unavailable")]
        )

    def test_no_port(self) -> None:
        """So is a port for which the prototype has no descriptor left."""
        sent: list[Message] = []
        self.patch(
            socket, "send_fds", lambda _s, data, _fds: sent.append(unpack(data[0]))
        )
        cut: Any = (pack(Spawn(3, 1)), [], socket.MSG_CTRUNC, None)
        self.patch(socket, "recv_fds", lambda *_: cut)
        made = Prototype(loose(FakeSocket(0)), loose(self.fail), SPEC.title)
        self.assertTrue(made._take_order())
        self.assertEqual(sent, [NotForked(3, "no descriptor is left for its port")])

    def test_worker_never_returns(self) -> None:
        """Whatever a worker raises, its process ends; it never gets into the loop
        of the prototype."""
        statuses: list[int] = []

        def end(status: int) -> None:
            statuses.append(status)
            raise Exited

        def run(_index: int, _port: Any) -> int:
            raise KeyboardInterrupt

        self.patch(prototype, "die_with_parent", lambda _pid: None)
        self.patch(prototype, "setproctitle", lambda _title: None)
        self.patch(prototype, "end_process", end)
        self.patch(sys, "stderr", loose(_Nowhere()))
        ctl = FakeSocket(0)
        made = Prototype(loose(ctl), run, SPEC.title)
        self.assertRaises(Exited, made._be_worker, Spawn(3, 1), loose(FakeSocket(21)))
        self.assertEqual((statuses, ctl.closed), ([1], True))


class EndProcessTests(SynchronousTestCase):
    """
    Tests for L{end_process}.
    """

    def end(self, run_exitfuncs: Any) -> list[int]:
        """End this process, nearly."""
        statuses: list[int] = []
        self.patch(atexit, "_run_exitfuncs", run_exitfuncs)
        self.patch(os, "_exit", statuses.append)
        loose(end_process)(7)
        return statuses

    def test_atexit(self) -> None:
        """What was registered for the end is run."""
        ran: list[str] = []
        self.assertEqual(self.end(lambda: ran.append("ran")), [7])
        self.assertEqual(ran, ["ran"])

    def test_atexit_fails(self) -> None:
        """If that fails, the process ends all the same."""
        self.patch(sys, "stderr", loose(_Nowhere()))
        self.assertEqual(self.end(lambda: 1 / 0), [7])
