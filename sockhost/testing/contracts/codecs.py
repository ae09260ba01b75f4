# -*- test-case-name: tests.testing.test_part_contracts -*-
"""
The contracts of L{ICodec<sockhost.interfaces.ICodec>} and of
L{ICodecKind<sockhost.interfaces.ICodecKind>} as tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import FrameError, ICodec, ICodecKind
from sockhost.testing.contracts._case import ContractCase, contract_tests


class _CodecContract(ContractCase):
    """What L{ICodec} promises."""

    payloads: Sequence[bytes]
    garbage: bytes | None
    too_large: bytes | None

    def setUp(self) -> None:  # type: ignore[override]
        self.codec = self.new()

    def new(self) -> ICodec:
        """Another codec, for another stream."""
        made: ICodec = type(self).make(self)
        return made

    def stream(self) -> bytes:
        """All payloads, encoded."""
        return b"".join(self.codec.encode(each) for each in self.payloads)

    def test_interface(self) -> None:
        """It has all that a codec has, and has not failed yet."""
        verifyObject(ICodec, self.codec)
        self.assertIsNone(self.codec.error)
        self.assertEqual(self.codec.buffered, 0)

    def test_at_once(self) -> None:
        """What is encoded is decoded, in order."""
        self.assertEqual(list(self.codec.feed(self.stream())), list(self.payloads))
        self.assertEqual(self.codec.buffered, 0)
        self.assertIsNone(self.codec.error)

    def test_cut_anywhere(self) -> None:
        """Where the stream is cut makes no difference."""
        stream = self.stream()
        for cut in range(len(stream) + 1):
            codec = self.new()
            got = [*codec.feed(stream[:cut]), *codec.feed(stream[cut:])]
            self.assertEqual(got, list(self.payloads), f"cut at {cut}")

    def test_byte_by_byte(self) -> None:
        """A byte at a time is enough, and none is kept for long."""
        got: list[bytes] = []
        for byte in self.stream():
            got.extend(self.codec.feed(bytes([byte])))
        self.assertEqual(got, list(self.payloads))
        self.assertEqual(self.codec.buffered, 0)

    def test_nothing(self) -> None:
        """To be fed nothing changes nothing."""
        self.assertEqual(list(self.codec.feed(b"")), [])
        self.assertIsNone(self.codec.error)
        self.assertEqual(list(self.codec.feed(self.stream())), list(self.payloads))

    def test_buffered(self) -> None:
        """Half a message is counted as held, until it is whole."""
        stream = self.codec.encode(self.payloads[0])
        self.codec.feed(stream[:-1])
        self.assertGreater(self.codec.buffered, 0)
        self.assertEqual(list(self.codec.feed(stream[-1:])), [self.payloads[0]])
        self.assertEqual(self.codec.buffered, 0)

    def test_both_ways(self) -> None:
        """What is encoded meanwhile does not disturb what arrives."""
        stream = self.stream()
        half = len(stream) // 2
        got = list(self.codec.feed(stream[:half]))
        self.codec.encode(self.payloads[0])
        self.assertEqual([*got, *self.codec.feed(stream[half:])], list(self.payloads))

    def test_garbage(self) -> None:
        """Bad bytes end the stream, but not the messages in front of them."""
        if self.garbage is None:
            self.lack("which bytes are no message")
        message = self.codec.encode(self.payloads[0])
        got = self.codec.feed(message + self.garbage + message)
        self.assertEqual(list(got), [self.payloads[0]])
        error = self.codec.error
        self.assertIsInstance(error, FrameError)
        self.assertEqual(list(self.codec.feed(self.stream())), [])
        self.assertIs(self.codec.error, error)

    def test_too_large(self) -> None:
        """What cannot be carried is refused, and spoils nothing."""
        if self.too_large is None:
            self.lack("what is too large")
        self.assertRaises(FrameError, self.codec.encode, self.too_large)
        self.assertEqual(list(self.codec.feed(self.stream())), list(self.payloads))


def codec_contract_tests(
    make: Callable[[], ICodec],
    payloads: Sequence[bytes] = (b"a", b"", b"two words", bytes(range(256))),
    garbage: bytes | None = None,
    too_large: bytes | None = None,
) -> type[TestCase]:
    """
    Make the tests of L{ICodec} for a codec.

    @param make: makes a codec at the beginning of a stream.
    @param payloads: what it can carry.
    @param garbage: bytes that are no message of its, if there are any.
    @param too_large: what it cannot carry, if there is anything.
    """

    def make_for(_: TestCase) -> ICodec:
        return make()

    names = {"payloads": payloads, "garbage": garbage, "too_large": too_large}
    return contract_tests(
        "CodecContractTests", _CodecContract, make=staticmethod(make_for), **names
    )


class _CodecKindContract(ContractCase):
    """What L{ICodecKind} promises."""

    def setUp(self) -> None:  # type: ignore[override]
        self.kind: ICodecKind = type(self).make(self)

    def test_interface(self) -> None:
        """It has a name, and makes codecs."""
        verifyObject(ICodecKind, self.kind)
        self.assertIsInstance(self.kind.name, str)
        self.assertNotEqual(self.kind.name, "")

    def test_make(self) -> None:
        """It makes codecs, each for a stream of its own."""
        first, second = self.kind.make(100), self.kind.make(100)
        verifyObject(ICodec, first)
        first.feed(first.encode(b"a")[:-1])
        self.assertEqual(second.buffered, 0)
        self.assertEqual(list(second.feed(second.encode(b"b"))), [b"b"])

    def test_longest(self) -> None:
        """What is longer than allowed is neither sent nor taken, nor kept."""
        small, large = self.kind.make(100), self.kind.make(100_000)
        self.assertRaises(FrameError, small.encode, bytes(101))
        got: list[bytes] = []
        for byte in large.encode(b"x" * 10_000):
            got += small.feed(bytes([byte]))
            self.assertLessEqual(small.buffered, 200)
        self.assertEqual(got, [])
        self.assertIsInstance(small.error, FrameError)


def codec_kind_contract_tests(kind: ICodecKind) -> type[TestCase]:
    """
    Make the tests of L{ICodecKind} for a kind of codec; those of its codecs are
    made by L{codec_contract_tests}.
    """
    return contract_tests(
        "CodecKindContractTests", _CodecKindContract, make=staticmethod(lambda _: kind)
    )
