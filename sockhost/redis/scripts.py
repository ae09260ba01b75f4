# -*- test-case-name: tests.redis.test_scripts -*-
"""
Scripts and functions that run in the server, brought there when it does not
know them yet.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Protocol

from attrs import field, frozen
from twisted.internet.defer import Deferred

from sockhost.interfaces import RedisReplyError
from sockhost.redis.resp import Argument

_NAME = re.compile(rb"\A#!\S+.*?\bname=(\S+)")


class _Executes(Protocol):
    def execute(self, *args: Argument) -> Deferred[Any]:
        """Send a command."""


def _as_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


@frozen
class Script:
    """
    A script.

    @ivar text: in the language of the server, which is Lua.
    @ivar read_only: C{True} if it writes nothing, so that replicas run it too.
    """

    text: bytes = field(converter=_as_bytes)
    read_only: bool = False
    digest: str = field(init=False, eq=False, repr=False)

    @digest.default
    def _make_digest(self) -> str:
        return hashlib.sha1(self.text, usedforsecurity=False).hexdigest()

    @classmethod
    def of(cls, script: Script | str | bytes) -> Script:
        """Take a script, or the text of one."""
        return script if isinstance(script, Script) else cls(script)

    def words(
        self,
        keys: Iterable[Argument] = (),
        args: Iterable[Argument] = (),
        text: bool = False,
    ) -> tuple[Argument, ...]:
        """
        Make the command that runs it.

        @param text: C{True} for the one that needs not be known to the server.
        """
        name = ("EVAL" if text else "EVALSHA") + ("_RO" if self.read_only else "")
        named = tuple(keys)
        what = self.text if text else self.digest
        return (name, what, len(named), *named, *args)

    def run(
        self,
        redis: _Executes,
        keys: Iterable[Argument] = (),
        args: Iterable[Argument] = (),
    ) -> Deferred[Any]:
        """
        Run it, by its digest; and by its text if the server does not know that,
        which then does.

        @return: fires with what the script returns.  Fails and cancels like any
            command.
        """
        return Deferred.fromCoroutine(self._run(redis, tuple(keys), tuple(args)))

    async def _run(
        self, redis: _Executes, keys: tuple[Argument, ...], args: tuple[Argument, ...]
    ) -> Any:
        try:
            return await redis.execute(*self.words(keys, args))
        except RedisReplyError as error:
            if error.code != "NOSCRIPT":
                raise
        return await redis.execute(*self.words(keys, args, text=True))


def _library_name(code: bytes) -> str:
    found = _NAME.match(code)
    if found is None:
        raise ValueError("a library begins with #!lua name=…")
    return found[1].decode()


@frozen
class Library:
    """
    Functions for the server.

    @ivar code: what C{FUNCTION LOAD} takes: it begins with C{#!lua name=…}.
    @ivar name: as the code says.
    """

    code: bytes = field(converter=_as_bytes)
    name: str = field(init=False)

    @name.default
    def _find_name(self) -> str:
        return _library_name(self.code)

    def load(self, redis: _Executes) -> Deferred[Any]:
        """
        Bring it to the server, in the place of any other of its name.

        @return: fires with the name.
        """
        return redis.execute("FUNCTION", "LOAD", "REPLACE", self.code)

    def call(
        self,
        redis: _Executes,
        function: str,
        keys: Iterable[Argument] = (),
        args: Iterable[Argument] = (),
        read_only: bool = False,
    ) -> Deferred[Any]:
        """
        Call a function of it.  If the server does not have the function, the
        library is loaded first.

        @param read_only: C{True} for a function that writes nothing: replicas
            call it too.
        @return: fires with what the function returns.  Fails and cancels like
            any command.
        """
        named = tuple(keys)
        name = "FCALL_RO" if read_only else "FCALL"
        words = (name, function, len(named), *named, *args)
        return Deferred.fromCoroutine(self._call(redis, words))

    async def _call(self, redis: _Executes, words: tuple[Argument, ...]) -> Any:
        try:
            return await redis.execute(*words)
        except RedisReplyError as error:
            if "function not found" not in str(error).lower():
                raise
        await self.load(redis)
        return await redis.execute(*words)
