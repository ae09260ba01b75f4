"""
Tests for L{sockhost_example.tap}.
"""

from __future__ import annotations

from twisted.application.service import IService, IServiceMaker
from twisted.internet.testing import StringTransport
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from ..tap import Clock, ClockMaker


class ClockTests(SynchronousTestCase):
    """Tests for L{ClockMaker} and the protocol of its service."""

    def test_interface(self) -> None:
        """The plugin keeps its contract, and its service does."""
        maker = ClockMaker()
        verifyObject(IServiceMaker, maker)
        options = maker.options()
        options.parseOptions(["--listen", "unix:clock.sock"])
        verifyObject(IService, maker.makeService(options))

    def test_listen_is_required(self) -> None:
        """Without an address it says what is missing."""
        with self.assertRaises(UsageError):
            ClockMaker.options().parseOptions([])

    def test_says_the_time(self) -> None:
        """A client is told the time and the connection ends."""
        transport = StringTransport()
        Clock().makeConnection(transport)
        self.assertTrue(transport.value().strip().isdigit())
        self.assertTrue(transport.disconnecting)
