# -*- test-case-name: tests.sockets.test_session -*-
"""
What a session stands between: the server above it, the connection below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from enum import Enum
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from sockhost.interfaces import Disconnected, IClient
from sockhost.sockets.limits import Counters, Limits

CLOSING = "the socket is being closed"
"""Why the clients of a server end that drains."""


class Phase(Enum):
    """How far a session is."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    GONE = "gone"


class Carrier(Protocol):
    """
    What carries the bytes of a session.  It keeps account of what the kernel
    has not taken, and calls the session's C{progress} when it takes some in a
    later turn.

    @ivar queued: bytes that were put in and that the kernel is not known to
        have taken.
    @ivar taken: bytes that the kernel has taken since the connection began.
    """

    @property
    def queued(self) -> int: ...

    @property
    def taken(self) -> int: ...

    def start(self, progress: Callable[[], None]) -> None:
        """Begin to tell of progress."""

    def put(self, data: bytes) -> None:
        """Queue bytes.  After L{close} or L{lose} they are discarded."""

    def when_sent(self) -> Deferred[None]:
        """
        Wait for what was put in so far.  Fails with L{Disconnected} if the
        connection is lost before.
        """

    def hold(self) -> None:
        """Collect what is put in from now on instead of writing it."""

    def release(self) -> None:
        """Write what was collected, with one write."""

    def pause(self) -> None:
        """Do not read from the client."""

    def resume(self) -> None:
        """Read from the client again."""

    def close(self) -> None:
        """End the connection as soon as everything is sent."""

    def abort(self) -> None:
        """End the connection, whatever is not sent."""

    def lose(self, reason: Disconnected) -> None:
        """The connection is gone: nobody waits any longer."""

    def fileno(self) -> int:
        """The descriptor of the connection, or -1 if there is none."""


class Cancellable(Protocol):
    """A request that is not answered, or several."""

    def cancel(self) -> None:
        """Nobody waits for an answer any more."""


class Quiet(Protocol):
    """
    A connection that does without a session as long as nothing happens to it
    but frames and answers.  Its attributes are those of a session.

    @ivar work: the requests that are not answered, to be cancelled, or C{None}.
    """

    frames_in: int
    frames_out: int
    bytes_in: int
    bytes_out: int
    in_flight: int
    in_flight_bytes: int
    held: int

    @property
    def client(self) -> IClient: ...

    @property
    def work(self) -> Set[Cancellable] | None: ...

    @property
    def reading(self) -> bool: ...


class QuietOnes(Protocol):
    """Connections without a session."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def wake(self) -> None:
        """Give each of them a session."""

    def wake_holders(self) -> None:
        """Give a session to those who make the process hold something."""

    def retire(self) -> bool:
        """Take nobody any more, if nobody is left; say whether that is so."""

    def reconsider(self) -> None:
        """The limits have changed."""

    def go_on(self) -> None:
        """Read from those again who were not read from, if that may be now."""


class Surroundings(Protocol):
    """
    What a session needs of the server that it belongs to.

    @ivar received: the handler's method for one frame, or C{None}.
    @ivar received_batch: its method for several, which is preferred.
    @ivar totals: counts what is not counted by sessions.
    @ivar draining: C{True} when no further frame is to be given to the handler.
    @ivar tight: C{True} while so much is held for all clients that those to
        whom something is owed are not to be read from.
    """

    name: str
    reactor: IReactorTime
    handler: Any
    received: Callable[[IClient, bytes], object] | None
    received_batch: Callable[[IClient, Sequence[bytes]], object] | None
    limits: Limits
    totals: Counters
    draining: bool

    @property
    def tight(self) -> bool: ...

    def session_changed(self) -> None:
        """A session may have become idle."""

    def session_holds(self, difference: int) -> None:
        """A session makes the process hold so many bytes more than before."""

    def session_gone(self, session: Any, farewell: Deferred[None] | None) -> None:
        """
        A session has ended.

        @param farewell: fires when the handler's C{disconnected} has ended, if
            that takes time; it does not fail.
        """
