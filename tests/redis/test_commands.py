"""
The typed commands: what they send.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from sockhost.interfaces import IRedis, RedisReplyError
from sockhost.redis.commands import Commands, SessionCommands, TypedRedis
from sockhost.redis.names import NOT_SHARED
from sockhost.redis.resp import encode_command


@implementer(IRedis)
class Recorder:
    """
    Keeps what is sent.

    @ivar reply: what everything is answered with.
    """

    connected = True

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.options: list[dict[str, Any]] = []
        self.reply: Any = None

    def execute(self, *args: Any, **options: Any) -> Deferred[Any]:
        """Keep a command."""
        self.sent.append(args)
        self.options.append(options)
        if isinstance(self.reply, Exception):
            return fail(self.reply)
        return succeed(self.reply)

    def when_connected(self) -> Deferred[None]:
        """Always."""
        return succeed(None)

    def close(self, timeout: float = 5.0) -> Deferred[None]:
        """Nothing to do."""
        return succeed(None)


def methods() -> Iterator[tuple[str, Any]]:
    """All generated methods."""
    for cls in (Commands, SessionCommands):
        for name, value in inspect.getmembers(cls, inspect.isfunction):
            if not name.startswith("_") and name != "execute":
                yield name, value


class Session(TypedRedis, SessionCommands):
    """All commands that there are."""


def _sample(parameter: inspect.Parameter) -> Any:
    annotation = str(parameter.annotation)
    if "Pairs" in annotation or "Mapping" in annotation:
        return {"a": 1}
    if "bool" in annotation:
        return True
    if "tuple[" in annotation and "Iterable" not in annotation:
        return (1, 2)
    if "Iterable" in annotation:
        return [(1, 2)] if "tuple" in annotation else [1, 2]
    return ("x",) if "Sequence" in annotation else 1


class SentTests(SynchronousTestCase):
    """What typed commands send."""

    def setUp(self) -> None:
        self.recorder = Recorder()
        self.redis = Session(self.recorder)

    def call(self, method: Any, every: bool) -> tuple[Any, ...]:
        """Call a method, with what it needs or with all that it takes."""
        given: list[Any] = []
        named: dict[str, Any] = {}
        for each in list(inspect.signature(method).parameters.values())[1:]:
            if each.default is not each.empty and not every:
                continue
            if each.kind is each.KEYWORD_ONLY:
                named[each.name] = _sample(each)
            else:
                given.append(_sample(each))
        method(self.redis, *given, **named).addErrback(lambda _: None)
        return self.recorder.sent.pop()

    def test_every_method(self) -> None:
        """Every method sends a command of its name, which can be encoded."""
        for name, method in methods():
            for every in (False, True):
                sent = self.call(method, every)
                words = "_".join(str(word).lower() for word in sent)
                wanted = {"delete": "del"}.get(name, name)
                self.assertTrue(
                    words.replace("-", "_").startswith(wanted), f"{name}: {words}"
                )
                encode_command(sent)

    def test_every_option(self) -> None:
        """Every option that is given is sent."""
        for name, method in methods():
            less, more = self.call(method, every=False), self.call(method, every=True)
            options = [
                each
                for each in inspect.signature(method).parameters.values()
                if each.default not in (each.empty, "*", ())
            ]
            self.assertGreaterEqual(len(more) - len(less), len(options), name)

    def test_shared(self) -> None:
        """What cannot be shared is not among what the clients have."""
        shared = {name for name, _ in inspect.getmembers(Commands, inspect.isfunction)}
        for name in NOT_SHARED:
            self.assertNotIn(name.lower().replace(" ", "_"), shared)

    def test_some(self) -> None:
        """Options stand where the server looks for them."""
        self.redis.set("k", b"v", nx=True, px=5)
        self.redis.zadd("z", {"m": 1.5}, gt=True, ch=True)
        self.redis.hexpire("h", 9, "a", "b", lt=True)
        self.redis.eval("return 1", ["k"], [1, 2])
        self.redis.xadd("s", {"f": 1}, strategy="MAXLEN", operator="~", threshold=9)
        self.redis.xreadgroup("g", "c", {"s": ">"}, count=1)
        self.redis.sort("l", limit=(0, 9), get=["#", "w_*"], alpha=True)
        self.redis.command_list(aclcat="read")
        self.redis.client_setname("me")
        self.assertEqual(
            self.recorder.sent,
            [
                ("SET", "k", b"v", "NX", "PX", 5),
                ("ZADD", "z", "GT", "CH", 1.5, "m"),
                ("HEXPIRE", "h", 9, "LT", "FIELDS", 2, "a", "b"),
                ("EVAL", "return 1", 1, "k", 1, 2),
                ("XADD", "s", "MAXLEN", "~", 9, "*", "f", 1),
                ("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", "s", ">"),
                ("SORT", "l", "LIMIT", 0, 9, "GET", "#", "GET", "w_*", "ALPHA"),
                ("COMMAND", "LIST", "FILTERBY", "ACLCAT", "read"),
                ("CLIENT", "SETNAME", "me"),
            ],
        )

    def test_iterators(self) -> None:
        """What can be gone through only once is enough."""
        self.redis.hset("h", [("a", 1)])
        self.redis.eval("", iter("ab"), iter("c"))
        self.redis.sadd("s", *iter("ab"))
        self.assertEqual(
            self.recorder.sent,
            [
                ("HSET", "h", "a", 1),
                ("EVAL", "", 2, "a", "b", "c"),
                ("SADD", "s", "a", "b"),
            ],
        )


class TypedTests(SynchronousTestCase):
    """The commands over any client."""

    def setUp(self) -> None:
        self.recorder = Recorder()

    def test_options(self) -> None:
        """Options of the call are given once for all."""
        TypedRedis(self.recorder, timeout=3.0).ping()
        self.assertEqual(self.recorder.options, [{"timeout": 3.0}])

    def test_error(self) -> None:
        """An error is not shaped."""
        self.recorder.reply = RedisReplyError("ERR no")
        failed = TypedRedis(self.recorder).hgetall("h")
        self.failureResultOf(failed, RedisReplyError)

    def test_shaped(self) -> None:
        """A reply is shaped, also one that is text already."""
        self.recorder.reply = ["a", "1", "b", "2"]
        shaped = TypedRedis(self.recorder).zrange("z", 0, 1, withscores=True)
        self.assertEqual(self.successResultOf(shaped), [("a", 1.0), ("b", 2.0)])
