# -*- test-case-name: tests.sockets.test_peer -*-
"""
A client as its handler sees it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from sockhost.interfaces import FrameError, IClient, SockhostError
from sockhost.sockets.around import Phase
from sockhost.sockets.beside import NONE_LEFT, Beside
from sockhost.sockets.credentials import PeerCredentials
from sockhost.sockets.ends import DESCRIPTORS, KICK
from sockhost.sockets.identity import groups_of, pidfd_of

if TYPE_CHECKING:
    from sockhost.sockets.session import Session

_ids = count(1)


@implementer(IClient)
@define(eq=False)
class Client:
    """
    A client as its handler sees it.  What a handler seldom asks for is found
    out when it asks: there may be very many clients.

    @ivar beside: what comes beside the bytes, if anything does.
    """

    _session: Session
    connected_at: float
    data: Any = None
    id: int = field(factory=lambda: next(_ids), init=False)
    beside: Beside | None = field(default=None, init=False)
    _pidfd: int | None = field(default=None, init=False)

    @property
    def pid(self) -> int | None:
        """The client's process id as the kernel tells it."""
        return self._session.peer.pid

    @property
    def uid(self) -> int | None:
        """The client's effective user id when it connected."""
        return self._session.peer.uid

    @property
    def gid(self) -> int | None:
        """The client's effective group id when it connected."""
        return self._session.peer.gid

    @property
    def groups(self) -> tuple[int, ...]:
        """The client's supplementary groups when it connected."""
        return groups_of(self._session.carrier.fileno())

    @property
    def pidfd(self) -> int | None:
        """A descriptor of the client's process, which is closed with the client."""
        if self._pidfd is None and self._session.phase is not Phase.GONE:
            peer = self._session.peer
            self._pidfd = pidfd_of(self._session.carrier.fileno(), peer.pid)
        return self._pidfd

    @property
    def connected(self) -> bool:
        """C{False} once the client is gone or was dropped."""
        return self._session.phase in (Phase.CONNECTING, Phase.OPEN)

    @property
    def frames_in(self) -> int:
        """Frames that were given to the handler."""
        return self._session.frames_in

    @property
    def frames_out(self) -> int:
        """Frames that were queued to the client."""
        return self._session.frames_out

    @property
    def bytes_in(self) -> int:
        """Bytes that were read from the client."""
        return self._session.bytes_in

    @property
    def bytes_out(self) -> int:
        """Bytes that were queued to the client."""
        return self._session.bytes_out

    @property
    def in_flight(self) -> int:
        """Requests that are not answered now."""
        return self._session.in_flight

    @property
    def queued(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._session.carrier.queued

    @property
    def transport(self) -> Any:
        """What carries its bytes, if that is a transport of Twisted."""
        return getattr(self._session.carrier, "transport", None)

    def send(self, payload: bytes) -> Deferred[None]:
        """Send one frame; fires when the kernel has taken it."""
        return self._session.send(payload)

    @property
    def sender(self) -> PeerCredentials | None:
        """Who wrote the bytes that were read last, if that is told."""
        return None if self.beside is None else self.beside.sender

    def take_fds(self) -> list[int]:
        """Get the descriptors that the client has passed, to close them."""
        return [] if self.beside is None else self.beside.take()

    def send_fds(self, payload: bytes, descriptors: Sequence[int]) -> Deferred[None]:
        """Send one frame with descriptors; fires when the kernel has taken it."""
        if self.beside is None:
            return fail(SockhostError("this socket passes no descriptors (pass_fds)"))
        try:
            # What cannot be sent must not leave its descriptors to the next.
            codec = self._session.codec
            getattr(codec, "traced", codec).encode(payload)
            if self.connected:
                self.beside.attach(descriptors)
        except (FrameError, OSError, ValueError):
            return fail()
        return self._session.send(payload)

    def descriptors_received(self, descriptors: Sequence[int]) -> None:
        """The client has passed descriptors."""
        refused = None if self.beside is None else self.beside.receive(descriptors)
        if refused is not None:
            self._session.end(refused, DESCRIPTORS)

    def descriptors_lost(self) -> None:
        """The system had none left for some that the client has passed."""
        if self.beside is not None:
            self.beside.close()
        self._session.end(NONE_LEFT, DESCRIPTORS)

    def credentials_received(self, sender: PeerCredentials) -> None:
        """The kernel says who writes now."""
        if self.beside is not None:
            self.beside.sender = sender

    def drop(self, reason: str) -> None:
        """End the connection once what was queued before is sent."""
        self._session.end(reason)

    def kick(self, reason: str) -> None:
        """End the connection as L{drop} does, for whoever runs the host."""
        self._session.end(reason, KICK)

    def belong_to(self, session: Any) -> None:
        """Ask this from now on."""
        self._session = session

    def forget(self) -> None:
        """Close what was opened for the handler.  Its session calls this."""
        pidfd, self._pidfd = self._pidfd, None
        if pidfd is not None:
            # A handler that has closed it must not keep us from the rest.
            with suppress(OSError):
                os.close(pidfd)
        if self.beside is not None:
            self.beside.close()
