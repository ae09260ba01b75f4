# -*- test-case-name: tests.redis.test_standalone -*-
"""
The Redis client in any Twisted program, without a host.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sockhost.config import RestartPolicy
from sockhost.interfaces import GoalChanged
from sockhost.keeper import Keeper
from sockhost.redis.client import RedisClient
from sockhost.redis.cluster_unit import ClusterUnit, make_unit
from sockhost.redis.settings import RedisConfig
from sockhost.redis.unit import RedisUnit
from sockhost.status import State

# A connection costs little: it is tried often, and for ever.
POLICY = RestartPolicy(backoff_max=2.0, healthy_after=1.0, budget=0, start_timeout=0.0)


def connect(url: str, reactor: Any = None, **options: Any) -> Deferred[RedisClient]:
    """
    Connect to a server, and stay connected: when the connection is lost, it is
    made again, at once and then at intervals of up to two seconds, until the
    client is closed.

    @param url: C{redis://[user:password@]host[:port][/db]},
        C{unix://path[?db=n]}, or another that L{sockhost.redis.url} knows.
    @param reactor: by default the global one.
    @param options: what else L{RedisConfig<sockhost.redis.settings.RedisConfig>}
        has.
    @return: fires with the client when it is connected: for a cluster with a
        L{ClusterClient<sockhost.redis.cluster.ClusterClient>}.  Fails with
        L{RedisConnectionError<sockhost.interfaces.RedisConnectionError>} if
        the first attempt does, with L{RedisReplyError
        <sockhost.interfaces.RedisReplyError>} if the server refuses it, and
        with C{ValueError} or C{TypeError} for a bad URL or option; nothing is
        left then.  Cancelling gives up.
    """
    if reactor is None:
        from twisted.internet import reactor
    return Deferred.fromCoroutine(_connect(url, reactor, options))


async def _connect(url: str, reactor: Any, options: dict[str, Any]) -> Any:
    config = RedisConfig(url=url, **options)
    unit = make_unit("sockhost", config, reactor)
    tried: Deferred[None] = Deferred()

    def changed(keeper: Keeper) -> None:
        up = keeper.state is State.UP
        if not tried.called and (up or unit.last_error is not None):
            tried.callback(None)

    keeper = Keeper("redis", unit, POLICY, reactor, changed)
    unit.client().on_close = _Closer(unit, keeper)
    keeper.start().addErrback(Failure.trap, GoalChanged)
    try:
        await tried
        if unit.last_error is not None:
            raise unit.last_error
    except BaseException:
        await keeper.stop()
        raise
    return unit.client()


class _Closer:
    """Ends what keeps a client connected."""

    def __init__(self, unit: RedisUnit | ClusterUnit, keeper: Keeper) -> None:
        self._unit = unit
        self._keeper = keeper

    def __call__(self, timeout: float) -> Deferred[None]:
        self._unit.grace = timeout
        return self._keeper.stop()
