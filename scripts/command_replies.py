"""
What each command answers: the one thing that C{COMMAND DOCS} does not tell.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Reply:
    """
    What a method gives.

    @ivar type: as an annotation.
    @ivar shape: the function of C{sockhost.redis.commands.shapes} that makes
        it, or C{None} for the reply as it is.
    @ivar text: what it is, to end a sentence with.
    """

    type: str
    shape: str | None
    text: str


RAW = Reply("Any", None, "the reply as the server sends it")

REPLIES = {
    "int": Reply("int", None, "a number"),
    "int?": Reply("int | None", None, "a number, or C{None} for nothing"),
    "ints": Reply("list[int]", None, "a list of numbers"),
    "ints?": Reply(
        "list[int | None]", None, "a list of numbers, with C{None} for nothing"
    ),
    "int|ints": Reply(
        "int | list[int] | None", None, "a number, a list of them, or C{None}"
    ),
    "ok": Reply("bool", "done", "C{True}"),
    "ok?": Reply(
        "bool", "done", "C{True}, or C{False} if a condition has held it back"
    ),
    "flag": Reply("bool", "flag", "C{True} or C{False}"),
    "flags": Reply("list[bool]", "flags", "a list of C{True} and C{False}"),
    "number": Reply("float", "number", "a number"),
    "number?": Reply(
        "float | None", "optional_number", "a number, or C{None} for nothing"
    ),
    "numbers?": Reply(
        "list[float | None]",
        "numbers",
        "a list of numbers, with C{None} for nothing",
    ),
    "bytes": Reply("bytes", None, "C{bytes}"),
    "bytes?": Reply("bytes | None", None, "C{bytes}, or C{None} for nothing"),
    "list": Reply("list[bytes]", "items", "a list of C{bytes}"),
    "list?": Reply(
        "list[bytes | None]",
        "items",
        "a list of C{bytes}, with C{None} for nothing",
    ),
    "list|None": Reply(
        "list[bytes] | None", None, "a list of C{bytes}, or C{None} for nothing"
    ),
    "any list": Reply("list[Any]", "items", "a list"),
    "set": Reply("set[bytes]", "members", "a set of C{bytes}"),
    "pair": Reply("tuple[bytes, bytes]", "pair", "a pair of C{bytes}"),
    "pair?": Reply(
        "tuple[bytes, bytes] | None",
        "pair",
        "a key with the value that was taken from it, or C{None}",
    ),
    "two ints": Reply("tuple[int, int]", "counted", "a pair of numbers"),
    "pairs": Reply("list[tuple[bytes, bytes]]", "pairs", "a list of pairs"),
    "map": Reply("dict[bytes, bytes]", "mapping", "a C{dict}"),
    "int map": Reply(
        "dict[bytes, int]", "mapping", "a C{dict} whose values are numbers"
    ),
    "tree": Reply("dict[bytes, Any]", "tree", "a C{dict}, nested as the reply is"),
    "tree|bytes": Reply(
        "Any", "optional_tree", "C{bytes}, a number, or a C{dict} with C{idx}"
    ),
    "trees": Reply("list[dict[bytes, Any]]", "trees", "a list of C{dict}s"),
    "forest": Reply("dict[bytes, dict[bytes, Any]]", "forest", "a C{dict} of C{dict}s"),
    "scored": Reply(
        "list[tuple[bytes, float]]", "scored", "a list of members with their scores"
    ),
    "scored one": Reply(
        "tuple[bytes, float] | None",
        "scored_one",
        "a member with its score, or C{None}",
    ),
    "ranked": Reply(
        "tuple[int, float] | None", "ranked", "a rank with a score, or C{None}"
    ),
    "popped": Reply(
        "tuple[bytes, list[bytes]] | None",
        "popped",
        "a key with the elements that were taken from it, or C{None}",
    ),
    "popped scored": Reply(
        "tuple[bytes, list[tuple[bytes, float]]] | None",
        "popped_scored",
        "a key with the members that were taken from it and their scores, or C{None}",
    ),
    "popped score": Reply(
        "tuple[bytes, bytes, float] | None",
        "popped_score",
        "a key, the member that was taken from it and its score, or C{None}",
    ),
    "page": Reply(
        "tuple[int, list[bytes]]", "page", "the next cursor, and some elements"
    ),
    "token page": Reply(
        "tuple[bytes, list[bytes]]",
        "token_page",
        "the next cursor, and some elements",
    ),
    "page pairs": Reply(
        "tuple[int, list[tuple[bytes, bytes]]]",
        "page_pairs",
        "the next cursor, and some fields with their values",
    ),
    "page scored": Reply(
        "tuple[int, list[tuple[bytes, float]]]",
        "page_scored",
        "the next cursor, and some members with their scores",
    ),
    "positions": Reply(
        "list[tuple[float, float] | None]",
        "positions",
        "a list of longitudes with latitudes, with C{None} for nothing",
    ),
    "found": Reply(
        "list[Any]",
        "found",
        "a list of members; or of tuples of each member with its distance, its "
        "hash and its longitude and latitude, those that were asked for",
    ),
    "found|int": Reply(
        "Any",
        "found",
        "a list as C{GEOSEARCH} gives it, or how many were stored",
    ),
    "infos": Reply("list[Any]", "infos", "a list with a list for each command"),
    "entries": Reply("list[StreamEntry]", "entries", "a list of entries"),
    "streams": Reply(
        "dict[bytes, list[StreamEntry]]",
        "streams",
        "the keys of the streams that have entries, each with a list of them",
    ),
    "claimed": Reply("Claimed", "claimed", "where to go on, and entries"),
    "claimed ids": Reply("Claimed", "claimed_ids", "where to go on, and ids"),
    "raw": RAW,
}

# reply: commands.  "name/param=other" is a command that answers other if that
# parameter is given.
_TABLE = """
int: append bitcount bitop bitpos dbsize decr decrby del exists expiretime
    geoadd geosearchstore hdel hincrby hlen hset hstrlen incr incrby lastsave
    linsert llen lpush lpushx lrem pexpiretime pfcount pttl publish rpush rpushx
    sadd scard sdiffstore setbit setrange sintercard sinterstore spublish srem
    strlen sunionstore touch ttl unlink wait xack xdel xlen xtrim
    xgroup|delconsumer zcard zcount zdiffstore zintercard zinterstore
    zlexcount zrem zremrangebylex zremrangebyrank zremrangebyscore zrangestore
    zunionstore getbit object|freq object|idletime object|refcount
    client|id client|kill client|unblock client|getredir cluster|countkeysinslot
    cluster|keyslot cluster|count-failure-reports command|count commandlog|len
    slowlog|len latency|reset pubsub|numpat acl|deluser delifeq
int?: memory|usage
ints: bitfield_ro hexpire hexpireat hexpiretime hpexpire hpexpireat
    hpexpiretime hpttl httl hpersist
two ints: waitaof time
ints?: bitfield
ok?: set/get=bytes?
ok: mset hmset rename restore lset ltrim psetex setex swapdb flushall
    flushdb ping/message=bytes select config|set config|resetstat
    config|rewrite client|setname client|setinfo client|pause client|unpause
    client|no-evict client|no-touch client|capa client|import-source
    client|tracking client|caching script|flush script|kill
    script|debug function|delete function|flush function|kill function|restore
    pfmerge xgroup|create xgroup|setid xsetid acl|setuser acl|load acl|save
    slowlog|reset commandlog|reset memory|purge cluster|addslots
    cluster|addslotsrange cluster|delslots cluster|delslotsrange
    cluster|failover cluster|flushslots cluster|flushslot cluster|forget
    cluster|meet cluster|replicate cluster|reset cluster|saveconfig
    cluster|set-config-epoch cluster|setslot cluster|migrateslots
    cluster|cancelslotmigrations migrate replicaof slaveof failover save
    module|load module|loadex module|unload auth watch unwatch asking readonly
    readwrite reset
flag: copy expire expireat hexists hsetnx hsetex move msetnx msetex persist pexpire
    pexpireat pfadd renamenx setnx sismember smove xgroup|createconsumer
    xgroup|destroy
flags: smismember script|exists
number: incrbyfloat hincrbyfloat zincrby
number?: geodist zscore
numbers?: zmscore
bytes: echo getrange substr type info lolwut client|list client|info
    cluster|bumpepoch cluster|info cluster|nodes cluster|myid cluster|myshardid
    function|dump function|load script|load script|show acl|genpass acl|whoami
    acl|dryrun memory|doctor memory|malloc-stats latency|doctor latency|graph
    bgsave bgrewriteaof
bytes?: get getdel getset getex hget lindex lmove rpoplpush brpoplpush blmove
    randomkey dump object|encoding client|getname xadd
    lpop/count=list|None rpop/count=list|None spop/count=set
    srandmember/count=list
    hrandfield/count=list/withvalues=pairs zrandmember/count=list/withscores=scored
list: hkeys hvals keys lrange zrangebylex zrevrangebylex zrange/withscores=scored
    zrangebyscore/withscores=scored zrevrange/withscores=scored
    zrevrangebyscore/withscores=scored zdiff/withscores=scored
    zinter/withscores=scored zunion/withscores=scored
    acl|cat acl|list acl|users cluster|getkeysinslot cluster|replicas
    cluster|slaves command|getkeys command|list pubsub|channels
    pubsub|shardchannels acl|help client|help cluster|help command|help
    commandlog|help config|help function|help latency|help memory|help
    module|help object|help pubsub|help script|help slowlog|help xgroup|help
    xinfo|help
list?: hmget mget geohash sort sort_ro hgetdel hgetex
set: sdiff sinter smembers sunion
map: hgetall config|get
int map: pubsub|numsub pubsub|shardnumsub
pair?: blpop brpop
scored one: zpopmax/count=scored zpopmin/count=scored
popped: lmpop blmpop
popped scored: zmpop bzmpop
popped score: bzpopmin bzpopmax
int?: zrank/withscore=ranked zrevrank/withscore=ranked lpos/count=ints
page: scan sscan
token page: clusterscan
page pairs: hscan/novalues=page
page scored: zscan/noscores=page
positions: geopos
found: geosearch georadius_ro georadiusbymember_ro
found|int: georadius georadiusbymember
entries: xrange xrevrange xclaim/justid=list
streams: xread xreadgroup
claimed: xautoclaim/justid=claimed-ids
tree: xinfo|stream memory|stats function|stats client|trackinginfo acl|getuser hello
trees: xinfo|groups xinfo|consumers function|list cluster|links cluster|shards
    module|list acl|log
forest: command|docs latency|histogram
tree|bytes: lcs
any list: role commandlog|get slowlog|get
    command|getkeysandflags
    latency|history latency|latest xpending cluster|slots cluster|slot-stats
    cluster|getslotmigrations
int: zadd/incr=number?
infos: command|info
raw: eval evalsha eval_ro evalsha_ro fcall fcall_ro shutdown
"""


def _lines() -> list[str]:
    return _TABLE.strip().replace("\n    ", " ").splitlines()


@frozen
class Answer:
    """
    What a command answers.

    @ivar usual: without any of its options.
    @ivar switches: the parameters that change it, each with what it answers
        with it; the last that is given counts.
    """

    usual: Reply
    switches: tuple[tuple[str, Reply], ...] = ()


def _answers() -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    for line in _lines():
        name, _, commands = line.partition(": ")
        for word in commands.split():
            command, *switches = word.split("/")
            answers[command] = Answer(REPLIES[name], tuple(map(_switch, switches)))
    return answers


def _switch(text: str) -> tuple[str, Reply]:
    parameter, _, name = text.partition("=")
    return parameter, REPLIES[name.replace("-", " ")]


ANSWERS = _answers()
