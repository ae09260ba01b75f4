"""
Tests for L{sockhost.workers.process}.
"""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.workers.process import REPORT_WAIT, Ending, WorkerProcess, ending_of
from tests.workers.fakes import FakeReactor, loose

PIDFD = 33


class WorkerProcessTests(SynchronousTestCase):
    """
    Tests for L{WorkerProcess}.
    """

    def setUp(self) -> None:
        """Follow a process that is nobody's child here."""
        self.reactor = loose(FakeReactor())
        self.endings: list[Ending] = []
        self.closed: list[int] = []
        self.signals: list[tuple[int, int]] = []
        self.patch(os, "close", self.closed.append)
        self.patch(os, "waitid", self._waitid)
        self.patch(signal, "pidfd_send_signal", lambda *args: self.signals.append(args))
        self.result: Any = ChildProcessError()
        self.process = WorkerProcess(self.reactor, 500, PIDFD, self.endings.append)

    def _waitid(self, *_args: int) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def test_interface(self) -> None:
        """It is what a reactor watches."""
        self.assertTrue(verifyObject(IReadDescriptor, self.process))
        self.assertEqual(self.reactor.readers, {self.process})

    def test_report_first(self) -> None:
        """The report alone is not the end; the pidfd tells that."""
        self.process.reported(Ending(code=3))
        self.assertEqual(self.endings, [])
        self.process.doRead()
        self.assertEqual(self.endings, [Ending(code=3)])
        self.assertEqual((self.closed, self.reactor.readers), ([PIDFD], set()))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_end_first(self) -> None:
        """The end waits for the report."""
        self.process.doRead()
        self.assertEqual(self.endings, [])
        self.process.reported(Ending(signal=9))
        self.process.reported(Ending(signal=10))
        self.assertEqual(self.endings, [Ending(signal=9)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_no_report(self) -> None:
        """A report that does not come is not waited for."""
        self.process.doRead()
        self.reactor.advance(REPORT_WAIT)
        self.assertEqual(self.endings, [Ending()])

    def test_prototype_gone(self) -> None:
        """When nobody will report, the end is enough."""
        self.process.reported(None)
        self.assertEqual(self.endings, [])
        self.process.doRead()
        self.assertEqual(self.endings, [Ending()])

    def test_own_child(self) -> None:
        """A worker that the kernel gave to this process is reaped here."""
        self.result = SimpleNamespace(si_code=os.CLD_KILLED, si_status=9)
        self.process.reported(None)
        self.process.doRead()
        self.assertEqual(self.endings, [Ending(signal=9)])

    def test_signal(self) -> None:
        """Signals go to the pidfd, until the process has ended."""
        self.process.signal(15)
        self.process.doRead()
        self.process.signal(9)
        self.assertEqual(self.signals, [(PIDFD, 15)])
        self.reactor.advance(REPORT_WAIT)

    def test_signal_too_late(self) -> None:
        """A signal to one that has just ended has no effect."""

        def gone(*_args: int) -> None:
            raise ProcessLookupError

        self.patch(signal, "pidfd_send_signal", gone)
        self.process.signal(15)
        self.assertEqual(self.process.fileno(), PIDFD)


class EndingTests(SynchronousTestCase):
    """
    Tests for L{Ending}.
    """

    def test_text(self) -> None:
        """It says what happened."""
        self.assertEqual(str(Ending(code=3)), "exited with code 3")
        self.assertEqual(str(Ending(signal=9)), "was ended by SIGKILL")
        self.assertEqual(str(Ending(signal=200)), "was ended by signal 200")
        self.assertEqual(str(Ending()), "ended together with its prototype")

    def test_of_result(self) -> None:
        """It is made of what the kernel says."""
        for code, status, expected in (
            (os.CLD_EXITED, 3, Ending(code=3)),
            (os.CLD_KILLED, 9, Ending(signal=9)),
            (os.CLD_DUMPED, 11, Ending(signal=11)),
        ):
            result: Any = SimpleNamespace(si_code=code, si_status=status)
            self.assertEqual(ending_of(result), expected)
