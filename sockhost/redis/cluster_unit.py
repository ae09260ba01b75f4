# -*- test-case-name: tests.redis.test_cluster -*-
"""
The unit of a cluster's client, and the choice between it and that of a server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred, TimeoutError  # noqa: A004
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import (
    IUsableUnit,
    RedisConnectionError,
    RedisError,
    UnitLost,
)
from sockhost.redis.cluster import ClusterClient
from sockhost.redis.cluster_nodes import Nodes
from sockhost.redis.dialing import Dialer
from sockhost.redis.settings import RedisConfig
from sockhost.redis.unit import RedisUnit
from sockhost.redis.url import Kind, RedisURL, parse_url

# What no connection depends on.
_UNCONNECTED = ("wait", "decode", "grace")


def _unconnected(config: RedisConfig) -> dict[str, Any]:
    return {key: getattr(config, key) for key in _UNCONNECTED}


@implementer(IUsableUnit)
class ClusterUnit:
    """
    Knows a cluster, and keeps its client connected to the nodes.  It is up when
    the cluster has said where its slots are, and stays so until it is stopped:
    nodes that are lost are connected to again, by themselves.

    @ivar grace: seconds that the next stop waits for outstanding replies.
    @ivar last_error: why the last attempt to connect failed, or C{None}.
    """

    def __init__(self, name: str, config: RedisConfig, reactor: Any) -> None:
        """
        @raise RedisError: the configuration asks for a password that is not
            there.
        """
        self._name = name
        self._reactor = reactor
        self._config = config
        self._url = parse_url(config.url)
        named = self._check(config, self._url)
        self._nodes = Nodes(reactor, config, self._url, named)
        self._client = ClusterClient(
            reactor, self._nodes, config.wait, config.decode, config.max_queued
        )
        self._client.on_close = self._close
        self._attempt: Deferred[None] | None = None
        self._lost: Callable[[Failure], None] | None = None
        self.grace = config.grace
        self.last_error: Exception | None = None

    def _check(self, config: RedisConfig, url: RedisURL) -> str:
        """Say what the connections are called, if they can be made."""
        Dialer.make(self._reactor, config, url, self._name)
        return config.client_name or url.client_name or self._name

    def client(self) -> ClusterClient:
        """See L{IUsableUnit.client<sockhost.interfaces.IUsableUnit.client>}."""
        return self._client

    def start(self, lost: Callable[[Failure], None]) -> Deferred[None]:
        """See L{IUnit.start<sockhost.interfaces.IUnit.start>}."""
        self._lost = lost
        self._attempt = Deferred.fromCoroutine(self._start())
        return self._attempt

    def stop(self) -> Deferred[UnitLost | None]:
        """See L{IUnit.stop<sockhost.interfaces.IUnit.stop>}."""
        return Deferred.fromCoroutine(self._stop())

    def abort(self) -> None:
        """See L{IUnit.abort<sockhost.interfaces.IUnit.abort>}."""
        if self._lost is None:
            self._nodes.cut()

    def reload(self, config: RedisConfig) -> Deferred[bool]:
        """
        Take a new configuration in place, so that handlers keep their client:
        where the connections depend on what changed, they are drained and made
        anew, and commands wait meanwhile.  Fails if the configuration cannot be
        used.

        @return: fires with C{True}, also when the cluster cannot be reached
            then: the unit is lost.  With C{False} for what is no cluster: start
            again, please.
        """
        return Deferred.fromCoroutine(self._reload(config))

    def status(self) -> Mapping[str, object]:
        """See L{IUnit.status<sockhost.interfaces.IUnit.status>}."""
        primaries = set(self._nodes.map.primaries)
        return {
            "url": str(self._url),
            "connected": self._client.connected,
            "nodes": [
                {
                    "address": f"{node.address[0]}:{node.address[1]}",
                    "primary": node.address in primaries,
                    **node.unit.status(),
                }
                for node in self._nodes.all
            ],
        }

    async def _start(self) -> None:
        self._nodes.open()
        self._client.router.begin()
        limit = self._config.connect_timeout
        try:
            learning = Deferred.fromCoroutine(self._nodes.learn())
            await learning.addTimeout(limit, self._reactor)
        except BaseException as error:
            failed = self._failed(error)
            await self._nodes.close(0.0, closed=False)
            raise failed from None
        finally:
            self._attempt = None
        self.last_error = None
        self._client.lifetime.begin()
        self._client.go_on()
        self._client.tell_ready(None)

    async def _reload(self, config: RedisConfig) -> bool:
        url = parse_url(config.url)
        if url.kind is not Kind.CLUSTER:
            return False
        named = self._check(config, url)
        anew = evolve(config, **_unconnected(self._config)) != self._config
        self._config, self._url, self.grace = config, url, config.grace
        self._client.configure(config.wait, config.decode, config.max_queued)
        self._nodes.configure(config, url, named)
        if not (anew and self._nodes.opened):
            return True
        try:
            await self._connect_again()
        except RedisError as error:
            self._give_up(error)
        except BaseException as error:
            self._give_up(error)
            raise
        return True

    async def _connect_again(self) -> None:
        self._client.rest()
        await self._nodes.close(self.grace, closed=False)
        if self._lost is None:
            # Told to stop meanwhile.
            raise CancelledError
        if self._nodes.closed:
            raise RedisConnectionError("the client is closed")
        self._attempt = Deferred.fromCoroutine(self._start())
        await self._attempt

    def _give_up(self, why: BaseException) -> None:
        # Of what its user has closed is told when that is done.
        if self._lost is not None and not self._nodes.closed:
            lost, self._lost = self._lost, None
            lost(Failure(UnitLost(str(why) or "the reload was given up")))

    def _close(self, timeout: float) -> Deferred[None]:
        return Deferred.fromCoroutine(self._closed(timeout))

    async def _closed(self, timeout: float) -> None:
        # A start that is under way fails by itself.
        lost = None if self._attempt else self._lost
        await self._nodes.close(timeout)
        if lost is not None and lost is self._lost:
            self._lost = None
            lost(Failure(UnitLost(f"{self._url}: closed by its user", success=True)))

    def _failed(self, error: BaseException) -> BaseException:
        if isinstance(error, TimeoutError):
            reasons = {each.client.reason for each in self._nodes.all} - {None}
            text = "; ".join(str(each) for each in reasons) or "no node answers"
            error = RedisConnectionError(text)
        if type(error) is RedisConnectionError:
            error = RedisConnectionError(f"{self._url}: {error}")
        if isinstance(error, Exception) and not isinstance(error, CancelledError):
            self.last_error = error
        return error

    async def _stop(self) -> None:
        self._lost = None
        if self._attempt is not None:
            self._attempt.cancel()
        self._client.refuse()
        self._client.rest()
        await self._nodes.close(self.grace)


def make_unit(name: str, config: RedisConfig, reactor: Any) -> RedisUnit | ClusterUnit:
    """
    Make the unit for what a configuration's URL names.

    @raise RedisError: the configuration asks for a password that is not there.
    """
    if parse_url(config.url).kind is Kind.CLUSTER:
        return ClusterUnit(name, config, reactor)
    return RedisUnit(name, config, reactor)
