# -*- test-case-name: tests.redis.test_dialing -*-
"""
How a connection comes to be: where the server is, the endpoint, the greeting,
and a limit of time for all of it.
"""

from __future__ import annotations

import typing
from typing import Any, cast

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred, TimeoutError  # noqa: A004
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.protocol import Factory, Protocol

from sockhost.interfaces import MaybeExecuted, RedisConnectionError, RedisError
from sockhost.redis.connection import RedisConnection
from sockhost.redis.credentials import Provider, ask, find_provider
from sockhost.redis.greeting import Greeting, greet
from sockhost.redis.resp import RespReader
from sockhost.redis.settings import RedisConfig, find_password
from sockhost.redis.url import RedisURL
from sockhost.redis.wire import set_keepalive


class Finder(typing.Protocol):
    """Knows where the server is just now."""

    def find(self) -> Deferred[RedisURL]:
        """
        Say where to connect to.

        @return: fails with L{RedisConnectionError} if nobody knows.
        """

    def check(self, connection: RedisConnection, place: str) -> Deferred[None]:
        """
        See whether a greeted connection is to the right kind of server.

        @param place: where that is.
        @return: fails with L{RedisConnectionError} if not.
        """


@define(eq=False)
class Dialer:
    """
    Makes connections as a configuration says, greeted and ready for use.

    @ivar url: where to; with a finder, what is told of it.
    @ivar finder: finds the server for each connection, or C{None} for the URL's.
    @ivar place: of the server that the last connection was made to.
    """

    _reactor: Any
    config: RedisConfig
    url: RedisURL
    greeting: Greeting
    finder: Finder | None = None
    place: str | None = None
    _provider: Provider | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._provider = find_provider(self.config.credentials)

    @classmethod
    def make(
        cls, reactor: Any, config: RedisConfig, url: RedisURL, name: str
    ) -> Dialer:
        """
        Make one for what a configuration and a URL say together.

        @param name: of the connections, where they give none.
        @raise RedisError: there is no password, or nobody who gives any.
        """
        greeting = Greeting(
            username=config.username or url.username,
            password=find_password(config, url),
            client_name=config.client_name or url.client_name or name,
            db=url.db,
            read_only=url.read == "replica",
        )
        return cls(reactor, config, url, greeting)

    def dial(self) -> Deferred[RedisConnection]:
        """
        Make one more connection.

        @return: fails with L{RedisConnectionError}, or with L{RedisReplyError
            <sockhost.interfaces.RedisReplyError>} if the server refuses it.
            Cancelling gives up, and nothing is left.
        """
        return Deferred.fromCoroutine(self._dial())

    async def _dial(self) -> RedisConnection:
        limit = self.config.connect_timeout
        opening = Deferred.fromCoroutine(self._open())
        try:
            return await opening.addTimeout(limit, self._reactor)
        except TimeoutError:
            raise RedisConnectionError(
                f"{self.url}: no answer within {limit} s"
            ) from None

    async def _open(self) -> RedisConnection:
        greeting = await self._introduction()
        url = self.url if self.finder is None else await self.finder.find()
        connection = await self._reach(url)
        try:
            await greet(connection, greeting)
            if self.finder is not None:
                await self.finder.check(connection, url.place)
        except BaseException as error:
            # Of one that was lost the reason is the one that it had before.
            connection.abort(RedisConnectionError(str(error)))
            reason = await _end_of(connection)
            if isinstance(error, MaybeExecuted):
                raise RedisConnectionError(f"{url}: {reason}") from None
            raise
        self.place = url.place
        return connection

    async def _introduction(self) -> Greeting:
        if self._provider is None:
            return self.greeting
        try:
            username, password = await ask(self._provider)
        except (CancelledError, RedisError):
            raise
        except Exception as error:
            text = f"credentials: {type(error).__name__}: {error}"
            raise RedisConnectionError(text) from error
        return evolve(self.greeting, username=username, password=password)

    async def _reach(self, url: RedisURL) -> RedisConnection:
        factory = Factory.forProtocol(self._make_connection)
        factory.noisy = False
        config = self.config
        endpoint = url.endpoint(
            self._reactor, config.connect_timeout, config.source_address
        )
        try:
            connection = cast(RedisConnection, await endpoint.connect(factory))
        except ConnectingCancelledError:
            raise CancelledError from None
        except (ConnectError, OSError) as error:
            raise RedisConnectionError(f"cannot connect to {url}: {error}") from error
        wire = _lowest(connection.transport)
        set_keepalive(wire, config.keepalive, config.user_timeout)
        return connection

    def _make_connection(self) -> RedisConnection:
        config = self.config
        return RedisConnection(
            self._reactor,
            config.timeout,
            config.ping_interval,
            reader=RespReader(config.limits),
        )


async def _end_of(connection: RedisConnection) -> RedisError | None:
    while True:
        try:
            return await connection.when_disconnected()
        except CancelledError:
            # Given up once more: that ends nothing sooner.
            continue


def _lowest(transport: Any) -> Any:
    # TLS hands out its own state where the socket is asked for.
    lower = transport
    while isinstance(lower, Protocol):
        lower = lower.transport
    return lower
