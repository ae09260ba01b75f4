# -*- test-case-name: tests.workers.test_orders -*-
"""
The messages between the host and a prototype.  They travel over a SEQPACKET
socket pair, one JSON object a message, with descriptors beside it where the
message says so::

    host                                   prototype
    Prepare  + memfd of the WorkerSpec  →
                                        ←  Prepared            it may fork now
                                        ←  Failed              and it exits
    Spawn    + the worker's port        →
                                        ←  Forked + pidfd of the worker
                                        ←  NotForked
                                        ←  Exited              a worker ended

The host closes its end to end the prototype.  The kernel names the sender of
each message to the host, which takes none from any process but the prototype.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import asdict, frozen

MAX_MESSAGE = 65536
"""No message is larger (bytes)."""

MAX_TEXT = 1000
"""No text in a message is longer (characters)."""


@frozen
class Prepare:
    """Read the specification from the memfd beside this, and import."""


@frozen
class Prepared:
    """The handler is imported."""


@frozen
class Failed:
    """
    The handler cannot be imported, or not be forked with.

    @ivar reason: one sentence.  The traceback is in the log.
    """

    reason: str


@frozen
class Spawn:
    """
    Fork a worker, with the port beside this.

    @ivar stream: names this order in the answer.
    @ivar index: the worker's place, from 1.
    """

    stream: int
    index: int


@frozen
class Forked:
    """A worker was forked.  Its pidfd is beside this."""

    stream: int
    pid: int


@frozen
class NotForked:
    """No worker was forked, and nothing is left of the attempt."""

    stream: int
    reason: str


@frozen
class Exited:
    """
    A worker ended and was reaped.

    @ivar code: its exit code, or C{None} if a signal ended it.
    @ivar signal: the number of that signal, or C{None}.
    """

    pid: int
    code: int | None
    signal: int | None


Message = Prepare | Prepared | Failed | Spawn | Forked | NotForked | Exited

_BY_NAME: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Prepare, Prepared, Failed, Spawn, Forked, NotForked, Exited)
}


class BadMessage(Exception):
    """Bytes arrived that are no message."""


def pack(message: Message) -> bytes:
    """Make the bytes of a message."""
    return json.dumps({type(message).__name__: asdict(message)}).encode("ascii")


def unpack(data: bytes) -> Message:
    """
    Make the message of bytes.

    @raise BadMessage: they are none.
    """
    try:
        ((name, fields),) = json.loads(data).items()
        message: Message = _BY_NAME[name](**fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as e:
        raise BadMessage(f"no message: {data[:100]!r}") from e
    return message


def tail(text: str, limit: int = MAX_TEXT) -> str:
    """Keep the last part of a text that is too long to send."""
    return text[-limit:]
