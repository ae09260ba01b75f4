# -*- test-case-name: sockhost_example.test.test_limited -*-
"""
A handler: a counter that each client may use only so often.
"""

from __future__ import annotations

from sockhost.interfaces import IClient, IUnitHost, Refused


class Limited:
    """
    Counts frames, and answers with the count; with C{slow down} to a client
    that sends more than C{limit} of them in C{per} seconds.

    @ivar total: how many frames were counted.
    """

    def __init__(self, host: IUnitHost, limit: int = 5, per: float = 1.0) -> None:
        self.clock = host.reactor
        self.limit = limit
        self.per = per
        self.total = 0

    def connected(self, client: IClient) -> None:
        """Take note of a client; one whom the kernel cannot name is refused."""
        if client.uid is None:
            raise Refused("who are you?")
        client.data = []

    def received(self, client: IClient, frame: bytes) -> bytes:
        """Count a frame."""
        now = self.clock.seconds()
        client.data = [then for then in client.data if now - then < self.per]
        if len(client.data) >= self.limit:
            return b"slow down"
        client.data.append(now)
        self.total += 1
        return b"%d" % self.total
