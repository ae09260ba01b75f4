"""
The typed commands against a real server, in both versions of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from scripts.generate_commands import ROOT, ask_server, files_of
from sockhost.interfaces import RedisReplyError
from sockhost.redis.commands import Claimed, StreamEntry, TypedRedis
from sockhost.redis.connection import RedisConnection
from tests.functional.servers import ValkeyServer

Call = Callable[[TypedRedis], Deferred[Any]]

LIBRARY = """#!lua name=lib
server.register_function('f', function(keys, args) return args end)
"""

# Each call with what it gives, in this order on an empty database.
CALLS: list[tuple[Call, Any]] = [
    # strings
    (lambda r: r.set("s", "1"), True),
    (lambda r: r.set("s", "2", nx=True), False),
    (lambda r: r.set("s", "10", get=True, keepttl=True), b"1"),
    (lambda r: r.set("s", 11, ex=100, ifeq="10"), True),
    (lambda r: r.get("s"), b"11"),
    (lambda r: r.get("none"), None),
    (lambda r: r.getex("s", persist=True), b"11"),
    (lambda r: r.incr("s"), 12),
    (lambda r: r.incrbyfloat("s", 0.5), 12.5),
    (lambda r: r.append("t", "hello"), 5),
    (lambda r: r.getrange("t", 1, 2), b"el"),
    (lambda r: r.mset({"k1": "a", b"k2": "b"}), True),
    (lambda r: r.mset([("k3", 3)]), True),
    (lambda r: r.msetnx({"k1": 0}), False),
    (lambda r: r.msetex({"k4": 4, "k5": 5}, nx=True, ex=10), True),
    (lambda r: r.mget("k1", "none", "k3"), [b"a", None, b"3"]),
    (lambda r: r.delete("k3", "k4", "none"), 2),
    (lambda r: r.setnx("k1", "x"), False),
    (lambda r: r.strlen("t"), 5),
    (lambda r: r.lcs("t", "t", len=True), 5),
    (
        lambda r: r.lcs("t", "t", idx=True, withmatchlen=True),
        {b"matches": [[[0, 4], [0, 4], 5]], b"len": 5},
    ),
    (lambda r: r.delifeq("k5", "no"), 0),
    # bits
    (lambda r: r.setbit("bits", 7, 1), 0),
    (lambda r: r.getbit("bits", 7), 1),
    (lambda r: r.bitcount("bits", 0, -1, unit="BIT"), 1),
    (lambda r: r.bitpos("bits", 1), 7),
    (lambda r: r.bitop("NOT", "flip", "bits"), 1),
    (
        lambda r: r.bitfield(
            "f", ("OVERFLOW", "FAIL"), ("INCRBY", "u2", 0, 9), ("GET", "u4", 0)
        ),
        [None, 0],
    ),
    (lambda r: r.bitfield_ro("f", get=[("u4", 0), ("u4", 4)]), [0, 0]),
    # keys
    (lambda r: r.exists("s", "s", "none"), 2),
    (lambda r: r.expire("s", 100, nx=True), True),
    (lambda r: r.expire("s", 50, gt=True), False),
    (lambda r: r.ttl("s"), 100),
    (lambda r: r.persist("s"), True),
    (lambda r: r.pttl("s"), -1),
    (lambda r: r.copy("s", "s2", replace=True), True),
    (lambda r: r.rename("s2", "s3"), True),
    (lambda r: r.renamenx("s3", "s"), False),
    (lambda r: r.type("s"), b"string"),
    (lambda r: r.object_encoding("none"), None),
    (lambda r: r.touch("s", "none"), 1),
    (lambda r: r.keys("k1*"), [b"k1"]),
    (lambda r: r.scan(0, match="s3", count=1000), (0, [b"s3"])),
    (lambda r: r.unlink("k1", "k2", "k5"), 3),
    # hashes
    (lambda r: r.hset("h", {"a": 1, "b": 2}), 2),
    (lambda r: r.hget("h", "a"), b"1"),
    (lambda r: r.hgetall("h"), {b"a": b"1", b"b": b"2"}),
    (lambda r: r.hgetall("none"), {}),
    (lambda r: r.hmget("h", "b", "none"), [b"2", None]),
    (lambda r: r.hincrbyfloat("h", "a", 0.5), 1.5),
    (lambda r: r.hexists("h", "none"), False),
    (lambda r: r.hsetnx("h", "a", 0), False),
    (lambda r: r.hrandfield("none"), None),
    (lambda r: r.hrandfield("h", 0), []),
    (lambda r: r.hdel("h", "a"), 1),
    (lambda r: r.hrandfield("h", 5, withvalues=True), [(b"b", b"2")]),
    (lambda r: r.hscan("h", 0), (0, [(b"b", b"2")])),
    (lambda r: r.hscan("h", 0, novalues=True), (0, [b"b"])),
    (lambda r: r.hexpire("h", 100, "b", "none", nx=True), [1, -2]),
    (lambda r: r.httl("h", "b"), [100]),
    (lambda r: r.hpersist("h", "b"), [1]),
    (lambda r: r.hsetex("h", {"c": 3}, ex=9, fnx=True), True),
    (lambda r: r.hgetex("h", "c", "none", px=9000), [b"3", None]),
    (lambda r: r.hgetdel("h", "c"), [b"3"]),
    # lists
    (lambda r: r.rpush("l", "a", "b", "c", "b"), 4),
    (lambda r: r.lrange("l", 0, -1), [b"a", b"b", b"c", b"b"]),
    (lambda r: r.lpos("l", "b"), 1),
    (lambda r: r.lpos("l", "none"), None),
    (lambda r: r.lpos("l", "b", count=0), [1, 3]),
    (lambda r: r.lpop("l"), b"a"),
    (lambda r: r.lpop("none"), None),
    (lambda r: r.lpop("l", 2), [b"b", b"c"]),
    (lambda r: r.lpop("none", 2), None),
    (lambda r: r.linsert("l", "BEFORE", "b", "x"), 2),
    (lambda r: r.lmove("l", "l2", "LEFT", "RIGHT"), b"x"),
    (lambda r: r.lmpop("none", "l2", where="LEFT", count=5), (b"l2", [b"x"])),
    (lambda r: r.lmpop("none", where="LEFT"), None),
    (lambda r: r.blpop("none", "l", timeout=1), (b"l", b"b")),
    (lambda r: r.blpop("none", timeout=0.01), None),
    (lambda r: r.blmpop(0.01, "none", where="RIGHT"), None),
    (lambda r: r.sort("none", limit=(0, 5), get=["#", "x*"], order="DESC"), []),
    # sets
    (lambda r: r.sadd("u", "a", "b"), 2),
    (lambda r: r.smembers("u"), {b"a", b"b"}),
    (lambda r: r.sismember("u", "a"), True),
    (lambda r: r.smismember("u", "a", "none"), [True, False]),
    (lambda r: r.sadd("v", "b", "c"), 2),
    (lambda r: r.sinter("u", "v"), {b"b"}),
    (lambda r: r.sdiff("u", "v"), {b"a"}),
    (lambda r: r.sunion("u", "v"), {b"a", b"b", b"c"}),
    (lambda r: r.sintercard("u", "v", limit=1), 1),
    (lambda r: r.smove("u", "v", "a"), True),
    (lambda r: r.spop("u"), b"b"),
    (lambda r: r.spop("v", 3), {b"a", b"b", b"c"}),
    (lambda r: r.srandmember("none"), None),
    (lambda r: r.srandmember("none", 2), []),
    # sorted sets
    (lambda r: r.zadd("z", {"a": 1, "b": 2.5}), 2),
    (lambda r: r.zadd("z", {"a": 3}, nx=True, incr=True), None),
    (lambda r: r.zadd("z", [("c", 4)], incr=True), 4.0),
    (lambda r: r.zrange("z", 0, -1), [b"a", b"b", b"c"]),
    (
        lambda r: r.zrange("z", 0, 1, withscores=True),
        [(b"a", 1.0), (b"b", 2.5)],
    ),
    (
        lambda r: r.zrange("z", "(1", "+inf", byscore=True, limit=(1, 1)),
        [b"c"],
    ),
    (lambda r: r.zrangebyscore("z", "-inf", 1, withscores=True), [(b"a", 1.0)]),
    (lambda r: r.zscore("z", "b"), 2.5),
    (lambda r: r.zscore("z", "none"), None),
    (lambda r: r.zmscore("z", "b", "none"), [2.5, None]),
    (lambda r: r.zrank("z", "b"), 1),
    (lambda r: r.zrank("z", "none"), None),
    (lambda r: r.zrank("z", "b", withscore=True), (1, 2.5)),
    (lambda r: r.zrank("z", "none", withscore=True), None),
    (lambda r: r.zincrby("z", 1, "b"), 3.5),
    (lambda r: r.zinter("z", "z", weights=[1, 2], aggregate="MAX"), [b"a", b"b", b"c"]),
    (
        lambda r: r.zunion("z", withscores=True),
        [(b"a", 1.0), (b"b", 3.5), (b"c", 4.0)],
    ),
    (lambda r: r.zdiff("z", "z"), []),
    (
        lambda r: r.zscan("z", 0, match="a"),
        (0, [(b"a", 1.0)]),
    ),
    (lambda r: r.zscan("z", 0, match="a", noscores=True), (0, [b"a"])),
    (lambda r: r.zrandmember("none", 2, withscores=True), []),
    (lambda r: r.zpopmin("z"), (b"a", 1.0)),
    (lambda r: r.zpopmin("none"), None),
    (lambda r: r.zpopmax("z", 5), [(b"c", 4.0), (b"b", 3.5)]),
    (lambda r: r.zadd("z", {"a": 1}), 1),
    (lambda r: r.bzpopmin("none", "z", timeout=1), (b"z", b"a", 1.0)),
    (lambda r: r.bzpopmax("none", timeout=0.01), None),
    (lambda r: r.zadd("z", {"a": 1}), 1),
    (lambda r: r.zmpop("z", where="MIN", count=2), (b"z", [(b"a", 1.0)])),
    (lambda r: r.zmpop("none", where="MIN"), None),
    # places
    (lambda r: r.geoadd("g", (13.361389, 38.115556, "Palermo")), 1),
    (lambda r: r.geodist("g", "Palermo", "none"), None),
    (lambda r: r.geodist("g", "Palermo", "Palermo", unit="KM"), 0.0),
    (lambda r: r.geohash("g", "Palermo", "none"), [b"sqc8b49rny0", None]),
    (
        lambda r: r.geosearch("g", fromlonlat=(13.4, 38.1), byradius=(50, "KM")),
        [b"Palermo"],
    ),
    (
        lambda r: r.geosearch(
            "g",
            frommember="Palermo",
            bybox=(1, 1, "M"),
            withdist=True,
            withhash=True,
            withcoord=True,
            count=1,
            any=True,
        ),
        [
            (
                b"Palermo",
                0.0,
                3479099956230698,
                (13.361389338970184, 38.1155563954963),
            )
        ],
    ),
    (
        lambda r: r.geosearch(
            "g",
            bypolygon=[(13, 38), (13, 39), (14, 39), (14, 38)],
        ),
        [b"Palermo"],
    ),
    (
        lambda r: r.geopos("g", "Palermo", "none"),
        [(13.361389338970184, 38.1155563954963), None],
    ),
    # streams
    (lambda r: r.xadd("x", {"f": "v"}, "1-1"), b"1-1"),
    (lambda r: r.xadd("x", [("f", "v"), ("f", "w")], id="2-1"), b"2-1"),
    (lambda r: r.xadd("none", {"f": 1}, nomkstream=True), None),
    (
        lambda r: r.xrange("x", "-", "+", count=5),
        [
            StreamEntry(b"1-1", ((b"f", b"v"),)),
            StreamEntry(b"2-1", ((b"f", b"v"), (b"f", b"w"))),
        ],
    ),
    (
        lambda r: r.xread({"x": "1-1"}, count=1),
        {b"x": [StreamEntry(b"2-1", ((b"f", b"v"), (b"f", b"w")))]},
    ),
    (lambda r: r.xread({"x": "$"}, block=1), {}),
    (lambda r: r.xgroup_create("x", "g", "0", mkstream=True), True),
    (
        lambda r: r.xreadgroup("g", "me", {"x": ">"}, count=1),
        {b"x": [StreamEntry(b"1-1", ((b"f", b"v"),))]},
    ),
    (
        lambda r: r.xautoclaim("x", "g", "you", 0, "0-0"),
        Claimed(b"0-0", [StreamEntry(b"1-1", ((b"f", b"v"),))], []),
    ),
    (
        lambda r: r.xautoclaim("x", "g", "you", 0, "0-0", justid=True),
        Claimed(b"0-0", [b"1-1"], []),
    ),
    (lambda r: r.xclaim("x", "g", "me", 0, "1-1", justid=True), [b"1-1"]),
    (lambda r: r.xpending("x", "g"), [1, b"1-1", b"1-1", [[b"me", b"1"]]]),
    (lambda r: r.xack("x", "g", "1-1", "9-9"), 1),
    (lambda r: r.xtrim("x", "MAXLEN", 1), 1),
    (lambda r: r.xgroup_createconsumer("x", "g", "new"), True),
    (lambda r: r.xgroup_destroy("x", "none"), False),
    # scripts and functions
    (lambda r: r.eval("return {KEYS[1], ARGV[1]}", ["k"], ["v"]), [b"k", b"v"]),
    (lambda r: r.eval("return 1"), 1),
    (lambda r: r.script_exists("0" * 40), [False]),
    (
        lambda r: r.function_load(
            LIBRARY,
            replace=True,
        ),
        b"lib",
    ),
    (lambda r: r.fcall("f", (), ["x"]), [b"x"]),
    (
        lambda r: r.function_list(libraryname="lib"),
        [
            {
                b"library_name": b"lib",
                b"engine": b"LUA",
                b"functions": [{b"name": b"f", b"description": None, b"flags": []}],
            }
        ],
    ),
    (lambda r: r.function_delete("lib"), True),
    # channels, the server
    (lambda r: r.publish("nobody", "x"), 0),
    (lambda r: r.pubsub_numsub("a", "b"), {b"a": 0, b"b": 0}),
    (
        lambda r: r.config_get("maxmemory", "appendonly"),
        {b"maxmemory": b"0", b"appendonly": b"no"},
    ),
    (lambda r: r.config_set({"maxmemory": 0}), True),
    (lambda r: r.ping(), True),
    (lambda r: r.ping("x"), b"x"),
    (lambda r: r.pfadd("hll", "a", "b"), True),
    (lambda r: r.pfcount("hll"), 2),
    (lambda r: r.command_list(pattern="getde*"), [b"getdel"]),
    (lambda r: r.memory_usage("none"), None),
    (lambda r: r.client_kill(id=[10**9], skipme="YES"), 0),
]

# What differs from one call to the next, but not in how it is made.
ALIKE: list[Call] = [
    lambda r: r.xinfo_stream("x"),
    lambda r: r.xinfo_stream("x", full=True, count=1),
    lambda r: r.xinfo_groups("x"),
    lambda r: r.xinfo_consumers("x", "g"),
    lambda r: r.time(),
    lambda r: r.memory_stats(),
    lambda r: r.function_stats(),
    lambda r: r.client_trackinginfo(),
    lambda r: r.client_list(),
    lambda r: r.info("server"),
    lambda r: r.acl_getuser("default"),
    lambda r: r.acl_log(count=5),
    lambda r: r.command_docs("set", "client"),
    lambda r: r.command_info("get"),
    lambda r: r.latency_histogram("set"),
    lambda r: r.slowlog_get(3),
    lambda r: r.role(),
    lambda r: r.lolwut(),
    lambda r: r.module_list(),
]


def kind_of(value: Any) -> Any:
    """How a value is made, without what is in it."""
    if isinstance(value, dict):
        return {key: kind_of(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [kind_of(each) for each in value]
    return type(value)


class GeneratedTests(TestCase):
    """What is generated."""

    timeout = 100

    def test_up_to_date(self) -> None:
        """The methods are what the script makes of the real server's commands."""
        for path, text in files_of(*ask_server()).items():
            self.assertEqual(path.read_text(), text, path.relative_to(ROOT))


class ShapesTests(TestCase):
    """Typed commands give the same from both versions of the protocol."""

    timeout = 100

    def setUp(self) -> None:
        self.server = ValkeyServer.started(self)

    async def connect(self, protocol: int) -> TypedRedis:
        """Connect without the client, which always asks for RESP3."""
        endpoint = UNIXClientEndpoint(reactor, self.server.path)
        clock: Any = IReactorTime(reactor)
        factory: Any = Factory.forProtocol(lambda: RedisConnection(clock))
        connection: Any = await endpoint.connect(factory)
        self.addCleanup(connection.close)
        await connection.execute("HELLO", protocol)
        return TypedRedis(connection)

    async def _values(self, protocol: int) -> None:
        redis = await self.connect(protocol)
        for place, (call, expected) in enumerate(CALLS):
            try:
                value = await call(redis)
            except RedisReplyError as error:
                raise self.failureException(f"call {place}: {error}") from error
            self.assertEqual(value, expected, f"call {place}")
            self.assertEqual(kind_of(value), kind_of(expected), f"call {place}")

    async def test_resp2(self) -> None:
        """Each call gives what it should in RESP2."""
        await self._values(2)

    async def test_resp3(self) -> None:
        """Each call gives what it should in RESP3."""
        await self._values(3)

    async def test_alike(self) -> None:
        """What servers tell of themselves is made in the same way."""
        old, new = await self.connect(2), await self.connect(3)
        await new.xadd("x", {"a": 1}, "1-1")
        await new.xgroup_create("x", "g", "0")
        await new.xreadgroup("g", "me", {"x": ">"})
        for place, call in enumerate(ALIKE):
            first, second = kind_of(await call(old)), kind_of(await call(new))
            self.assertEqual(first, second, f"call {place}")

    async def test_error(self) -> None:
        """An error reply fails the call, whatever its shape."""
        redis = await self.connect(3)
        await redis.set("s", "text")
        with self.assertRaises(RedisReplyError):
            await redis.hgetall("s")
