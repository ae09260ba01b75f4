# -*- test-case-name: tests.sockets.test_framing -*-
"""
The codec of framed sockets: cuts a stream into frames and does no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence

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


@implementer(ICodec)
@define
class Length32Codec:
    """
    Frames with a 32 bit length in front, in the byte order of the machine.

    An incomplete frame is collected as it comes: a header commits no memory
    for what it announces.  Each byte is copied a fixed number of times however
    the stream is cut.

    @ivar max_frame: the greatest length that a header may say; it counts the
        header's own four bytes.
    """

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

    def _split(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        unpack, largest, end = HEADER.unpack_from, self.max_frame, len(data)
        offset, missing = 0, HEADER_SIZE
        while end - offset >= HEADER_SIZE:
            (length,) = unpack(data, offset)
            if not HEADER_SIZE <= length <= largest:
                self.error = check_length(length, largest)
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
