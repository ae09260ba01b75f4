# -*- test-case-name: tests.sockets.test_reconnecting -*-
"""
A client of a framed socket whose connection is made again when it is lost, by
a keeper as everything here is: on its own in any program on Twisted, or as the
unit of C{kind = "socket-client"} that handlers use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

from attrs import define, evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.config import (
    RestartPolicy,
    between,
    not_negative,
    positive,
    unix_path,
)
from sockhost.interfaces import (
    Disconnected,
    IUnit,
    IUnitHost,
    IUnitKind,
    IUsableUnit,
    NoAnswer,
    UnitLost,
)
from sockhost.keeper import Keeper
from sockhost.sockets.client import FrameClient, connect
from sockhost.sockets.codecs import DEFAULT, find_codec
from sockhost.sockets.matching import ByNumber, InOrder
from sockhost.sockets.settings import known_framing
from sockhost.sockets.wire import HEADER_SIZE, MAX_FRAME

POLICY = RestartPolicy(backoff_max=2.0, healthy_after=1.0, budget=0, start_timeout=0.0)
"""A connection costs little: it is tried often, and for ever."""

LINGER = 1.0
"""Seconds that the server gets to take what was sent before the connection ends."""

_MATCHERS = {"order": InOrder, "number": ByNumber}


@frozen(kw_only=True)
class SocketClientConfig:
    """
    A client of a framed socket, for handlers that C{use} it.

    @ivar path: where the socket is; C{"@name"} for an abstract one.
    @ivar framing: how messages are cut out of the stream, as at the server.
    @ivar max_frame: the greatest length of a frame in bytes.
    @ivar match: which answer belongs to which request: C{order} if they come
        in the order of the requests, C{number} if each begins with four bytes
        that the server sends back.  In C{order}, the connection is made again
        when an answer has not come in time: no later one could be told apart.
    @ivar timeout: seconds that an answer may take, with the waiting for a
        connection; 0 for no limit.
    @ivar connect_timeout: seconds that an attempt to connect may take.
    """

    path: str = field(validator=unix_path)
    framing: str = field(default=DEFAULT, validator=known_framing)
    max_frame: int = field(default=MAX_FRAME, validator=between(HEADER_SIZE, 2**32 - 1))
    match: Literal["order", "number"] = "order"
    timeout: float = field(default=30.0, validator=not_negative)
    connect_timeout: float = field(default=5.0, validator=positive)


class LastingClient:
    """
    What handlers have of it: requests go to the connection that there is, or
    wait for the next one as long as their deadline allows.

    @ivar on_frame: is called with each frame that nobody has asked for.
    """

    def __init__(self, clock: Any) -> None:
        self.on_frame: Callable[[bytes], object] | None = None
        self.timeout: float | None = None
        self._clock = clock
        self._client: FrameClient | None = None
        self._waiting: list[Deferred[None]] = []
        self._dismissed = False

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._usable() is not None

    def when_connected(self) -> Deferred[None]:
        """
        Wait for a connection.

        @return: fires when there is one, at once if there is.  Fails with
            L{Disconnected} if the client is stopped.  Cancelling ends the
            waiting.
        """
        waiting: Deferred[None] = Deferred(self._forget)
        if self.connected:
            waiting.callback(None)
        elif self._dismissed:
            waiting.errback(_stopped())
        else:
            self._waiting.append(waiting)
        return waiting

    def request(self, payload: bytes, timeout: float | None = None) -> Deferred[bytes]:
        """
        Send one frame and wait for its answer.

        @param timeout: seconds for all of it, the waiting for a connection
            included; C{None} for those of the configuration.
        @return: fires with the answer.  Fails with L{NoAnswer} if there is none
            in time, with L{Disconnected} if the connection is lost after it was
            sent: whether it was done is not known then.  Fails with
            L{FrameError} if the payload is too large.  Cancelling one that waits
            for a connection withdraws it; later it discards the answer.
        """
        limit = self.timeout if timeout is None else timeout
        return Deferred.fromCoroutine(self._request(payload, limit))

    def send(self, payload: bytes) -> None:
        """
        Send one frame that has no answer.

        @raise Disconnected: there is no connection.
        @raise FrameError: the payload is too large.
        """
        client = self._usable()
        if client is None:
            raise Disconnected("there is no connection to the server")
        client.send(payload)

    def expect(self) -> None:
        """A connection is about to be made.  The unit calls this."""
        self._dismissed = False

    def take(self, client: FrameClient | None) -> None:
        """Use a connection from now on, or none.  The unit calls this."""
        self._client = client
        if client is None:
            return
        client.on_frame = self._heard
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            # One of them may have cancelled another.
            if not each.called:
                each.callback(None)

    def dismiss(self) -> None:
        """There will be no connection soon.  The unit calls this."""
        self._client = None
        self._dismissed = True
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.called:
                each.errback(_stopped())

    def _usable(self) -> FrameClient | None:
        # Whose request fails as the connection is lost may ask again before the
        # unit has heard of that.
        client = self._client
        return client if client is not None and client.is_connected else None

    def _forget(self, waiting: Deferred[None]) -> None:
        # It is in the list no more while those who were in it are told.
        with suppress(ValueError):
            self._waiting.remove(waiting)

    def _heard(self, frame: bytes) -> None:
        if self.on_frame is not None:
            self.on_frame(frame)

    async def _request(self, payload: bytes, limit: float | None) -> bytes:
        begun, left = self._clock.seconds(), limit
        while (client := self._usable()) is None:
            waiting = self.when_connected()
            if limit is not None and left is not None:
                waiting.addTimeout(left, self._clock, _out_of_time(limit))
            await waiting
            if limit is not None:
                left = max(0.0, limit - (self._clock.seconds() - begun))
        return await client.request(payload, left)


@implementer(IUsableUnit)
class SocketClientUnit:
    """
    Connects a L{LastingClient}, and says when the connection is lost.
    """

    def __init__(self, config: SocketClientConfig, reactor: Any) -> None:
        self._config = config
        self._reactor = reactor
        self._lasting = LastingClient(reactor)
        self._lasting.timeout = config.timeout or None
        self._client: FrameClient | None = None
        self._closing: set[FrameClient] = set()
        self._attempt: Deferred[FrameClient] | None = None
        self._lost: Callable[[Failure], None] | None = None
        self._connects = 0

    def client(self) -> LastingClient:
        """See L{IUsableUnit.client<sockhost.interfaces.IUsableUnit.client>}."""
        return self._lasting

    def start(self, lost: Callable[[Failure], None]) -> Deferred[None]:
        """Connect.  Cancelling gives up the attempt."""
        return Deferred.fromCoroutine(self._start(lost))

    def stop(self) -> Deferred[UnitLost | None]:
        """
        Close the connection; what is unanswered fails.  The server gets
        L{LINGER} seconds to take what was sent to it.
        """
        return Deferred.fromCoroutine(self._stop())

    def abort(self) -> None:
        """Close the connection now, whatever the server has not taken."""
        for client in list(self._closing):
            client.abort()

    def reload(self, config: SocketClientConfig) -> Deferred[bool]:
        """
        Take any new configuration in place, so that handlers keep their
        client.  If more has changed than times, requests wait for a new
        connection.  The old one is closed, and the unit thus lost: the keeper
        makes the new one.
        """
        old, self._config = self._config, config
        self._lasting.timeout = config.timeout or None
        if _server(old) != _server(config) and self._client is not None:
            self._lasting.take(None)
            self._close(self._client)
        return succeed(True)

    def status(self) -> Mapping[str, object]:
        """Where it connects to, and how often it had to again."""
        return {
            "path": self._config.path,
            "connected": self._lasting.connected,
            "reconnects": max(self._connects - 1, 0),
        }

    async def _start(self, lost: Callable[[Failure], None]) -> None:
        config = self._config
        self._lasting.expect()
        codec = find_codec(config.framing)
        assert codec is not None, "it was there when this was validated"
        self._attempt = connect(
            self._reactor,
            config.path,
            config.max_frame,
            config.connect_timeout,
            codec,
            _MATCHERS[config.match],
        )
        try:
            client = await self._attempt
        except ConnectingCancelledError as error:
            raise CancelledError from error
        except ConnectError as error:
            raise UnitLost(f"cannot connect to {config.path}: {error}") from error
        finally:
            self._attempt = None
        self._client, self._lost = client, lost
        self._connects += 1
        client.when_lost().addCallback(self._gone, client)
        self._lasting.take(client)

    async def _stop(self) -> UnitLost | None:
        self._lost = None
        if self._attempt is not None:
            self._attempt.cancel()
        client, self._client = self._client, None
        self._lasting.dismiss()
        if client is not None:
            await self._close(client)
        return None

    def _close(self, client: FrameClient) -> Deferred[None]:
        # A server that hangs takes nothing, and is not to hold us up.
        hurry = self._reactor.callLater(LINGER, client.abort)
        self._closing.add(client)

        def closed(_: None) -> None:
            self._closing.discard(client)
            if hurry.active():
                hurry.cancel()

        return client.close().addCallback(closed)

    def _gone(self, reason: Disconnected, client: FrameClient) -> None:
        if self._client is not client:
            return
        self._client = None
        self._lasting.take(None)
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(Failure(UnitLost(str(reason))))


@define(eq=False)
class ReconnectingClient:
    """
    Such a client in any program on Twisted, without a host.

    @ivar client: for requests.
    """

    client: LastingClient
    _keeper: Keeper

    @classmethod
    def make(
        cls,
        reactor: Any,
        path: str,
        policy: RestartPolicy = POLICY,
        **options: Any,
    ) -> ReconnectingClient:
        """
        Make one.  It does nothing until L{start}.

        @param path: where the socket is.
        @param policy: how soon it connects again.
        @param options: what else L{SocketClientConfig} has.
        """
        unit = SocketClientUnit(SocketClientConfig(path=path, **options), reactor)
        keeper = Keeper(path, unit, policy, reactor, kind="socket-client")
        return cls(unit.client(), keeper)

    def start(self) -> Deferred[None]:
        """
        Connect, and go on trying until L{stop}.

        @return: fires when it is connected for the first time.  Fails with
            L{UnitFailed<sockhost.interfaces.UnitFailed>} if its policy gives up,
            and with L{GoalChanged<sockhost.interfaces.GoalChanged>} on L{stop}.
            Cancelling only detaches the caller.
        """
        return self._keeper.start()

    def stop(self) -> Deferred[None]:
        """
        Close the connection and make no other.  What is unanswered fails.

        @return: fires when it is closed; fails with L{GoalChanged
            <sockhost.interfaces.GoalChanged>} on L{start}.
        """
        return self._keeper.stop()


@implementer(IPlugin, IUnitKind)
@define(eq=False)
class SocketClientKind:
    """Makes clients of framed sockets."""

    name: str = field(default="socket-client", init=False)
    config_class: type[SocketClientConfig] = field(
        default=SocketClientConfig, init=False
    )
    portable: bool = field(default=True, init=False)

    def usual_policy(self, _table: Mapping[str, Any]) -> RestartPolicy:
        """A lost connection is made again at once, and tried for ever."""
        return POLICY

    def make(self, name: str, config: SocketClientConfig, host: IUnitHost) -> IUnit:
        """Make a client."""
        return SocketClientUnit(config, host.reactor)


def _server(config: SocketClientConfig) -> SocketClientConfig:
    return evolve(config, timeout=0, connect_timeout=1)


def _stopped() -> Disconnected:
    return Disconnected("the client was stopped")


def _out_of_time(limit: float) -> Callable[[Any, float], Any]:
    def too_late(result: Any, _: float) -> Any:
        if isinstance(result, Failure):
            result.trap(CancelledError)
        raise NoAnswer(f"no answer within {limit:g} s")

    return too_late
