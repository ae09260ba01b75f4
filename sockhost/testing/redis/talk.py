# -*- test-case-name: tests.testing.test_redis_table -*-
"""
Commands on connections, channels, transactions and scripts.
"""

from __future__ import annotations

from typing import Any

from sockhost.interfaces import RedisReplyError
from sockhost.redis.resp import Push
from sockhost.testing.redis.session import NO_REPLY
from sockhost.testing.redis.table import (
    OK,
    Call,
    Status,
    command,
    integer,
    options,
    pattern,
    syntax_error,
)

VERSION = b"7.2.0"


@command("PING", 0, 1)
def _ping(call: Call) -> Any:
    if call.session.protocol == 2 and call.session.listens:
        return [b"pong", call.args[0] if call.args else b""]
    return call.args[0] if call.args else Status(b"PONG")


@command("ECHO", 1)
def _echo(call: Call) -> bytes:
    return call.key


@command("TIME")
def _time(call: Call) -> list[bytes]:
    seconds = int(call.now)
    return [b"%d" % seconds, b"%d" % int((call.now - seconds) * 1_000_000)]


@command("INFO", 0, None)
def _info(call: Call) -> bytes:
    return b"# Server\r\nredis_version:%b\r\n" % VERSION


@command("SELECT", 1)
def _select(call: Call) -> Any:
    number = integer(call.key)
    if not 0 <= number < 16:
        raise RedisReplyError("ERR DB index is out of range")
    call.session.db = number
    return OK


@command("HELLO", 0, None)
def _hello(call: Call) -> Any:
    if call.args:
        if call.key not in (b"2", b"3"):
            raise RedisReplyError("NOPROTO unsupported protocol version")
        given = options(call.args[1:], AUTH=2, SETNAME=1)
        if "AUTH" in given:
            _authenticate(call, *given["AUTH"])
    if not call.session.user:
        raise RedisReplyError(
            "NOAUTH HELLO must be called with the client authenticated"
        )
    if call.args:
        call.session.protocol = int(call.key)
        call.session.name = given.get("SETNAME", [call.session.name])[0]
    return {
        b"server": b"redis",
        b"version": VERSION,
        b"proto": call.session.protocol,
        b"id": call.session.id,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }


@command("AUTH", 1, 2)
def _auth(call: Call) -> Any:
    _authenticate(call, b"default", call.args[-1])
    return OK


def _authenticate(call: Call, user: bytes, password: bytes) -> None:
    wanted = call.server.password
    if wanted is not None and password != wanted.encode():
        raise RedisReplyError("WRONGPASS invalid username-password pair")
    call.session.user = True


@command("CLIENT", 1, None)
def _client(call: Call) -> Any:
    part = call.key.upper()
    if part == b"SETNAME" and len(call.args) == 2:
        call.session.name = call.args[1]
        return OK
    if part == b"GETNAME":
        return call.session.name
    if part == b"ID":
        return call.session.id
    if part in (b"SETINFO", b"NO-EVICT", b"NO-TOUCH"):
        return OK
    raise syntax_error()


@command("QUIT")
def _quit(call: Call) -> Any:
    call.server.clock.callLater(0, call.session.hang_up)
    return OK


@command("RESET")
def _reset(call: Call) -> Any:
    call.session.reset()
    return Status(b"RESET")


# -- channels ---------------------------------------------------------------


@command("SUBSCRIBE PSUBSCRIBE SSUBSCRIBE", 1, None)
def _subscribe(call: Call) -> Any:
    kind = call.name.removesuffix("SUBSCRIBE").lower()
    for name in call.args:
        call.session.subscribed[kind][name] = None
        _acknowledge(call, name, kind)
    return NO_REPLY


@command("UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE", 0, None)
def _unsubscribe(call: Call) -> Any:
    kind = call.name.removesuffix("UNSUBSCRIBE").lower()
    held = call.session.subscribed[kind]
    names: list[bytes | None] = [*(call.args or held)]
    for name in names or [None]:
        if name is not None:
            held.pop(name, None)
        _acknowledge(call, name, kind)
    return NO_REPLY


def _acknowledge(call: Call, name: bytes | None, kind: str) -> None:
    held = call.session.subscribed
    count = len(held["s"]) if kind == "s" else len(held[""]) + len(held["p"])
    call.session.push(Push([call.name.lower().encode(), name, count]))


@command("PUBLISH SPUBLISH", 2)
def _publish(call: Call) -> int:
    channel, message = call.args
    shard = call.name == "SPUBLISH"
    told = 0
    for session in call.server.sessions:
        held = session.subscribed
        if channel in held["s" if shard else ""]:
            session.push(Push([b"smessage" if shard else b"message", channel, message]))
            told += 1
        for name in () if shard else held["p"]:
            if pattern(name)(channel):
                session.push(Push([b"pmessage", name, channel, message]))
                told += 1
    return told


@command("PUBSUB", 1, None)
def _pubsub(call: Call) -> Any:
    part, *names = call.args
    sessions = call.server.sessions
    kind = "s" if part.upper().startswith(b"SHARD") else ""
    if part.upper().endswith(b"NUMSUB"):
        counts = [
            (name, sum(name in each.subscribed[kind] for each in sessions))
            for name in names
        ]
        return [each for pair in counts for each in pair]
    if part.upper().endswith(b"CHANNELS"):
        matches = pattern(names[0] if names else b"*")
        found = {name for each in sessions for name in each.subscribed[kind]}
        return sorted(filter(matches, found))
    if part.upper() == b"NUMPAT":
        return len({name for each in sessions for name in each.subscribed["p"]})
    raise syntax_error()


# -- replicas ---------------------------------------------------------------


@command("WAIT", 2)
def _wait(call: Call) -> Any:
    # There are none.
    return 0


# -- transactions -----------------------------------------------------------


@command("MULTI")
def _multi(call: Call) -> Any:
    return call.session.multi()


@command("EXEC")
def _exec(call: Call) -> Any:
    return call.session.exec()


@command("DISCARD")
def _discard(call: Call) -> Any:
    if not call.session.in_transaction:
        raise RedisReplyError("ERR DISCARD without MULTI")
    call.session.discard()
    return OK


@command("WATCH", 1, None)
def _watch(call: Call) -> Any:
    if call.session.in_transaction:
        raise RedisReplyError("ERR WATCH inside MULTI is not allowed")
    for key in call.args:
        call.session.watch(key)
    return OK


@command("UNWATCH")
def _unwatch(call: Call) -> Any:
    call.session.unwatch()
    return OK


# -- scripts ----------------------------------------------------------------


@command("EVAL EVAL_RO", 2, None)
def _eval(call: Call) -> Any:
    digest = call.server.load_script(call.key)
    return _run(call, digest)


@command("EVALSHA EVALSHA_RO", 2, None)
def _evalsha(call: Call) -> Any:
    digest = call.key.decode("ascii", "replace").lower()
    if digest not in call.server.loaded:
        raise RedisReplyError("NOSCRIPT No matching script. Please use EVAL.")
    return _run(call, digest)


def _run(call: Call, digest: str) -> Any:
    function = call.server.taught[digest]
    count = integer(call.args[1])
    if count < 0 or count > len(call.args) - 2:
        raise RedisReplyError("ERR Number of keys can't be greater than number of args")
    keys, args = call.args[2 : 2 + count], call.args[2 + count :]

    def execute(*words: bytes | str | float) -> Any:
        reply = call.session.execute([_as_bytes(word) for word in words])
        if isinstance(reply, RedisReplyError):
            raise reply
        return reply

    return function(execute, keys, args)


def _as_bytes(word: bytes | str | float) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()


@command("SCRIPT", 1, None)
def _script(call: Call) -> Any:
    part, *words = call.args
    if part.upper() == b"LOAD" and len(words) == 1:
        return call.server.load_script(words[0]).encode()
    if part.upper() == b"EXISTS":
        return [int(word.decode().lower() in call.server.loaded) for word in words]
    if part.upper() == b"FLUSH":
        call.server.loaded.clear()
        return OK
    raise syntax_error()
