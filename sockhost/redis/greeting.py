# -*- test-case-name: tests.redis.test_greeting -*-
"""
What is said on a new connection before anybody may use it.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from attrs import field, frozen

from sockhost.interfaces import MaybeExecuted, RedisReplyError
from sockhost.redis.connection import RedisConnection
from sockhost.redis.resp import encode_command
from sockhost.redis.slots import Batch


@frozen(kw_only=True)
class Greeting:
    """
    As whom, and where, to be on a connection.

    @ivar username: C{None} for the server's default user.
    @ivar password: C{None} for not authenticating.
    @ivar client_name: what C{CLIENT LIST} shows; empty for nothing.
    @ivar db: the number of the database.
    @ivar read_only: C{True} to read from a replica in a cluster.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    client_name: str = ""
    db: int = 0
    read_only: bool = False


async def greet(connection: RedisConnection, greeting: Greeting) -> None:
    """
    Agree on the protocol (3, or 2 with a server that knows no other),
    authenticate, set the name and select the database.  The server is told
    which library this is, too, and may not want to know.  The connection knows
    its C{protocol}, C{server_version} and C{client_id} after that.

    @raise RedisReplyError: the server refuses one of them.
    """
    await _hello(connection, greeting)
    if greeting.db:
        await connection.execute("SELECT", greeting.db)
    if greeting.read_only:
        await connection.execute("READONLY")


async def _hello(connection: RedisConnection, greeting: Greeting) -> None:
    try:
        reply = await _say_hello(connection, _hello_options(greeting))
    except RedisReplyError as error:
        if not _is_old(error):
            raise
    else:
        connection.protocol = 3
        connection.server_version = _version(reply)
        connection.client_id = reply.get(b"id") if isinstance(reply, dict) else None
        return
    await _introduce(connection, greeting)


async def _say_hello(connection: RedisConnection, options: list[str]) -> Any:
    # Servers before Redis 7.2 refuse the rest, and some users may not say it.
    hello = encode_command(("HELLO", 3, *options)) + _library()
    said = Batch(3)
    try:
        await connection.enqueue(said.slot(connection.withdraw), hello)
    except MaybeExecuted:
        # A server that is full says so, and hangs up.
        if not said.replies:
            raise
    reply = said.replies[0]
    if isinstance(reply, RedisReplyError):
        raise reply
    return reply


@cache
def _library() -> bytes:
    try:
        release = version("sockhost")
    except PackageNotFoundError:
        release = "0"
    told = (("LIB-NAME", "sockhost"), ("LIB-VER", release))
    return b"".join(encode_command(("CLIENT", "SETINFO", *each)) for each in told)


def _hello_options(greeting: Greeting) -> list[str]:
    options: list[str] = []
    if greeting.password is not None:
        options += ["AUTH", greeting.username or "default", greeting.password]
    if greeting.client_name:
        options += ["SETNAME", greeting.client_name]
    return options


def _is_old(error: RedisReplyError) -> bool:
    return error.code == "NOPROTO" or "unknown command" in str(error).lower()


async def _introduce(connection: RedisConnection, greeting: Greeting) -> None:
    if greeting.password is not None:
        user = [greeting.username] if greeting.username else []
        await connection.execute("AUTH", *user, greeting.password)
    if greeting.client_name:
        await connection.execute("CLIENT", "SETNAME", greeting.client_name)


def _version(reply: Any) -> str | None:
    value = reply.get(b"version") if isinstance(reply, dict) else None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None
