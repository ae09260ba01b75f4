"""
A client in a hub that a test connects, and how what was written is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sockhost.interfaces import IClient
from sockhost.sockets.limits import Limits
from sockhost.sockets.wire import pack
from tests.sockets.fakes import Scripted
from tests.sockets.hub_fakes import HubConnected, HubServed, HubTestCase


def joined(*payloads: bytes) -> list[bytes]:
    """The bytes of frames, as what was written is compared."""
    return [pack(each) for each in payloads]


class Case(HubTestCase):
    """A handler, a server in a hub, and a client."""

    def connect(
        self, answer: Callable[[IClient, bytes], object], **limits: Any
    ) -> HubConnected:
        """Connect a client."""
        self.served = HubServed(Scripted(answer=answer), Limits(**limits))
        self.connected = self.served.connect()
        self.client: IClient = self.served.handler.clients[0]
        return self.connected

    @property
    def quiet(self) -> bool:
        """Whether the client has no session."""
        return self.connected.connection.session is None
