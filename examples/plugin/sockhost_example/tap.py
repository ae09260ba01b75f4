# -*- test-case-name: sockhost_example.test.test_tap -*-
"""
An ordinary plugin for twistd, which knows nothing of sockhost: a service that
says the time to whoever connects.  C{twistd -n example-clock} runs it alone,
and a unit of kind C{tap} runs it in a host.
"""

from __future__ import annotations

import time

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import IService, IServiceMaker
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol
from twisted.plugin import IPlugin
from twisted.python import usage
from zope.interface import implementer


class Options(usage.Options):
    """The options of the plugin."""

    optParameters = [["listen", "l", None, "endpoint, such as unix:clock.sock"]]

    def postOptions(self) -> None:
        """Refuse to listen nowhere."""
        if self["listen"] is None:
            raise usage.UsageError("--listen says where to listen")


class Clock(Protocol):
    """Says the time and hangs up."""

    def connectionMade(self) -> None:
        """Answer."""
        assert self.transport is not None
        self.transport.write(f"{time.time():.0f}\n".encode())
        self.transport.loseConnection()


@implementer(IServiceMaker, IPlugin)
class ClockMaker:
    """Makes the service."""

    tapname = "example-clock"
    description = "Says the time to whoever connects."
    options = Options

    def makeService(self, options: usage.Options) -> IService:
        """Make the service from the options."""
        from twisted.internet import reactor

        endpoint = serverFromString(reactor, options["listen"])
        return StreamServerEndpointService(endpoint, Factory.forProtocol(Clock))
