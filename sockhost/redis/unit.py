# -*- test-case-name: tests.redis.test_unit,tests.redis.test_unit_reload -*-
"""
The C{redis} kind: a named client for handlers, connected as long as its keeper
wants it to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.config import RestartPolicy
from sockhost.interfaces import (
    IUnitHost,
    IUnitKind,
    IUsableUnit,
    RedisConnectionError,
    RedisError,
    UnitLost,
)
from sockhost.redis.client import RedisClient
from sockhost.redis.connection import RedisConnection
from sockhost.redis.dialing import Dialer
from sockhost.redis.greeting import Greeting
from sockhost.redis.sentinel import SentinelWatch, watch_over
from sockhost.redis.settings import RedisConfig
from sockhost.redis.url import Kind, RedisURL, parse_url

# What a connection has from its beginning.
_CONNECTED = (
    "timeout",
    "ping_interval",
    "keepalive",
    "user_timeout",
    "source_address",
    "credentials",
    "limits",
)


@implementer(IUsableUnit)
class RedisUnit:
    """
    Connects a L{RedisClient}, and says when the connection is lost.

    @ivar grace: seconds that the next stop waits for outstanding replies.
    @ivar last_error: why the last attempt to connect failed, or C{None}.
    """

    def __init__(
        self,
        name: str,
        config: RedisConfig,
        reactor: Any,
        place: RedisURL | None = None,
    ) -> None:
        """
        @param reactor: provides
            L{IReactorTime<twisted.internet.interfaces.IReactorTime>} and what
            its endpoint needs.
        @param place: where to connect to, if not where the configuration says.
        @raise RedisError: the configuration asks for a password that is not
            there.
        """
        self._name = name
        self._reactor = reactor
        self._place = place
        self._client = RedisClient(reactor)
        self._watch: SentinelWatch | None = None
        self._configure(config)
        self._server: str | None = None
        self._server_version: str | None = None
        self._protocol = 2
        self._connection: RedisConnection | None = None
        self._attempt: Deferred[None] | None = None
        self._attempt_over: list[Deferred[None]] = []
        self._lost: Callable[[Failure], None] | None = None
        self._connects = 0
        self.last_error: Exception | None = None

    def _configure(self, config: RedisConfig) -> None:
        url = self._place or parse_url(config.url)
        if url.kind is Kind.CLUSTER:
            raise RedisError(f"{url}: a cluster is no single server")
        self._dialer = Dialer.make(self._reactor, config, url, self._name)
        self._watch = None
        if url.kind is Kind.SENTINEL:
            self._watch = watch_over(self._reactor, self._dialer, self._moved)
        self._config = config
        self._url = url
        self.grace = config.grace
        self._client.configure(
            config.wait,
            config.max_queued,
            self.dial,
            config.decode,
            config.when_full == "wait",
            config.max_dedicated,
        )

    def client(self) -> RedisClient:
        """
        See L{IUsableUnit.client<sockhost.interfaces.IUsableUnit.client>}.
        Commands that are given to it before the unit is up wait for it as they
        do after a loss.
        """
        return self._client

    def start(self, lost: Callable[[Failure], None]) -> Deferred[None]:
        """See L{IUnit.start<sockhost.interfaces.IUnit.start>}."""
        self._client.reopen()
        self._lost = lost
        self._attempt = Deferred.fromCoroutine(self._connect())
        return self._attempt

    def stop(self) -> Deferred[UnitLost | None]:
        """
        Wait up to L{grace} seconds for the replies of what was sent, and
        close.  New commands, and those that were not sent, fail with
        L{RedisConnectionError<sockhost.interfaces.RedisConnectionError>}.
        """
        return Deferred.fromCoroutine(self._stop())

    def abort(self) -> None:
        """See L{IUnit.abort<sockhost.interfaces.IUnit.abort>}."""
        if self._lost is None:
            self._client.cut()

    def reload(self, config: RedisConfig) -> Deferred[bool]:
        """
        Take any new configuration in place, so that handlers keep their
        client: where the connection depends on what changed, it is drained and
        made anew, and commands wait meanwhile.  Fails if the configuration
        cannot be used.

        @return: fires with C{True}, also when the new connection cannot be
            made: then the unit is lost.  With C{False} for a cluster: make
            another unit, please.
        """
        return Deferred.fromCoroutine(self._reload(config))

    def status(self) -> Mapping[str, object]:
        """See L{IUnit.status<sockhost.interfaces.IUnit.status>}."""
        connection = self._connection
        return {
            "url": str(self._url),
            "connected": self._client.connected,
            "server": self._server,
            "server_version": self._server_version,
            "protocol": self._protocol,
            "queued": self._client.queued,
            "outstanding": self._client.outstanding,
            "dedicated": self._client.lent,
            "latency": None if connection is None else connection.latency,
            "reconnects": max(self._connects - 1, 0),
        }

    # -- connecting ---------------------------------------------------------

    def dial(self) -> Deferred[RedisConnection]:
        """
        Make one more connection as the configuration says, greeted and ready
        for use.

        @return: fails with L{RedisConnectionError}, or with L{RedisReplyError
            <sockhost.interfaces.RedisReplyError>} if the server refuses it.
            Cancelling gives up, and nothing is left.
        """
        return self._dialer.dial()

    async def _connect(self) -> None:
        try:
            connection = await self.dial()
        except CancelledError:
            raise
        except Exception as error:
            self._failed(error)
        else:
            self._use(connection)
        finally:
            self._attempt = None
            over, self._attempt_over = self._attempt_over, []
            for each in over:
                each.callback(None)

    def _failed(self, error: Exception) -> None:
        self.last_error = error
        self._client.refused(error)
        raise error

    def _use(self, connection: RedisConnection) -> None:
        self.last_error = None
        self._connects += 1
        self._server = self._dialer.place
        self._server_version = connection.server_version
        self._protocol = connection.protocol
        self._connection = connection
        self._client.attach(connection)
        connection.when_disconnected().addCallback(self._ended, connection)
        if self._watch is not None:
            self._watch.start(self._server)

    # -- the end ------------------------------------------------------------

    def _ended(self, reason: RedisError | None, connection: RedisConnection) -> None:
        if self._connection is not connection:
            return
        self._connection = None
        text = f"{self._url}: {reason or 'closed by its user'}"
        lost = UnitLost(text, success=reason is None)
        Deferred.fromCoroutine(self._part(lost))

    async def _part(self, lost: UnitLost) -> None:
        # Nothing may be left when it is told.
        if self._watch is not None:
            await self._watch.stop()
        await self._client.part(RedisConnectionError(str(lost)))
        self._tell_lost(lost)

    def _moved(self, reason: RedisError) -> None:
        connection = self._connection
        if connection is not None:
            # What else is connected there is not trusted either.
            connection.stalled = True
            connection.abort(reason)

    def _tell_lost(self, error: UnitLost) -> None:
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(Failure(error))

    async def _stop(self) -> None:
        self._lost = None
        if self._attempt is not None:
            await self._cancel_attempt(self._attempt)
        if self._watch is not None:
            await self._watch.stop()
        await self._client.drain(self.grace)

    def _cancel_attempt(self, attempt: Deferred[None]) -> Deferred[None]:
        over: Deferred[None] = Deferred()
        self._attempt_over.append(over)
        attempt.cancel()
        return over

    async def _reload(self, config: RedisConfig) -> bool:
        before = (self._url, self._dialer.greeting, self._config)
        watch = self._watch
        if parse_url(config.url).kind is Kind.CLUSTER:
            return False
        self._configure(config)
        if watch is not None:
            await watch.stop()
        connection = self._connection
        if connection is None or not self._reconnects(*before):
            return True
        self._connection = None
        try:
            await self._reconnect(connection)
        except RedisError as error:
            await self._give_up(connection, error)
        except BaseException as error:
            await self._give_up(connection, error)
            raise
        return True

    async def _reconnect(self, connection: RedisConnection) -> None:
        await connection.close(self.grace)
        if self._lost is None:
            # Told to stop meanwhile.
            raise CancelledError
        self._attempt = Deferred.fromCoroutine(self._connect())
        await self._attempt

    async def _give_up(self, connection: RedisConnection, why: BaseException) -> None:
        if self._lost is not None:
            text = str(why) or "the reload was given up"
            connection.abort(RedisConnectionError(text))
            await connection.when_disconnected()
            await self._part(UnitLost(text))

    def _reconnects(
        self, url: RedisURL, greeting: Greeting, config: RedisConfig
    ) -> bool:
        # All the rest holds for what is issued from now on, or for the client.
        now = self._config
        changed = any(getattr(config, key) != getattr(now, key) for key in _CONNECTED)
        changed = changed or self._watch is not None
        return changed or (url, greeting) != (self._url, self._dialer.greeting)


@implementer(IPlugin, IUnitKind)
class RedisKind:
    """The C{redis} kind."""

    name = "redis"
    config_class = RedisConfig
    portable = True

    def usual_policy(self, _table: Mapping[str, Any]) -> RestartPolicy:
        """A server that is away for long is no reason to give up on it."""
        return RestartPolicy(budget=0, backoff_max=2.0, healthy_after=1.0)

    def make(self, name: str, config: RedisConfig, host: IUnitHost) -> IUsableUnit:
        """See L{IUnitKind.make<sockhost.interfaces.IUnitKind.make>}."""
        # It is made of units like those above.
        from sockhost.redis.cluster_unit import make_unit

        unit: IUsableUnit = make_unit(name, config, host.reactor)
        return unit
