# -*- test-case-name: tests.sockets.test_hubconnection -*-
"""
What the connections of one socket in a hub share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, NamedTuple

from sockhost.sockets.answers import one_by_one
from sockhost.sockets.framing import Length32Codec
from sockhost.sockets.hub import Hub
from sockhost.sockets.hubcut import Partial
from sockhost.sockets.limits import REQUEST, Limits
from sockhost.sockets.session import Session
from sockhost.sockets.wire import HEADER_SIZE

if TYPE_CHECKING:
    from sockhost.sockets.hubquiet import QuietConnection
    from sockhost.sockets.server import FrameServer

READ = 64 * 1024
"""
Bytes that are read at once.  A larger buffer is allocated by mmap for each
read, which takes 16 microseconds where 64 KiB take 2.6.
"""

SMALL = 2048
"""Answers up to this go out by the shortest way."""

FEW, UNTOLD = 64, 4096
"""
Unanswered requests that are nothing to speak of, and bytes that a client may make
the process hold without its server's being told: telling costs half a microsecond,
which is much for small frames.
"""

PART = 8
"""
What part of C{max_buffered} all clients may hold untold.  The more they are, the
less each may have; those who came before may still hold what they might then.
"""

PACE = 0.001
"""
Seconds that what one read brings should take: from a client that pipelines small
frames to a handler that takes 20 microseconds, 64 KiB would take 65 ms.
"""

ROOM = 1024
"""Bytes that an answer is taken to have until larger ones are seen."""


def _nobody(_client: object, _frame: object) -> None:
    """Stand in for the method of a handler that has none for single frames."""


class Run(NamedTuple):
    """
    Frames of one length that are being given to the handler one after the
    other, with nothing between.

    @ivar connection: whose they are.
    @ivar answers: what the handler has returned so far.
    @ivar left: the frames that it has not got.
    @ivar size: how long each is.
    """

    connection: QuietConnection
    answers: list[Any]
    left: Iterator[bytes]
    size: int


class HubClients:
    """
    The clients that were accepted under the same rules.

    @ivar server: whose clients they are.
    @ivar simple: whether a client needs a session only now and then.
    @ivar quiet: how many have none.
    @ivar retired: whether nobody else may come to be among these.
    @ivar received: the handler's method for one frame.
    @ivar batch: its method for several, or C{None}.
    @ivar max_frame: the greatest length of a frame.
    @ivar largest: the greatest length of an answer.
    @ivar most: how much is read at once; less than L{READ} where that takes long.
    @ivar least: how much a read must bring to be looked at as one frame; more
        than it can where such a frame might be too large.
    @ivar few: requests that may be unanswered without a look at the limits.
    @ivar untold: what a client may hold before the server is told.
    @ivar many: from how many clients on it is less.
    @ivar room: how much queue an answer may take, as far as is known.
    @ivar runs: whether the handler may get several frames before its first
        answer is looked at.
    @ivar run: the run of frames that is being given to the handler, if one is.
    @ivar emitted: how many answers to it are on their way already.
    @ivar vain: how often large frames are not to be looked for in vain.
    @ivar codec: makes the frames of those without a session.
    @ivar greeting: whether the handler wants to hear of everybody who comes.
    @ivar finishing: whether a client that sends no more gets its answers.
    @ivar farewell: whether the handler wants to hear of everybody's end.
    """

    __slots__ = (
        "batch",
        "codec",
        "emitted",
        "farewell",
        "few",
        "finishing",
        "greeting",
        "hub",
        "largest",
        "least",
        "many",
        "max_frame",
        "most",
        "quiet",
        "received",
        "retired",
        "room",
        "run",
        "runs",
        "server",
        "simple",
        "small",
        "untold",
        "vain",
    )

    def __init__(self, hub: Hub, server: FrameServer) -> None:
        self.hub = hub
        self.server = server
        self.max_frame = server.limits.max_frame
        self.largest = self.max_frame - HEADER_SIZE
        self.small = min(SMALL, self.largest)
        self.least = HEADER_SIZE if self.max_frame >= READ else READ + 1
        self.most = READ
        self.room = ROOM
        self.batch = server.received_batch
        self.received: Callable[[Any, bytes], Any] = server.received or _nobody
        if self.batch is not None:
            self.received = one_by_one(self.batch)
        self.simple = self._is_simple()
        self.quiet = 0
        self._weigh()
        self.retired = False
        self.run: Run | None = None
        self.runs = not iscoroutinefunction(server.received)
        self.emitted = 0
        self.vain = 0
        self.codec = Length32Codec(self.max_frame)
        self.greeting = hasattr(server.handler, "connected")
        self.farewell = hasattr(server.handler, "disconnected")
        self.finishing = server.limits.half_close == "finish"

    def __iter__(self) -> Iterator[QuietConnection]:
        """Those who have no session now."""
        each: Any
        for each in list(self.hub.watched.values()):
            if getattr(each, "clients", None) is self and each.session is None:
                yield each

    def wake(self) -> None:
        """
        Give everybody a session.  The handler may just have a frame of one of
        them, so all are taken for busy until the end of this turn.
        """
        hub = self.hub
        for each in self:
            session = each.wake()
            if hub.turning:
                session.handler_called()
                hub.later(session.handler_returned)

    def wake_holders(self) -> None:
        """Give a session to those who make the process hold something."""
        for each in self:
            if each.held:
                each.wake()

    def __len__(self) -> int:
        """How many have no session now."""
        return self.quiet

    def fits(self, limits: Limits) -> bool:
        """Say whether clients who come now belong to these."""
        return (
            not self.retired
            and limits.max_frame == self.max_frame
            and (limits.half_close == "finish") == self.finishing
        )

    def retire(self) -> bool:
        """Take nobody any more, if nobody is left; say whether that is so."""
        everybody = self.hub.watched.values()
        self.retired = all(getattr(one, "clients", 0) is not self for one in everybody)
        return self.retired

    def reconsider(self) -> None:
        """The limits have changed."""
        self._weigh()
        self.simple = self._is_simple()
        if not self.simple:
            self.wake()

    def go_on(self) -> None:
        """Read from those again who were not read from, if that may be now."""
        for each in self:
            if not each.reading:
                each.balance()

    def begin(self, connection: QuietConnection) -> None:
        """
        Introduce a client to the handler.

        @raise Exception: its codec could not be made; it is none of them then.
        """
        door, uid = self.server.door, connection.peer.uid
        if self.simple and not self.greeting:
            door.enter(uid)
            self.server.totals.accepted += 1
            self.quiet += 1
            if self.quiet > self.many:
                self._weigh()
        else:
            session = self._session(connection)
            door.enter(uid)
            session.begin()
            connection.sleep()

    def pace(self, took: float) -> None:
        """What a client had sent, more than one read brings, took so long."""
        if took > PACE:
            self.most = max(SMALL, self.most // 2)
        elif took < PACE / 4:
            self.most = min(READ, self.most * 2)

    def wake_one(self, connection: QuietConnection) -> Session:
        """Make a session that goes on where a connection without one is."""
        self.quiet -= 1
        session = self._session(connection)
        session.take_over(connection)
        rest = connection.rest
        if rest is not None:
            # All of it was counted when it was read.
            session.codec.feed(rest.so_far() if isinstance(rest, Partial) else rest)
        return session

    def sleep_one(self, connection: QuietConnection, session: Session) -> None:
        """Let a connection go on without its session."""
        self.server.dismiss(session)
        connection.frames_in = session.frames_in
        connection.frames_out = session.frames_out
        connection.bytes_in = session.bytes_in
        connection.held = session.held
        connection.session = None
        connection.client.belong_to(connection)
        self.quiet += 1
        if self.quiet > self.many:
            self._weigh()

    def gone(self, connection: QuietConnection) -> None:
        """A connection without a session is closed."""
        self.quiet -= 1
        if connection.held:
            self.server.session_holds(-connection.held)
            connection.held = 0
        connection.client.forget()
        # It knows the connection, and nobody is to look for garbage.
        del connection.client
        self.server.quiet_gone(connection, connection.peer.uid)

    def _session(self, connection: QuietConnection) -> Session:
        made = self.server.make_session(
            connection, connection.peer, self.max_frame, connection.client
        )
        connection.session = made
        connection.client.belong_to(made)
        return made

    def _weigh(self) -> None:
        limits = self.server.limits
        self.many = 1 << self.quiet.bit_length()
        self.few, self.untold = min(FEW, limits.max_in_flight), UNTOLD
        if limits.max_buffered:
            half = limits.max_buffered // PART // self.many // 2
            self.few = max(1, min(self.few, half // REQUEST))
            self.untold = max(1, min(UNTOLD, half))

    def _is_simple(self) -> bool:
        server, limits = self.server, self.server.limits
        codec: object = server.make_codec
        timed = limits.frame_timeout or limits.idle_timeout or limits.stall_timeout
        return (
            codec is Length32Codec
            and (server.received or server.received_batch) is not None
            and server.trace is None
            and not timed
        )
