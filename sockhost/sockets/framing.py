# -*- test-case-name: tests.sockets.test_framing -*-
"""
Frames with a length of four bytes in front: the codecs cut a stream into
frames, and do no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import ClassVar

from attrs import define, field
from zope.interface import implementer

from sockhost.interfaces import FrameError, ICodec
from sockhost.sockets.wire import (
    HEADER,
    HEADER_SIZE,
    MAX_FRAME,
    check_length,
    pack,
)

_NETWORK = Struct("!I")


@implementer(ICodec)
@define
class Length32Codec:
    """
    Frames with a 32 bit length in front, in the byte order of the machine,
    that counts itself.

    An incomplete frame is collected as it comes: a header commits no memory
    for what it announces.  Each byte is copied a fixed number of times however
    the stream is cut.

    @ivar max_frame: the greatest length of a whole frame, header included.
    """

    _HEADER: ClassVar[Struct] = HEADER
    # How many bytes of a frame its header does not count.
    _UNCOUNTED: ClassVar[int] = 0
    max_frame: int = MAX_FRAME
    error: FrameError | None = field(default=None, init=False)
    _held: bytearray = field(factory=bytearray, init=False)
    # How many more bytes it takes until there is anything to decide.
    _missing: int = field(default=HEADER_SIZE, init=False)

    @property
    def buffered(self) -> int:
        """How many bytes of an incomplete frame are held."""
        return len(self._held)

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Take bytes, cut at any place; return the payloads that are complete."""
        if self.error is not None:
            return ()
        if self._held:
            self._held += data
            if len(data) < self._missing:
                self._missing -= len(data)
                return ()
            data = bytes(self._held)
            self._held.clear()
        return self._split(data)

    def encode(self, payload: bytes) -> bytes:
        """Make the bytes of one frame."""
        return pack(payload, self.max_frame)

    def _refuse(self, length: int) -> FrameError | None:
        return check_length(length, self.max_frame)

    def _split(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        unpack, largest, end = self._HEADER.unpack_from, self.max_frame, len(data)
        uncounted = self._UNCOUNTED
        offset, missing = 0, HEADER_SIZE
        while end - offset >= HEADER_SIZE:
            length = unpack(data, offset)[0] + uncounted
            if not HEADER_SIZE <= length <= largest:
                self.error = self._refuse(length)
                return frames
            stop = offset + length
            if stop > end:
                missing = length
                break
            frames.append(data[offset + HEADER_SIZE : stop])
            offset = stop
        self._hold(data, offset, missing)
        return frames

    def _hold(self, data: bytes, offset: int, needed: int) -> None:
        rest = len(data) - offset
        self._missing = needed - rest
        if rest:
            self._held += data[offset:]


@define
class Int32Codec(Length32Codec):
    """
    Frames with a 32 bit length in front, in network byte order, that does not
    count itself: the strings of Twisted's C{Int32StringReceiver}.
    """

    _HEADER: ClassVar[Struct] = _NETWORK
    _UNCOUNTED: ClassVar[int] = HEADER_SIZE

    def encode(self, payload: bytes) -> bytes:
        """Make the bytes of one frame."""
        problem = self._refuse(len(payload) + HEADER_SIZE)
        if problem is not None:
            raise problem
        return _NETWORK.pack(len(payload)) + payload
