# -*- test-case-name: tests.redis.test_sentinel -*-
"""
Servers that Sentinels watch over: which of them is the primary, and when
another one becomes it.

Theory of operation
===================

All Sentinels are asked at once for each connection that is made, and the first
answer counts, so one that hangs costs nothing.  One that knows fewer others than
it should is not believed, if the URL says how many.  As a Sentinel may not have
heard the news, the server that it names is asked for its role before it is
used; if that is the wrong one, the attempt has failed, and the next asks again.

While there is a connection, one Sentinel is listened to.  When it tells of a new
primary the connection is ended, also when the old one hangs and would not say
anything itself.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.interfaces import RedisConnectionError, RedisError
from sockhost.redis.acks import send_names
from sockhost.redis.connection import RedisConnection
from sockhost.redis.dialing import Dialer
from sockhost.redis.push import pushes_in_arrays
from sockhost.redis.racing import first_of
from sockhost.redis.resp import Push
from sockhost.redis.settings import RedisConfig
from sockhost.redis.url import Address, RedisURL

T = TypeVar("T")
Question = Callable[[RedisConnection], Awaitable[T]]

# Seconds between attempts to listen to a Sentinel.
RETRY = 1.0
SWITCHED = b"+switch-master"
# What a Sentinel says of a replica that is not to be used.
_UNFIT = frozenset({"s_down", "o_down", "disconnected", "master_down"})


@define(eq=False)
class Sentinels:
    """
    Finds the servers of one service.  Provides
    L{Finder<sockhost.redis.dialing.Finder>}.
    """

    _url: RedisURL
    _dialers: Sequence[Dialer]
    _choose: Callable[[Sequence[Address]], Address] = random.choice

    @classmethod
    def make(cls, reactor: Any, config: RedisConfig, url: RedisURL) -> Sentinels:
        """Make one that reaches the Sentinels in the way of the servers."""
        plain = evolve(
            config, username=None, password=None, password_env=None, credentials=None
        )
        as_whom = evolve(
            url, username=url.sentinel_user, password=url.sentinel_password, db=0
        )
        dialers = [
            Dialer.make(reactor, plain, as_whom.at(address), "sockhost")
            for address in url.addresses
        ]
        return cls(url, dialers)

    def find(self) -> Deferred[RedisURL]:
        """
        Ask the Sentinels where to connect to.

        @return: fails with L{RedisConnectionError} if none knows.
        """
        return Deferred.fromCoroutine(self._find())

    def check(self, connection: RedisConnection, place: str) -> Deferred[None]:
        """
        Ask a server for its role.

        @param place: where it is.
        @return: fails with L{RedisConnectionError} if it is not in the one that
            is wanted.
        """
        return Deferred.fromCoroutine(self._check(connection, place))

    def connect(self) -> Deferred[RedisConnection]:
        """
        Make a connection to a Sentinel, whichever answers first.

        @return: fails with L{RedisConnectionError} if none does.
        """
        tries = [Deferred.fromCoroutine(self._dial(each)) for each in self._dialers]
        return Deferred.fromCoroutine(first_of(tries))

    def place_at(self, address: Address) -> str:
        """Say as a URL does where a server is."""
        return self._url.at(address).place

    async def primary(self, connection: RedisConnection) -> Address:
        """Ask one Sentinel for the primary."""
        reply = await connection.execute(
            "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._url.service
        )
        match reply:
            case [bytes() as host, bytes() as port]:
                return host.decode(), int(port)
        raise RedisConnectionError(f"no service {self._url.service!r} is known")

    async def _find(self) -> RedisURL:
        question = self.primary if self._url.role == "primary" else self._replica
        asking = [
            Deferred.fromCoroutine(self._ask(each, question)) for each in self._dialers
        ]
        try:
            return self._url.at(await first_of(asking))
        except RedisConnectionError as error:
            raise RedisConnectionError(f"{self._url}: {error}") from None

    async def _ask(self, dialer: Dialer, question: Question[T]) -> T:
        connection = await self._dial(dialer)
        try:
            return await question(connection)
        except RedisError as error:
            raise RedisConnectionError(f"{dialer.url}: {error}") from error
        finally:
            connection.abort()
            await connection.when_disconnected()

    async def _dial(self, dialer: Dialer) -> RedisConnection:
        connection = await dialer.dial()
        try:
            await self._believe(connection)
        except BaseException as error:
            connection.abort()
            await connection.when_disconnected()
            if isinstance(error, RedisError):
                raise RedisConnectionError(f"{dialer.url}: {error}") from error
            raise
        return connection

    async def _believe(self, connection: RedisConnection) -> None:
        # One that has lost sight of the others may tell of a primary that they
        # have replaced.
        least = self._url.min_other_sentinels
        if not least:
            return
        reply = await connection.execute("SENTINEL", "MASTER", self._url.service)
        others = int(_fields(reply).get("num-other-sentinels", "0"))
        if others < least:
            raise RedisConnectionError(
                f"it knows {others} other Sentinels, and is not believed below {least}"
            )

    async def _replica(self, connection: RedisConnection) -> Address:
        reply = await connection.execute("SENTINEL", "REPLICAS", self._url.service)
        fit = [_address(each) for each in map(_fields, reply) if _is_fit(each)]
        if fit:
            return self._choose(fit)
        if self._url.role == "any":
            return await self.primary(connection)
        raise RedisConnectionError("no replica is fit to be used")

    async def _check(self, connection: RedisConnection, place: str) -> None:
        said = (await connection.execute("ROLE"))[0]
        role = {b"master": "primary", b"slave": "replica"}.get(said, "neither")
        if self._url.role not in ("any", role):
            raise RedisConnectionError(
                f"{self._url}: what a Sentinel says to be the {self._url.role} "
                f"at {place} is not: it is {role}"
            )


def _fields(said: Any) -> dict[str, str]:
    # A map in RESP3, its pieces in RESP2.
    pairs = (
        said.items()
        if isinstance(said, dict)
        else zip(said[::2], said[1::2], strict=True)
    )
    return {name.decode(): value.decode() for name, value in pairs}


def _is_fit(replica: dict[str, str]) -> bool:
    flags = set(replica.get("flags", "").split(","))
    return not flags & _UNFIT and replica.get("master-link-status") == "ok"


def _address(replica: dict[str, str]) -> Address:
    return replica["ip"], int(replica["port"])


@define(eq=False)
class SentinelWatch:
    """
    Listens to a Sentinel, and tells when what is connected to is not what it
    should be any more.
    """

    _clock: IReactorTime
    _sentinels: Sentinels
    _service: str
    _role: str
    _moved: Callable[[RedisError], object]
    _place: str | None = None
    _work: Deferred[None] | None = None
    _over: list[Deferred[None]] = field(factory=list)
    _stopping: bool = False

    _log = Logger()

    def start(self, place: str | None) -> None:
        """
        Begin, unless that was done.

        @param place: where what is connected to is.  Others may be found for
            other connections meanwhile: they say nothing of it.
        """
        self._place = place
        if self._work is None:
            self._work = Deferred.fromCoroutine(self._run())
            self._work.addErrback(Failure.trap, CancelledError)
            self._work.addErrback(lambda why: self._log.failure("not watched", why))
            self._work.addBoth(self._ended)

    def stop(self) -> Deferred[None]:
        """
        End.

        @return: fires when no connection and no timer is left.
        """
        if self._work is None:
            return succeed(None)
        over: Deferred[None] = Deferred()
        self._over.append(over)
        self._stopping = True
        self._work.cancel()
        return over

    def _ended(self, _: object) -> None:
        self._work = None
        self._stopping = False
        over, self._over = self._over, []
        for each in over:
            each.callback(None)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except RedisError as error:
                # What had failed already was not cancelled.
                self._check_stopping()
                self._log.warn("no Sentinel tells of failovers: {error}", error=error)
            await deferLater(self._clock, RETRY)

    async def _listen(self) -> None:
        connection = await self._sentinels.connect()
        try:
            self._check_stopping()
            connection.on_push = self._take
            if connection.protocol < 3:
                pushes_in_arrays(connection)
                now = await self._sentinels.primary(connection)
            await send_names(connection, b"subscribe", [SWITCHED], lambda _: None)
            if connection.protocol >= 3:
                now = await self._sentinels.primary(connection)
            self._compare(now)
            # To wait for the end must not end with us.
            ended: Deferred[None] = Deferred()
            connection.when_disconnected().addCallback(_tell, ended)
            await ended
        finally:
            connection.abort()
            await connection.when_disconnected()

    def _check_stopping(self) -> None:
        if self._stopping:
            raise CancelledError

    def _take(self, push: Push) -> None:
        # The service, host and port of the old primary, and of the new one.
        match push:
            case [b"message", _, bytes() as text]:
                words = text.decode().split()
                if len(words) == 5 and words[0] == self._service:
                    self._compare((words[3], int(words[4])))

    def _compare(self, primary: Address) -> None:
        place = self._sentinels.place_at(primary)
        there = self._place == place
        wrong = {"primary": not there, "replica": there}.get(self._role, False)
        if wrong:
            self._moved(RedisConnectionError(f"the primary is {place} now"))


def watch_over(
    reactor: Any,
    dialer: Dialer,
    moved: Callable[[RedisError], object],
) -> SentinelWatch:
    """
    Have a dialer ask Sentinels where to connect to.

    @param moved: is called with the reason when what it has connected to is not
        what it should be any more.
    @return: what finds that out, once it is started.
    """
    url = dialer.url
    sentinels = Sentinels.make(reactor, dialer.config, url)
    dialer.finder = sentinels
    return SentinelWatch(reactor, sentinels, url.service, url.role, moved)


def _tell(_: object, waiting: Deferred[None]) -> None:
    if not waiting.called:
        waiting.callback(None)
