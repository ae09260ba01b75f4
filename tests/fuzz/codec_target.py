"""
Any bytes, cut anywhere, given to any codec.
"""

from __future__ import annotations

from collections.abc import Iterator

from sockhost.interfaces import FrameError, ICodec
from sockhost.sockets.codecs import codec_names, find_codec

CODECS = ("length32", "length32be-exclusive", "netstring", "line")
LIMITS = (4, 5, 16, 64, 300, 2**32 - 1)


def check_codec(data: bytes) -> None:
    """
    Give the bytes to a codec, whole and in pieces.

    @param data: the first byte chooses the codec and its limit, the second how
        the others are cut.
    @raise AssertionError: what a codec promises does not hold.
    """
    if len(data) < 2:
        return
    choice, step, stream = data[0], data[1], data[2:]
    name = CODECS[choice % len(CODECS)]
    limit = LIMITS[choice // len(CODECS) % len(LIMITS)]
    whole, pieces = _make(name, limit), _make(name, limit)
    expected = list(whole.feed(stream))
    got = [
        frame for piece in _cut(stream, step) for frame in _fed(pieces, piece, limit)
    ]
    assert got == expected, "it matters where the stream is cut"
    assert (whole.error is None) == (pieces.error is None), "so do its errors"
    if whole.error is None:
        assert whole.buffered == pieces.buffered, "so does what is held"
        _check_encoding(name, limit, expected)


def _make(name: str, limit: int) -> ICodec:
    make = find_codec(name)
    assert make is not None, codec_names()
    return make(limit)


def _cut(stream: bytes, step: int) -> Iterator[bytes]:
    start = 0
    while start < len(stream):
        # Neither all alike nor by chance: what fails must fail again.
        size = 1 + (step * (start + 1)) % 13
        yield stream[start : start + size]
        start += size


def _fed(codec: ICodec, piece: bytes, limit: int) -> list[bytes]:
    failed = codec.error
    frames = list(codec.feed(piece))
    assert all(type(frame) is bytes and len(frame) < limit for frame in frames)
    assert codec.buffered <= limit
    if failed is not None:
        assert not frames
        assert codec.error is failed
    assert codec.error is None or isinstance(codec.error, FrameError)
    return frames


def _check_encoding(name: str, limit: int, frames: list[bytes]) -> None:
    codec = _make(name, limit)
    stream = b"".join(map(codec.encode, frames))
    assert list(codec.feed(stream)) == frames, "what came in cannot go out"
