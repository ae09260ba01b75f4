# -*- test-case-name: tests.workers.test_worker -*-
"""
A worker: makes the handler, and serves the socket that the host hands over.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.config import structure
from sockhost.interfaces import SockhostError
from sockhost.sockets.bound import adopt_unix
from sockhost.sockets.handler import make_handler, run_hook
from sockhost.sockets.hooks import HandlerHooks
from sockhost.sockets.listener import UnixListener
from sockhost.sockets.roster import describe, kick
from sockhost.sockets.server import FrameServer
from sockhost.sockets.serving import make_listener, make_server
from sockhost.sockets.settings import SocketConfig
from sockhost.workers.forking import renew
from sockhost.workers.orders import tail
from sockhost.workers.port import (
    Broken,
    CannotServe,
    Created,
    HookFailed,
    Ready,
    WorkerPort,
)
from sockhost.workers.spec import WorkerSpec
from sockhost.workers.worker_host import WorkerHost

COUNT_INTERVAL = 1.0
"""Seconds between two looks at whether the counters have changed."""

FAILED = 1
"""The exit status of a worker that cannot serve."""


def run_worker(reactor: Any, spec: WorkerSpec, index: int, port: socket.socket) -> int:
    """
    Be a worker, in a process that was just forked.

    @param reactor: the prototype's, which never ran.
    @param index: the worker's place, from 1.
    @param port: its end of its port.
    @return: the exit status.
    """
    renew(reactor)
    worker = Worker(reactor, spec, index, os._exit)
    reactor.addSystemEventTrigger("before", "shutdown", worker.end)
    port.setblocking(False)
    with port:
        factory = Factory.forProtocol(lambda: worker.port)
        reactor.adoptStreamConnection(port.fileno(), socket.AF_UNIX, factory)
    reactor.run()
    return worker.status


class Worker:
    """
    One worker's life, from its port's opening to its end.

    @ivar port: its end of its port.
    @ivar status: the exit status that the process is to have.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        spec: WorkerSpec,
        index: int,
        exit_now: Callable[[int], object],
    ) -> None:
        """
        @param exit_now: ends the process without any ceremony.
        """
        self.status = 0
        self.port = WorkerPort(self)
        self._reactor = reactor
        self._spec = spec
        self._index = index
        self._exit_now = exit_now
        self._host = WorkerHost(reactor, spec, self.port.publish)
        self._config = _own(structure(SocketConfig, spec.socket), index)
        self._handler: Any = None
        self._hooks: HandlerHooks | None = None
        self._started = False
        self._ending = False
        self._over = False
        self._starting: Deferred[None] | None = None
        self._server: FrameServer | None = None
        self._listener: UnixListener | None = None
        self._counting = LoopingCall(self._count)
        self._counting.clock = reactor
        self._counted: dict[str, Any] = {}

    # -- what the port says -------------------------------------------------

    def port_open(self) -> None:
        """The reactor runs, and the host can be talked to."""
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._cannot_start)

    def serve(self, listener: int) -> None:
        """Accept on this descriptor, which is the worker's own now."""
        if not self._started or self._ending or self._listener is not None:
            os.close(listener)
            raise CannotServe(f"worker {self._index}: {self._condition()}")
        assert self._server is not None
        bound = adopt_unix(listener, self._config.backlog)
        self._listener = make_listener(
            self._reactor, bound, self._server, self._not_listening
        )
        self._listener.start()
        self._counting.start(COUNT_INTERVAL)

    def unlisten(self) -> None:
        """Accept no more."""
        if self._listener is not None:
            self._listener.stop()

    def quit(self) -> None:
        """End in good order."""
        self._stop_reactor()

    def hook(self, name: str) -> Deferred[None]:
        """Run a hook of the handler."""
        return Deferred.fromCoroutine(self._hook(name))

    def clients(self, after: int, most: int) -> list[dict[str, Any]]:
        """Describe some of those who are connected, in the order of their ids."""
        if self._server is None:
            return []
        found = sorted(self._server.clients, key=lambda client: client.id)
        return [describe(one) for one in found if one.id > after][:most]

    def kick(self, client: str) -> bool:
        """Drop one of them."""
        return self._server is not None and kick(self._server.clients, client)

    def port_lost(self) -> None:
        """Unless this is the end of the worker, the host is gone."""
        if not self._over:
            self._exit_now(FAILED)

    # -- what the reactor says ----------------------------------------------

    def end(self) -> Deferred[None]:
        """
        End in good order: accept no more, answer what is in flight, run the
        shutdown hook, stop the units that the handler used.

        @return: fires when that is done; failures are logged.
        """
        self._ending = True
        return Deferred.fromCoroutine(self._end())

    async def _start(self) -> None:
        await self.port.callRemote(Created, pid=os.getpid())
        await self._host.start_units()
        self._handler = make_handler(
            self._config.handler, self._host, self._config.options
        )
        self._server = make_server(
            self._reactor, self._handler, self._config, self._spec.unit
        )
        await run_hook(self._handler, "startup")
        self._hooks = HandlerHooks(self._handler)
        self._started = True
        await self.port.callRemote(Ready)

    def _cannot_start(self, failure: Failure) -> None:
        self._starting = None
        if self._ending and failure.check(CancelledError):
            return
        self._log.failure("worker {index} cannot start", failure, index=self._index)
        self.status = FAILED
        text = failure.getErrorMessage()
        if not failure.check(SockhostError):
            text = f"{type(failure.value).__name__}: {text}"
        told: Deferred[Any] = self.port.callRemote(Broken, reason=tail(text))
        told.addBoth(lambda _result: self._stop_reactor())

    def _stop_reactor(self) -> None:
        if not self._ending:
            self._ending = True
            self._reactor.stop()

    async def _end(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
        self.unlisten()
        if self._server is not None:
            await self._server.drain(self._config.drain)
        if self._counting.running:
            self._counting.stop()
        if self._hooks is not None:
            await self._hooks.end()
            await self._shut_down()
        await self._host.stop_units()
        self._over = True

    async def _shut_down(self) -> None:
        try:
            await run_hook(self._handler, "shutdown")
        except (Exception, SystemExit):
            self._log.failure("the shutdown hook failed")

    async def _hook(self, name: str) -> None:
        try:
            if self._hooks is not None and not self._ending:
                await self._hooks.run(name)
        except (Exception, SystemExit) as e:
            if self._ending:
                return  # it was cancelled
            self._log.failure("the hook {name} failed", name=name)
            raise HookFailed(tail(f"worker {self._index}: {name}: {e}")) from e

    def _not_listening(self, failure: Failure) -> None:
        self._log.failure("worker {index} cannot accept", failure, index=self._index)
        self.status = FAILED
        self._stop_reactor()

    def _condition(self) -> str:
        if self._ending:
            return "it ends"
        return "its handler is still starting" if not self._started else "it serves"

    def _count(self) -> None:
        assert self._server is not None
        counters = dict(self._server.status())
        if counters != self._counted:
            self._counted = counters
            self.port.count(counters)


def _own(config: SocketConfig, index: int) -> SocketConfig:
    """The configuration of one worker: its trace is a file of its own."""
    if config.trace is None:
        return config
    return evolve(config, trace=f"{config.trace}-{index}")
