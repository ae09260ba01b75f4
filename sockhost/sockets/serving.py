# -*- test-case-name: tests.sockets.test_serving -*-
"""
A handler, its server and its listener, in whatever process serves the socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.interfaces import SockhostError
from sockhost.sockets.answers import cancel
from sockhost.sockets.bound import BoundSocket
from sockhost.sockets.handler import run_hook
from sockhost.sockets.hooks import HandlerHooks
from sockhost.sockets.hublistener import HubListener
from sockhost.sockets.latency import TimedHandler
from sockhost.sockets.listener import IListenerReactor, UnixListener
from sockhost.sockets.passing import PassingTransport
from sockhost.sockets.roster import describe_all, kick
from sockhost.sockets.server import FrameServer
from sockhost.sockets.settings import SocketConfig
from sockhost.sockets.trace import Trace

HURRIED = 1.0
"""Seconds that the handler's C{shutdown} gets after an L{SocketServing.abort}."""

OnLost = Callable[[Failure], None]


def make_server(
    reactor: IListenerReactor, handler: Any, config: SocketConfig, name: str
) -> FrameServer:
    """
    Make the server of a socket as its configuration says.

    @raise SockhostError: a user or group in it does not exist.
    """
    access = config.access()
    if config.latency:
        handler = TimedHandler(handler)
    server = FrameServer(reactor, handler, config.limits, name, config.codec)
    server.door.access = access
    server.transport = config.transport
    if config.passing:
        server.max_fds = config.max_fds if config.pass_fds else 0
    if config.trace is not None:
        server.trace = Trace(config.trace, config.trace_max)
    return server


def make_listener(
    reactor: IListenerReactor,
    bound: BoundSocket,
    server: FrameServer,
    on_lost: OnLost | None = None,
) -> UnixListener:
    """
    Make the listener of a server: one that asks it about each client, and
    carries what comes beside the bytes if anything does.
    """
    if server.transport == "hub" and server.max_fds is None:
        return HubListener(reactor, bound, server, on_lost)
    adopt = None if server.max_fds is None else PassingTransport.adopt
    admit = server.admit_copied
    return UnixListener(reactor, bound, server, on_lost, admit, adopt, server.kept)


class SocketServing:
    """
    Serves one socket in this process: L{prepare}, then L{listen}, in the end
    L{close}.

    @ivar handler: the handler.
    @ivar server: its clients.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IListenerReactor,
        handler: Any,
        server: FrameServer | None = None,
        name: str = "socket",
    ) -> None:
        """
        @param server: C{None} for one with the usual limits.
        """
        self.handler = handler
        self.server = server or FrameServer(reactor, handler, name=name)
        self._reactor = reactor
        self._name = name
        self._listener: UnixListener | None = None
        self._port: IListeningPort | None = None
        self._port_closed: Deferred[Any] | None = None
        self._started = False
        self._closing = False
        self._hurried = False
        self._shutdown: Deferred[None] | None = None
        self._hooks = HandlerHooks(handler)

    def prepare(self) -> Deferred[None]:
        """
        Call the handler's C{startup}.

        @return: fires when it has ended; fails as it fails.  Cancelling
            cancels it.
        """
        return Deferred.fromCoroutine(self._prepare())

    def listen(self, bound: BoundSocket, on_lost: OnLost | None = None) -> None:
        """
        Begin to accept clients.

        @param bound: a listening socket, which is closed by L{unlisten}; its
            file is left to the caller.
        @param on_lost: called once if accepting ends by itself.
        """
        self._listener = make_listener(self._reactor, bound, self.server, on_lost)
        self._listener.start()

    def listen_at(self, endpoint: str) -> Deferred[None]:
        """
        Begin to accept clients at a server endpoint of Twisted.

        @return: fires when they can connect; fails if they cannot, with
            L{SockhostError} if the endpoint makes no sense.
        """
        return Deferred.fromCoroutine(self._listen_at(endpoint))

    def unlisten(self) -> None:
        """Accept nobody any more; those who are connected stay."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
        if self._port is not None:
            port, self._port = self._port, None
            self._port_closed = maybeDeferred(port.stopListening)

    def run_hook(self, name: str) -> Deferred[None]:
        """
        Call a hook of the handler that may be called again and again.  Calls
        that are asked for while one is under way become one, made after it.

        @return: fires when a call that was begun after this one was asked for
            has ended, at once if the handler is not started, or is being
            closed; fails as the hook fails, and as if it had been cancelled if
            L{close} comes first.
        """
        if not self._started or self._closing:
            return succeed(None)
        return self._hooks.run(name)

    def close(self, drain: float = 0.0) -> Deferred[None]:
        """
        Stop listening, let requests be answered, close every connection, and
        call the handler's C{shutdown} if its C{startup} had succeeded and it
        was not called yet.  A failure of that is logged.  Other hooks have
        ended before: what is under way is cancelled.

        @param drain: seconds that unanswered requests get.
        @return: fires when nothing is left.  Does not fail.
        """
        self._closing = True
        self.unlisten()
        return Deferred.fromCoroutine(self._close(drain))

    def abort(self) -> None:
        """
        Cut short the waiting of a L{close}.  A C{shutdown} that is under way is
        cancelled; one that comes has L{HURRIED} seconds.
        """
        self._hurried = True
        self.server.abort()
        if self._shutdown is not None:
            cancel(self._shutdown)

    def status(self) -> Mapping[str, object]:
        """The server's counters."""
        return self.server.status()

    def clients(self) -> Sequence[Mapping[str, object]]:
        """Describe those who are connected."""
        return describe_all(self.server.clients)

    def kick(self, client: str) -> bool:
        """Drop one of them; say whether it was there."""
        return kick(self.server.clients, client)

    async def _prepare(self) -> None:
        await run_hook(self.handler, "startup")
        self._started = True

    async def _listen_at(self, endpoint: str) -> None:
        try:
            where = serverFromString(self._reactor, endpoint)
        except Exception as error:
            raise SockhostError(f"bad endpoint {endpoint!r}: {error}") from error
        self._port = await where.listen(self.server)

    async def _close(self, drain: float) -> None:
        if self._port_closed is not None:
            await self._port_closed
            self._port_closed = None
        await self.server.drain(drain)
        await self._hooks.end()
        if self._started:
            self._started = False
            self._shutdown = run_hook(self.handler, "shutdown")
            if self._hurried:
                self._shutdown.addTimeout(HURRIED, self._reactor)
            self._shutdown.addErrback(self._hook_failed, "shutdown")
            await self._shutdown
            self._shutdown = None

    def _hook_failed(self, failure: Failure, name: str) -> None:
        self._log.failure(
            "{socket}: {hook} of the handler failed",
            failure,
            socket=self._name,
            hook=name,
        )
