# -*- test-case-name: tests.sockets.test_trace -*-
"""
A record of the frames of a socket, for Wireshark: C{text2pcap} reads it, and so
does Wireshark's own "Import from Hex Dump"::

    text2pcap -D -t ISO -l 147 kv.trace kv.pcapng

Each frame is a packet: its direction (C{I} to the handler, C{O} from it), the
time in UTC, then the payload in hexadecimal.  Lines that begin with C{#} say
which client it is; C{text2pcap} skips them.  A frame without a payload is such
a line only: there are no packets of no bytes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import time
from typing import IO

from attrs import define, field
from twisted.logger import Logger
from zope.interface import implementer

from sockhost.interfaces import FrameError, ICodec

LARGEST = 262_144
"""C{text2pcap} takes no larger packets; of larger frames this much is kept."""

IN, OUT = "I", "O"

# Nobody may be reading from a FIFO: opening one must not wait for that.
_FLAGS = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_APPEND
    | os.O_CLOEXEC
    | os.O_NOFOLLOW
    | os.O_NONBLOCK
)


@define(eq=False)
class Trace:
    """
    Writes frames to a file.  When the file has its greatest size it becomes
    C{NAME.1}, in place of the one before, and a new one is begun: no more than
    twice that is ever on the disk.

    Tracing that fails, on a full disk, ends; the socket goes on.

    @ivar path: the file; its mode is C{0600}, as it has all that was said.  What
        is there already must be a regular file of this user.
    """

    _log = Logger()

    path: str
    _max_size: int
    _clock: Callable[[], float] = time
    _file: IO[bytes] | None = field(default=None, init=False)
    _size: int = field(default=0, init=False)
    _broken: bool = field(default=False, init=False)

    def note(self, direction: str, who: str, payload: bytes) -> None:
        """Write one frame."""
        if self._broken:
            return
        try:
            self._write(self._packet(direction, who, payload))
        except OSError:
            self._broken = True
            self._log.failure("tracing to {path} has ended", path=self.path)
            self.close()

    def close(self) -> None:
        """Close the file.  A frame that is noted later opens it again."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _packet(self, direction: str, who: str, payload: bytes) -> bytes:
        at = datetime.fromtimestamp(self._clock(), UTC)
        when = f"{direction} {at:%Y-%m-%dT%H:%M:%S.%fZ}"
        if not payload:
            # What is in front of no bytes would be taken for a part of what is
            # in front of the next packet.
            return f"# {who}\n# empty frame {when}\n\n".encode("ascii", "replace")
        head = f"# {who}\n{when}\n"
        kept = payload[:LARGEST]
        lines = [
            f"{start:06x} {kept[start : start + 16].hex(' ')}\n"
            for start in range(0, len(kept), 16)
        ]
        more = len(payload) - len(kept)
        if more:
            lines.append(f"# and {more} bytes more\n")
        return "".join((head, *lines, "\n")).encode("ascii", "replace")

    def _write(self, packet: bytes) -> None:
        if self._file is not None and self._size + len(packet) > self._max_size:
            self.close()
            os.replace(self.path, f"{self.path}.1")
        if self._file is None:
            self._open()
        assert self._file is not None
        self._file.write(packet)
        self._file.flush()
        self._size += len(packet)

    def _open(self) -> None:
        self._file = os.fdopen(os.open(self.path, _FLAGS, 0o600), "ab")
        found = os.fstat(self._file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise OSError(f"{self.path} is not a regular file of this user")
        os.fchmod(self._file.fileno(), 0o600)
        self._size = found.st_size


@implementer(ICodec)
@define(eq=False)
class TracingCodec:
    """
    A codec that has everything noted which another one cuts and makes.

    @ivar traced: the other one.
    @ivar who: names the client in the trace.
    """

    traced: ICodec
    _trace: Trace
    who: str = "client"

    @property
    def error(self) -> FrameError | None:
        """What ended the stream."""
        error: FrameError | None = self.traced.error
        return error

    @property
    def buffered(self) -> int:
        """How many bytes of an incomplete message are held."""
        buffered: int = self.traced.buffered
        return buffered

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Cut messages, and note them."""
        frames = self.traced.feed(data)
        for frame in frames:
            self._trace.note(IN, self.who, frame)
        return frames

    def encode(self, payload: bytes) -> bytes:
        """Make the bytes of a message, and note it."""
        data = self.traced.encode(payload)
        self._trace.note(OUT, self.who, payload)
        return data
