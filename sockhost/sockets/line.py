# -*- test-case-name: tests.sockets.test_line -*-
"""
Lines: a payload, and a line feed behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field
from zope.interface import implementer

from sockhost.interfaces import FrameError, ICodec
from sockhost.sockets.wire import MAX_FRAME

_END = b"\n"


@implementer(ICodec)
@define
class LineCodec:
    """
    Each frame is a line.  Payloads are any bytes but line feeds: a carriage
    return in front of the line feed belongs to the payload.

    @ivar max_frame: the greatest length of a line, with its line feed.
    """

    max_frame: int = MAX_FRAME
    error: FrameError | None = field(default=None, init=False)
    _held: bytearray = field(factory=bytearray, init=False)

    @property
    def buffered(self) -> int:
        """How many bytes of an incomplete line are held."""
        return len(self._held)

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Take bytes, cut at any place; return the lines that are complete."""
        if self.error is not None:
            return ()
        lines = data.split(_END)
        # Only what is new is searched, and held until its line is complete.
        rest = lines.pop()
        if lines and self._held:
            lines[0] = bytes(self._held) + lines[0]
            self._held.clear()
        self._check(lines, rest)
        if self.error is None:
            self._held += rest
        return lines

    def encode(self, payload: bytes) -> bytes:
        """Make the bytes of one line."""
        if _END in payload:
            raise FrameError("a line feed cannot be in a line")
        if len(payload) >= self.max_frame:
            raise self._too_long()
        return payload + _END

    def _check(self, lines: list[bytes], rest: bytes) -> None:
        for number, line in enumerate(lines):
            if len(line) >= self.max_frame:
                self.error = self._too_long()
                del lines[number:]
                self._held.clear()
                return
        if len(self._held) + len(rest) >= self.max_frame:
            self.error = self._too_long()
            self._held.clear()

    def _too_long(self) -> FrameError:
        return FrameError(f"a line is longer than the limit of {self.max_frame}")
