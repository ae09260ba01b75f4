# -*- test-case-name: tests.sockets.test_unit -*-
"""
The kind C{socket}, and its unit that runs inside the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import Logger
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import (
    IClientsUnit,
    IHookedUnit,
    IListeningUnit,
    IUnit,
    IUnitHost,
    IUnitKind,
    SockhostError,
    UnitLost,
)
from sockhost.sockets.bound import BoundSocket
from sockhost.sockets.handler import make_handler
from sockhost.sockets.inherited import inherited_sockets
from sockhost.sockets.reach import open_socket
from sockhost.sockets.serving import SocketServing, make_server
from sockhost.sockets.settings import SocketConfig, same_but_live

InWorkers = Callable[[str, SocketConfig, IUnitHost], IUnit]
Lost = Callable[[Failure], None]


@implementer(IListeningUnit, IHookedUnit, IClientsUnit)
class SocketUnit:
    """
    A framed socket that is served by the process of the host.

    It is ready when clients can connect, which is after the handler's
    C{startup}.  When it stops, the socket is gone before anything else, and
    the handler's C{shutdown} comes last.
    """

    _log = Logger()

    def __init__(self, name: str, config: SocketConfig, host: IUnitHost) -> None:
        self.name = name
        self.config = config
        self._host = host
        self._serving: SocketServing | None = None
        self._bound: BoundSocket | None = None
        self._attempt: Deferred[None] | None = None
        # Set when what start() is about to bring up is not wanted any more.
        self._unwanted = False
        self._stopped_by_us = False
        self._waiting_for_end: list[Deferred[UnitLost | None]] = []

    def start(self, lost: Lost) -> Deferred[None]:
        """
        Make the handler, call its C{startup}, then bind and listen.  Cancelling
        the Deferred takes down what is there so far.
        """
        self._unwanted = self._stopped_by_us = False
        attempt = self._attempt = Deferred.fromCoroutine(self._start(lost))
        return attempt.addBoth(self._attempted)

    def stop(self) -> Deferred[UnitLost | None]:
        """
        Close the socket and remove its file, give unanswered requests the
        seconds of C{drain}, close the connections, call C{shutdown}.
        """
        self._stopped_by_us = True
        self.unlisten()
        return self._take_down()

    def unlisten(self) -> None:
        """Accept nobody any more and remove the socket's file."""
        self._unwanted = True
        bound, self._bound = self._bound, None
        if bound is not None:
            try:
                bound.unlink()
            except OSError:
                # Whoever finds it there is refused by the system, and the next
                # start replaces it if it can.
                self._log.failure("{unit}: its socket stays", unit=self.name)
        if self._serving is not None:
            self._serving.unlisten()

    def abort(self) -> None:
        """Close the connections of a stop that is under way now."""
        if self._waiting_for_end and self._serving is not None:
            self._serving.abort()

    def reload(self, config: Any) -> Deferred[bool]:
        """Take new limits; anything else needs a restart."""
        if not same_but_live(self.config, config):
            return succeed(False)
        if self._serving is not None:
            try:
                self._serving.server.door.access = config.access()
            except SockhostError:
                return fail()
            self._serving.server.limits = config.limits
        self.config = config
        return succeed(True)

    def run_hook(self, name: str) -> Deferred[None]:
        """Call a hook of the handler, if it is started."""
        if self._serving is None:
            return succeed(None)
        return self._serving.run_hook(name)

    def status(self) -> Mapping[str, object]:
        """Where it is, and its counters while it is there."""
        details: dict[str, object] = {
            "path": self.config.where,
            "mode": self.config.mode,
            "handler": self.config.handler,
        }
        if self._serving is not None:
            details.update(self._serving.status())
        return details

    def clients(self) -> Deferred[Sequence[Mapping[str, object]]]:
        """Describe those who are connected."""
        return succeed([] if self._serving is None else self._serving.clients())

    def kick(self, client: str) -> Deferred[bool]:
        """Drop one of them."""
        return succeed(self._serving is not None and self._serving.kick(client))

    async def _start(self, lost: Lost) -> None:
        config = self.config
        handler = make_handler(config.handler, self._host, config.options)
        server = make_server(self._host.reactor, handler, config, self.name)
        serving = self._serving = SocketServing(
            self._host.reactor, handler, server, self.name
        )
        try:
            await serving.prepare()
            await self._listen(serving, lost)
        except BaseException:
            # Also when the handler's startup exits.
            self.unlisten()
            await serving.close()
            self._serving = None
            raise

    async def _listen(self, serving: SocketServing, lost: Lost) -> None:
        # The handler's startup may have ended well although it was cancelled.
        if self._unwanted:
            raise CancelledError
        if self.config.endpoint is not None:
            await serving.listen_at(self.config.endpoint)
            if self._unwanted:
                raise CancelledError
            return
        self._bound = open_socket(self.config)
        serving.listen(self._bound, lambda reason: self._lose(reason, lost))

    def _attempted(self, result: Failure | None) -> Failure | None:
        self._attempt = None
        if self._waiting_for_end:
            self._end()
        return result

    def _lose(self, reason: Failure, lost: Lost) -> None:
        self.unlisten()

        def tell(_: object) -> None:
            if not self._stopped_by_us:
                why = f"the socket was lost: {reason.getErrorMessage()}"
                lost(Failure(UnitLost(why)))

        down = self._take_down().addCallback(tell)
        down.addErrback(lambda failure: self._log.failure("telling failed", failure))

    def _take_down(self) -> Deferred[UnitLost | None]:
        waiter: Deferred[UnitLost | None] = Deferred()
        self._waiting_for_end.append(waiter)
        if len(self._waiting_for_end) == 1:
            if self._attempt is None:
                self._end()
            else:
                self._attempt.cancel()
        return waiter

    def _end(self) -> None:
        Deferred.fromCoroutine(self._close()).addBoth(self._ended)

    async def _close(self) -> None:
        if self._serving is not None:
            await self._serving.close(self.config.drain)
            self._serving = None

    def _ended(self, result: Failure | None) -> None:
        waiting, self._waiting_for_end = self._waiting_for_end, []
        for waiter in waiting:
            waiter.callback(result)


@implementer(IPlugin, IUnitKind)
@define(eq=False)
class SocketKind:
    """
    Makes framed sockets.

    @ivar in_workers: makes the units with C{workers} above 0.
    """

    in_workers: InWorkers | None = None
    name: str = field(default="socket", init=False)
    config_class: type[SocketConfig] = field(default=SocketConfig, init=False)
    portable: bool = field(default=False, init=False)

    def make(self, name: str, config: SocketConfig, host: IUnitHost) -> IUnit:
        """Make a socket in the host, or one in workers."""
        if config.systemd is not None:
            # Before any child could see the variables, which are not for it.
            inherited_sockets()
        if config.workers == 0:
            return SocketUnit(name, config, host)
        if self.in_workers is None:
            raise SockhostError("workers need a host that can run worker processes")
        return self.in_workers(name, config, host)
