# -*- test-case-name: tests.sockets.test_netstring -*-
"""
Netstrings: the length of the payload as decimal digits, a colon, the payload,
and a comma.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field
from zope.interface import implementer

from sockhost.interfaces import FrameError, ICodec
from sockhost.sockets.wire import MAX_FRAME


@implementer(ICodec)
@define
class NetstringCodec:
    """
    Each frame is a netstring.  Digits with a zero in front are refused: there
    is one way to write each frame.

    @ivar max_frame: the greatest length of a whole frame, with digits, colon
        and comma.
    """

    max_frame: int = MAX_FRAME
    error: FrameError | None = field(default=None, init=False)
    _held: bytearray = field(factory=bytearray, init=False)
    # How many bytes it takes until there is anything to decide.
    _needed: int = field(default=1, init=False)

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
            if len(self._held) < self._needed:
                return ()
            data = bytes(self._held)
            self._held.clear()
        return self._split(data)

    def encode(self, payload: bytes) -> bytes:
        """Make the bytes of one frame."""
        frame = b"%d:%b," % (len(payload), payload)
        if len(frame) > self.max_frame:
            raise self._too_long()
        return frame

    def _split(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        offset, needed = 0, 1
        while offset < len(data):
            start = self._header(data, offset)
            if self.error is not None:
                return frames
            if start is None:
                needed = 1
                break
            stop = start + int(data[offset : start - 1])
            if stop - offset + 1 > self.max_frame:
                self.error = self._too_long()
                return frames
            if stop >= len(data):
                needed = stop + 1 - offset
                break
            if data[stop] != ord(","):
                self.error = FrameError("a netstring does not end with a comma")
                return frames
            frames.append(data[start:stop])
            offset = stop + 1
        self._held += data[offset:]
        self._needed = needed
        return frames

    def _header(self, data: bytes, offset: int) -> int | None:
        """Find where the payload begins; C{None} if that is not known yet."""
        # No number that is allowed has more digits, so no more is looked at.
        most = len(str(self.max_frame))
        colon = data.find(b":", offset, offset + most + 1)
        end = colon if colon >= 0 else min(len(data), offset + most + 1)
        digits = data[offset:end]
        if not digits.isdigit() or (len(digits) > 1 and digits[:1] == b"0"):
            self.error = FrameError(f"{digits!r:.40} is not the length of a netstring")
        elif colon < 0 and len(digits) > most:
            self.error = self._too_long()
        return colon + 1 if colon >= 0 else None

    def _too_long(self) -> FrameError:
        return FrameError(f"a netstring is longer than the limit of {self.max_frame}")
