# -*- test-case-name: tests.redis.test_pipeline -*-
"""
Many commands, sent together, with one Deferred for all their replies::

    replies = await client.pipeline().set("a", 1).incr("a").get("b").run()

This costs a fraction of what as many single commands cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed

from sockhost.interfaces import RedisError, RedisReplyError
from sockhost.redis.commands.queued import QueuedCommands
from sockhost.redis.commands.shapes import Shape
from sockhost.redis.decoding import decode_reply
from sockhost.redis.names import ORDINARY, Place, command_name, place_of, remedy
from sockhost.redis.resp import Argument, encode_command, pack_command
from sockhost.redis.scripts import Script

#: Sends encoded commands in one piece: how many, their bytes, seconds to wait.
SendMany = Callable[[int, bytes, float | None], Deferred[list[Any]]]

_P = TypeVar("_P", bound="Batching")


class Batching(QueuedCommands):
    """
    Keeps commands to send them together.  The methods of the commands, and
    L{execute}, keep one more, and return the object itself.
    """

    def __init__(self, send: SendMany, decode: str | None = None) -> None:
        """
        @param send: takes them in the end.
        @param decode: the encoding of replies, or C{None} for bytes.
        """
        self._send = send
        self._decode = decode
        self._data: list[bytes] = []
        self._shapes: dict[int, Shape] = {}
        self._scripts: set[str] = set()

    def __len__(self) -> int:
        return len(self._data)

    def execute(self: _P, *args: Argument) -> _P:
        """
        Keep one command.

        @raise TypeError: an argument cannot be sent.
        @raise ValueError: there is no argument, or one is no valid text.
        @raise RedisError: the command cannot be sent like this.
        """
        # The way that nearly all take calls as little as it can.
        try:
            data = pack_command(args)
            ordinary = args[0] in ORDINARY
        except (TypeError, IndexError):
            data = encode_command(args)
            ordinary = False
        if not ordinary:
            self._check(place_of(args), args)
        self._data.append(data)
        return self

    def script(
        self: _P,
        script: Script | str | bytes,
        keys: Iterable[Argument] = (),
        args: Iterable[Argument] = (),
    ) -> _P:
        """
        Keep a call of a script.  The first one of each script brings its text
        along, as there is no falling back to that between other commands; those
        behind it its digest only.
        """
        made = Script.of(script)
        known = made.digest in self._scripts
        self._scripts.add(made.digest)
        return self.execute(*made.words(keys, args, text=not known))

    def clear(self) -> None:
        """Forget what is kept."""
        self._data = []
        self._shapes = {}
        self._scripts = set()

    def _check(self, place: Place, args: tuple[Argument, ...]) -> None:
        if place is Place.NOWHERE:
            name = command_name(args)
            raise RedisError(
                f"{name} is not possible among other commands{remedy(name)}"
            )

    def _command(self: _P, words: tuple[Any, ...], shape: Shape | None) -> _P:
        self.execute(*words)
        if shape is not None:
            self._shapes[len(self._data) - 1] = shape
        return self

    def _shaper(self) -> Callable[[list[Any]], list[Any]]:
        shapes, encoding = self._shapes, self._decode

        def shaped(replies: list[Any]) -> list[Any]:
            if encoding is not None:
                replies = [_applied(decode_reply, each, encoding) for each in replies]
            for place, shape in shapes.items():
                replies[place] = _applied(shape, replies[place])
            return replies

        return shaped


class Pipeline(Batching):
    """
    Commands that are sent together; those of others may be executed between
    them.  When it has been run it is empty, and may be used again.

    With a C{WAIT} among them they have a connection to themselves, so that it
    is about those in front of it, and holds up nobody else.
    """

    def __init__(
        self,
        send: SendMany,
        decode: str | None = None,
        send_alone: SendMany | None = None,
    ) -> None:
        """
        @param send_alone: takes those that are to have a connection to
            themselves; without it there can be none.
        """
        super().__init__(send, decode)
        self._send_alone = send_alone
        self._waits = False

    def clear(self) -> None:
        """Forget what is kept."""
        super().clear()
        self._waits = False

    def run(self, timeout: float | None = None) -> Deferred[list[Any]]:
        """
        Send all that is kept, in one piece.

        @param timeout: seconds that the replies are waited for, instead of
            those of the client; 0 for no limit.
        @return: fires with the replies in the order of the commands.  What the
            server refuses is a L{RedisReplyError} in its place, and does not
            keep the others from being executed.  Fails as a whole, like a
            single command, if it could not be sent, or if replies were lost.
            Cancelling withdraws all that was not sent, or none.
        """
        data, shaped = self._data, self._shaper()
        send = self._send_alone if self._waits else None
        self.clear()
        if not data:
            return succeed([])
        sent = (send or self._send)(len(data), b"".join(data), timeout)
        return sent.addCallback(shaped)

    def _check(self, place: Place, args: tuple[Argument, ...]) -> None:
        super()._check(place, args)
        if place is Place.ALONE:
            name = command_name(args)
            raise RedisError(f"{name} would hold up all that shares its connection")
        if place is Place.BEHIND:
            self._wait_behind(args)

    def _wait_behind(self, args: tuple[Argument, ...]) -> None:
        if self._send_alone is None:
            name = command_name(args)
            raise RedisError(f"{name} is for a pipeline to one server: node(key)")
        self._waits = True


def _applied(change: Callable[..., Any], reply: Any, *more: object) -> Any:
    if isinstance(reply, RedisReplyError):
        return reply
    try:
        return change(reply, *more)
    except Exception as error:
        # One reply that is not what it should be does not cost the others.
        return error
