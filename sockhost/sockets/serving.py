# -*- test-case-name: tests.sockets.test_serving -*-
"""
A handler, its server and its listener, in whatever process serves the socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.sockets.bound import BoundSocket
from sockhost.sockets.framing import Length32Codec
from sockhost.sockets.handler import run_hook
from sockhost.sockets.limits import Limits
from sockhost.sockets.listener import IListenerReactor, UnixListener
from sockhost.sockets.server import FrameServer, MakeCodec


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
        limits: Limits | None = None,
        name: str = "socket",
        codec: MakeCodec = Length32Codec,
    ) -> None:
        self.handler = handler
        self.server = FrameServer(reactor, handler, limits, name, codec)
        self._reactor = reactor
        self._name = name
        self._listener: UnixListener | None = None
        self._started = False
        self._shutdown: Deferred[None] | None = None
        # Who waits for the next call of a hook, and the calls under way.
        self._hook_waiters: dict[str, list[Deferred[None]]] = {}
        self._hooks: dict[str, Deferred[None]] = {}

    def prepare(self) -> Deferred[None]:
        """
        Call the handler's C{startup}.

        @return: fires when it has ended; fails as it fails.  Cancelling
            cancels it.
        """
        return Deferred.fromCoroutine(self._prepare())

    def listen(
        self, bound: BoundSocket, on_lost: Callable[[Failure], None] | None = None
    ) -> None:
        """
        Begin to accept clients.

        @param bound: a listening socket, which is closed by L{unlisten}; its
            file is left to the caller.
        @param on_lost: called once if accepting ends by itself.
        """
        self._listener = UnixListener(self._reactor, bound, self.server, on_lost)
        self._listener.start()

    def unlisten(self) -> None:
        """Accept nobody any more; those who are connected stay."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None

    def run_hook(self, name: str) -> Deferred[None]:
        """
        Call a hook of the handler that may be called again and again.  Calls
        that are asked for while one is under way become one, made after it.

        @return: fires when a call that was begun after this one was asked for
            has ended, at once if the handler is not started; fails as the
            hook fails.
        """
        waiter: Deferred[None] = Deferred()
        if not self._started:
            waiter.callback(None)
            return waiter
        self._hook_waiters.setdefault(name, []).append(waiter)
        if name not in self._hooks:
            self._call_hook(name)
        return waiter

    def close(self, drain: float = 0.0) -> Deferred[None]:
        """
        Stop listening, let requests be answered, close every connection, and
        call the handler's C{shutdown} if its C{startup} had succeeded and it
        was not called yet.  A failure of that is logged.

        @param drain: seconds that unanswered requests get.
        @return: fires when nothing is left.  Does not fail.
        """
        self.unlisten()
        return Deferred.fromCoroutine(self._close(drain))

    def abort(self) -> None:
        """Cut short the waiting of a L{close}."""
        self.server.abort()
        if self._shutdown is not None:
            self._shutdown.cancel()

    def status(self) -> Mapping[str, object]:
        """The server's counters."""
        return self.server.status()

    async def _prepare(self) -> None:
        await run_hook(self.handler, "startup")
        self._started = True

    async def _close(self, drain: float) -> None:
        await self.server.drain(drain)
        for hook in list(self._hooks.values()):
            hook.cancel()
        if self._started:
            self._started = False
            self._shutdown = run_hook(self.handler, "shutdown")
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

    def _call_hook(self, name: str) -> None:
        waiters = self._hook_waiters.pop(name)
        call = self._hooks[name] = run_hook(self.handler, name)
        call.addBoth(self._hook_ended, name, waiters)

    def _hook_ended(
        self, result: object, name: str, waiters: list[Deferred[None]]
    ) -> None:
        del self._hooks[name]
        if name in self._hook_waiters:
            self._call_hook(name)
        for waiter in waiters:
            if isinstance(result, Failure):
                waiter.errback(result)
            else:
                waiter.callback(None)
