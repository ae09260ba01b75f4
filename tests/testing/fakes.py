"""
Implementations of interfaces in memory, to be put through their contracts.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.application.service import IServiceMaker, Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.usage import Options
from zope.interface import implementer

from sockhost.interfaces import (
    IHookedUnit,
    IListeningUnit,
    ILoggingUnit,
    IRedis,
    IUsableUnit,
    RedisConnectionError,
    RedisReplyError,
)
from sockhost.testing.units import MemoryUnit


def _encode(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str | int | float):
        return str(value).encode()
    raise TypeError(f"cannot be sent: {value!r}")


@implementer(IRedis)
@define(eq=False)
class MemoryRedis:
    """A few commands of a store, with no server behind it."""

    connected: bool = True
    data: dict[bytes, bytes] = field(factory=dict)

    def execute(self, *args: bytes | str | int | float) -> Deferred[Any]:
        """Answer at once."""
        try:
            name, *words = (_encode(each) for each in args)
        except TypeError:
            return fail()
        if not self.connected:
            return fail(RedisConnectionError("closed"))
        command = getattr(self, f"_{name.decode().lower()}", None)
        if command is None:
            return fail(RedisReplyError("ERR unknown command"))
        return maybe(command, words)

    def when_connected(self) -> Deferred[None]:
        """There is a connection until it is closed."""
        if self.connected:
            return succeed(None)
        return fail(RedisConnectionError("closed"))

    def close(self, timeout: float = 5.0) -> Deferred[None]:
        """There is nothing to wait for."""
        self.connected = False
        return succeed(None)

    def _echo(self, word: bytes) -> bytes:
        return word

    def _set(self, key: bytes, value: bytes) -> bytes:
        self.data[key] = value
        return b"OK"

    def _get(self, key: bytes) -> bytes | None:
        return self.data.get(key)

    def _del(self, key: bytes) -> int:
        return int(self.data.pop(key, None) is not None)

    def _incr(self, key: bytes) -> int:
        try:
            value = int(self.data.get(key, b"0")) + 1
        except ValueError:
            raise RedisReplyError("ERR value is not an integer") from None
        self.data[key] = b"%d" % value
        return value


def maybe(command: Any, words: list[bytes]) -> Deferred[Any]:
    """Call a command; its error is a failure."""
    try:
        return succeed(command(*words))
    except RedisReplyError:
        return fail()


class HandService(Service):
    """
    A service that starts and stops when the test says so.

    @ivar starting: fires when it has started.
    @ivar stopping: each fires when it has stopped.
    """

    def __init__(self) -> None:
        self.starting: Deferred[None] = Deferred()
        self.stopping: list[Deferred[None]] = []

    def startService(self) -> Any:
        super().startService()
        return self.starting

    def stopService(self) -> Any:
        super().stopService()
        self.stopping.append(Deferred(lambda hurried: hurried.callback(None)))
        return self.stopping[-1]


@implementer(IServiceMaker)
@define
class HandMaker:
    """
    A plugin for twistd that makes such services.

    @ivar made: all of them.
    """

    tapname = "hand"
    description = "Starts and stops when it is told."
    options = Options
    made: list[HandService] = field(factory=list)

    def makeService(self, options: Any) -> HandService:
        """Make one."""
        self.made.append(HandService())
        return self.made[-1]

    def stop_all(self) -> None:
        """Every stop that is under way ends."""
        for service in self.made:
            stopping, service.stopping = service.stopping, []
            for each in stopping:
                if not each.called:
                    each.callback(None)


@implementer(IUsableUnit, IListeningUnit, IHookedUnit, ILoggingUnit)
class RichUnit(MemoryUnit):
    """
    A unit that has everything that a unit may have.

    @ivar reachable: whether others could connect.
    @ivar hooks: the hooks that were called.
    @ivar broken: whether C{reconfigure} fails.
    @ivar log: where it writes.
    """

    def __init__(self, log: str = "") -> None:
        super().__init__()
        self.reachable = False
        self.up = False
        self.hooks: list[str] = []
        self.broken = False
        self.log = log
        self._client = object()

    def client(self) -> object:
        return self._client

    def ready(self) -> None:
        """It is up, and listens unless it was told not to."""
        self.up = True
        self.reachable = "unlisten" not in self.calls[-1:]
        super().ready()

    def stop(self) -> Any:
        self.up = self.reachable = False
        return super().stop()

    def lose(self, error: Exception) -> None:
        self.up = self.reachable = False
        super().lose(error)

    def unlisten(self) -> None:
        self.calls.append("unlisten")
        self.reachable = False

    def run_hook(self, name: str) -> Deferred[None]:
        if not self.up:
            return succeed(None)
        self.hooks.append(name)
        if self.broken and name == "reconfigure":
            return fail(ZeroDivisionError())
        return succeed(None)

    def reopen_logs(self) -> None:
        """The log is opened for each line."""

    def write(self) -> None:
        """Write a line."""
        with open(self.log, "a") as log:
            log.write("a line\n")
