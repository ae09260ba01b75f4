# -*- test-case-name: tests.sockets.test_past -*-
"""
What is left of a connection that is gone.

A session, its connection and its client know each other, so that all three
would wait for the garbage collector: with 500 clients that come and go in a
second it stood still for 80 milliseconds now and then.  So the session forgets
its connection, and the client its session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import define
from twisted.internet.defer import Deferred, fail

from sockhost.interfaces import Disconnected, ICodec
from sockhost.sockets.around import Phase
from sockhost.sockets.credentials import PeerCredentials

if TYPE_CHECKING:
    from sockhost.sockets.session import Session


class Nowhere:
    """A L{Carrier<sockhost.sockets.around.Carrier>} that carries nothing."""

    queued = 0
    taken = 0

    def start(self, progress: Callable[[], None]) -> None:
        """Nothing will progress."""

    def put(self, data: bytes) -> None:
        """Discard it."""

    def when_sent(self) -> Deferred[None]:
        """It never is."""
        return fail(Disconnected("the client is gone"))

    def hold(self) -> None:
        """There is nothing to hold."""

    def release(self) -> None:
        """There is nothing to release."""

    def pause(self) -> None:
        """Nothing is read."""

    def resume(self) -> None:
        """Nothing is read."""

    def close(self) -> None:
        """It is closed."""

    def abort(self) -> None:
        """It is closed."""

    def lose(self, reason: Disconnected) -> None:
        """It is lost."""

    def fileno(self) -> int:
        """There is no descriptor."""
        return -1


NOWHERE = Nowhere()


@define(eq=False)
class Past:
    """
    What a client can say of its session when that is over.
    """

    peer: PeerCredentials
    codec: ICodec
    frames_in: int
    frames_out: int
    bytes_in: int
    bytes_out: int
    _reason: Disconnected
    phase = Phase.GONE
    carrier = NOWHERE
    in_flight = 0

    @classmethod
    def of(cls, session: Session) -> Past:
        """Keep what there is to say of a session."""
        return cls(
            session.peer,
            session.codec,
            session.frames_in,
            session.frames_out,
            session.bytes_in,
            session.bytes_out,
            session.gone_reason(),
        )

    def send(self, payload: bytes) -> Deferred[None]:
        """See L{IClient.send<sockhost.interfaces.IClient.send>}."""
        return fail(self._reason)

    def end(self, reason: str, why: str | None = None) -> None:
        """It has ended."""
