"""
A codec whose frames are words, with blanks between them.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field
from twisted.plugin import IPlugin
from zope.interface import implementer

from sockhost.interfaces import FrameError, ICodec, ICodecKind


@implementer(ICodec)
@define
class WordCodec:
    """One stream of words."""

    max_frame: int
    error: FrameError | None = None
    _held: bytes = field(default=b"", init=False)

    @property
    def buffered(self) -> int:
        """How much of a word is held."""
        return len(self._held)

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Take bytes; return the words that are complete."""
        if self.error is not None:
            return ()
        *words, self._held = (self._held + data).split(b" ")
        for number, word in enumerate([*words, self._held]):
            if len(word) >= self.max_frame:
                self.error, self._held = FrameError("a word is too long"), b""
                return words[:number]
        return words

    def encode(self, payload: bytes) -> bytes:
        """Make the bytes of one word."""
        if b" " in payload or len(payload) >= self.max_frame:
            raise FrameError("this is not one word")
        return payload + b" "


@implementer(IPlugin, ICodecKind)
class Words:
    """Makes them for C{framing = "words"}."""

    name = "words"

    def make(self, max_frame: int) -> ICodec:
        """Make the codec of one connection."""
        return WordCodec(max_frame)


words = Words()
