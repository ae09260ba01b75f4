# -*- test-case-name: tests.host.test_notify -*-
"""
Tests for L{sockhost.host.notify}.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from sockhost.host import notify as _host_notify
from sockhost.host.notify import PATIENCE, DaemonPipe, StartupFd, SystemdNotifier


class PipeCase(SynchronousTestCase):
    """A pipe, the reading end of which is ours."""

    def setUp(self) -> None:
        self.reader, self.writer = os.pipe()
        self.open = {self.reader, self.writer}
        self.addCleanup(self.close_all)

    def close(self, fd: int) -> None:
        """Close one end."""
        self.open.discard(fd)
        os.close(fd)

    def close_all(self) -> None:
        """Close what the test left open."""
        for fd in tuple(self.open):
            self.close(fd)

    def handed_over(self) -> int:
        """Give the writing end away, to be closed by somebody else."""
        self.open.discard(self.writer)
        return self.writer


class StartupFdTests(PipeCase):
    """The descriptor of C{--startup-fd}."""

    def test_ready(self) -> None:
        """The reader gets 4 zero bytes, and the end when the host ends."""
        fd = StartupFd(self.handed_over())
        fd.ready()
        self.assertEqual(os.read(self.reader, 100), bytes(4))
        os.set_blocking(self.reader, False)
        with self.assertRaises(BlockingIOError):
            os.read(self.reader, 100)
        fd.close()
        self.assertEqual(os.read(self.reader, 100), b"")

    def test_failed_start(self) -> None:
        """A host that was never ready gives the reader nothing but the end."""
        StartupFd(self.handed_over()).close()
        self.assertEqual(os.read(self.reader, 100), b"")

    def test_not_inherited(self) -> None:
        """No child can hide the end of the host."""
        os.set_inheritable(self.writer, True)
        StartupFd(self.writer)
        self.assertFalse(os.get_inheritable(self.writer))

    def test_nobody_reads(self) -> None:
        """A reader that went away is a warning, and no reason to go as well."""
        fd = StartupFd(self.handed_over())
        self.close(self.reader)
        with capturedLogs() as logs:
            fd.ready()
            fd.close()
        self.assertEqual(
            [event["log_format"] for event in logs],
            ["nobody reads --startup-fd: {error}"],
        )

    def test_close_once(self) -> None:
        """A number that belongs to another file by now is not closed."""
        fd = StartupFd(self.handed_over())
        fd.close()
        again = os.dup(self.reader)
        self.open.add(again)
        fd.close()
        os.fstat(again)
        self.assertIsNone(fd.fd)

    def test_none(self) -> None:
        """Without a descriptor nothing is told to nobody."""
        fd = StartupFd(None)
        fd.ready()
        fd.close()
        self.assertIsNone(fd.fd)


class DaemonPipeTests(PipeCase):
    """The pipe of a parent that waits in the foreground."""

    def read(self) -> bytes:
        """Read like C{twistd}: once, up to 100 bytes."""
        return os.read(self.reader, 100)

    def test_ready(self) -> None:
        """C{0} and the end make the parent exit with 0."""
        DaemonPipe(self.handed_over()).ready()
        self.assertEqual(self.read(), b"0")
        self.assertEqual(self.read(), b"")

    def test_failed(self) -> None:
        """Anything else is shown behind the first two bytes."""
        DaemonPipe(self.handed_over()).failed("no control socket")
        self.assertEqual(self.read(), b"1 no control socket")
        self.assertEqual(self.read(), b"")

    def test_long(self) -> None:
        """What the parent would not read is not left in the pipe."""
        DaemonPipe(self.handed_over()).failed("x" * 500)
        self.assertEqual(self.read(), b"1 " + b"x" * 98)
        self.assertEqual(self.read(), b"")

    def test_beyond_ascii(self) -> None:
        """Whatever a reason says can be written."""
        DaemonPipe(self.handed_over()).failed("café")
        self.assertEqual(self.read(), b"1 caf\\xe9")

    def test_first_counts(self) -> None:
        """The parent is told one thing only."""
        pipe = DaemonPipe(self.handed_over())
        pipe.ready()
        pipe.failed("too late")
        self.assertEqual(self.read(), b"0")
        self.assertEqual(self.read(), b"")

    def test_parent_gone(self) -> None:
        """A parent that was killed costs nothing."""
        pipe = DaemonPipe(self.handed_over())
        self.close(self.reader)
        pipe.ready()
        self.assertIsNone(pipe.fd)

    def test_none(self) -> None:
        """In the foreground there is nobody to tell."""
        pipe = DaemonPipe()
        pipe.ready()
        pipe.failed("no matter")
        self.assertIsNone(pipe.fd)


class FakeSocket:
    """
    A datagram socket that keeps what is sent.

    @ivar error: raised by C{connect}.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.made: list[tuple[int, ...]] = []
        self.error: OSError | None = None
        self.address = ""
        self.open = 0
        self.patience: float | None = None

    def __call__(self, *how: int) -> FakeSocket:
        self.made.append(how)
        return self

    def __enter__(self) -> FakeSocket:
        self.open += 1
        return self

    def __exit__(self, *_error: object) -> None:
        self.open -= 1

    def settimeout(self, seconds: float) -> None:
        """Remember how long is waited at most."""
        self.patience = seconds

    def connect(self, address: str) -> None:
        """Remember to whom."""
        if self.error is not None:
            raise self.error
        self.address = address

    def send(self, data: bytes) -> None:
        """Keep it."""
        self.sent.append((self.address, data))


class SystemdNotifierTests(SynchronousTestCase):
    """C{sd_notify}."""

    def setUp(self) -> None:
        self.socket = FakeSocket()
        self.patch(_host_notify.socket, "socket", self.socket)  # type: ignore[attr-defined]
        clock: Any = lambda: 12.5  # noqa: E731
        self.notifier = SystemdNotifier("/run/systemd/notify", clock)

    def said(self) -> list[bytes]:
        """What was sent, one message each."""
        self.assertEqual(self.socket.open, 0)
        return [data for _, data in self.socket.sent]

    def test_messages(self) -> None:
        """Each state has its message."""
        self.notifier.ready()
        self.notifier.reloading()
        self.notifier.stopping()
        self.notifier.say("all is well")
        self.assertEqual(
            self.said(),
            [
                b"READY=1",
                b"RELOADING=1\nMONOTONIC_USEC=12500000",
                b"STOPPING=1",
                b"STATUS=all is well",
            ],
        )

    def test_datagram(self) -> None:
        """They go to the socket that systemd named, as datagrams."""
        self.notifier.ready()
        self.assertEqual(self.socket.made, [(socket.AF_UNIX, socket.SOCK_DGRAM)])
        self.assertEqual(self.socket.address, "/run/systemd/notify")

    def test_nobody_reads(self) -> None:
        """The host does not wait for one who has no room for a message."""
        self.socket.error = TimeoutError("timed out")
        with capturedLogs() as logs:
            self.notifier.ready()
        self.assertEqual(self.socket.patience, PATIENCE)
        self.assertEqual(str(logs[0]["error"]), "timed out")

    def test_abstract(self) -> None:
        """An C{@} stands for the zero byte of an abstract address."""
        SystemdNotifier("@/org/systemd").ready()
        self.assertEqual(self.socket.address, "\0/org/systemd")

    def test_nobody(self) -> None:
        """Without systemd nothing is sent."""
        for address in (None, ""):
            SystemdNotifier(address).ready()
        self.assertEqual(self.socket.made, [])

    def test_refused(self) -> None:
        """That systemd does not listen is a warning."""
        self.socket.error = ConnectionRefusedError(111, "Connection refused")
        with capturedLogs() as logs:
            self.notifier.ready()
        (event,) = logs
        self.assertEqual(event["log_format"], "systemd was not told: {error}")
        self.assertEqual(self.said(), [])
