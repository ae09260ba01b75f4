"""
Tests for L{sockhost.redis.resp}: the C reader and what stands in for it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisProtocolError, RedisReplyError
from sockhost.redis import resp
from sockhost.redis._plain import PlainReader
from sockhost.redis.resp import Push, RespReader, encode_command


def comparable(value: Any) -> Any:
    """Errors are equal to none but themselves; make them text."""
    if isinstance(value, RedisReplyError):
        return f"error: {value}"
    if isinstance(value, dict):
        return {comparable(k): comparable(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(map(comparable, value))
    if isinstance(value, list):
        return [type(value).__name__, *map(comparable, value)]
    return value


def blob(kind: bytes, text: bytes) -> bytes:
    """Make the bytes of a string with a length."""
    return b"%s%d\r\n%s\r\n" % (kind, len(text), text)


def counted(kind: bytes, items: list[bytes], size: int) -> bytes:
    """Make the bytes of an aggregate."""
    return b"%s%d\r\n" % (kind, size) + b"".join(items)


def streamed(kind: bytes, items: list[bytes]) -> bytes:
    """Make the bytes of an aggregate whose end is not known before it comes."""
    return b"%s?\r\n%s.\r\n" % (kind, b"".join(items))


def in_pieces(pieces: list[bytes]) -> bytes:
    """Make the bytes of a string that comes in pieces."""
    whole = b"".join(blob(b";", piece) for piece in pieces if piece)
    return b"$?\r\n%s;0\r\n" % whole


texts = st.one_of(
    st.binary(max_size=12), st.sampled_from([b"\r\n|1\r\n", b"a\r\n!", b"\r\n*1\r\n"])
)
scalars = st.one_of(
    texts.map(lambda text: blob(b"$", text)),
    texts.map(lambda text: blob(b"!", text)),
    texts.map(lambda text: blob(b"=", b"txt:" + text)),
    st.integers(-(2**63), 2**63 - 1).map(lambda n: b":%d\r\n" % n),
    st.integers().map(lambda n: b"(%d\r\n" % n),
    st.floats(allow_nan=False).map(lambda x: b",%s\r\n" % repr(x).encode()),
    st.sampled_from([b"+OK\r\n", b"-ERR x\r\n", b"_\r\n", b"#t\r\n", b"#f\r\n"]),
    st.sampled_from([b"$-1\r\n", b"*-1\r\n"]),
    st.lists(texts, max_size=3).map(in_pieces),
)


@st.composite
def replies(draw: st.DrawFn, depth: int = 0) -> bytes:
    """The bytes of one reply."""
    kind = draw(st.sampled_from([b"", b"", b"*", b"~", b"%", b"|"]))
    if not kind or depth == 3:
        scalar: bytes = draw(scalars)
        return scalar
    inner = replies(depth + 1)
    size = draw(st.integers(0, 3))
    items = [draw(inner) for _ in range(size * 2 if kind in b"%|" else size)]
    made = streamed(kind, items) if draw(st.booleans()) else counted(kind, items, size)
    return made + (draw(inner) if kind == b"|" else b"")


@st.composite
def pushes(draw: st.DrawFn) -> bytes:
    """The bytes of one push."""
    items = draw(st.lists(replies(), max_size=3))
    if draw(st.booleans()):
        return streamed(b">", items)
    return counted(b">", items, len(items))


messages = st.one_of(replies(), pushes())


class RespReaderTests(SynchronousTestCase):
    """Replies, whatever the C reader thinks of them."""

    def read(self, *chunks: bytes) -> list[Any]:
        reader = RespReader()
        found = [message for chunk in chunks for message in reader.feed(chunk)]
        self.assertIsNone(reader.error)
        return found

    def test_kinds(self) -> None:
        """Replies, errors and pushes are told from each other by their type."""
        ok, error, push, false = self.read(b"+OK\r\n-ERR x\r\n>1\r\n+a\r\n#f\r\n")
        self.assertEqual(ok, b"OK")
        self.assertIsInstance(error, RedisReplyError)
        self.assertIs(type(push), Push)
        self.assertIs(false, False)

    def test_nested_error(self) -> None:
        """An error within an array is a value there."""
        [array] = self.read(b"*2\r\n-WRONGTYPE x\r\n:1\r\n")
        self.assertIsInstance(array[0], RedisReplyError)
        self.assertEqual(array[1], 1)

    def test_attribute(self) -> None:
        """An attribute shifts nothing, wherever the bytes are cut."""
        data = b":1\r\n|1\r\n+a\r\n+b\r\n:2\r\n*1\r\n|0\r\n:3\r\n:4\r\n"
        for cut in range(len(data)):
            self.assertEqual(self.read(data[:cut], data[cut:]), [1, 2, [3], 4])

    def test_blob_error(self) -> None:
        """A blob error costs nothing but its command."""
        one, error, two = self.read(b":1\r\n!5\r\nERR x\r\n:2\r\n")
        self.assertEqual((one, str(error), two), (1, "ERR x", 2))

    def test_unhashable_key(self) -> None:
        """A map whose key is a list does not end the stream."""
        data = b":1\r\n%1\r\n*1\r\n:1\r\n:2\r\n:3\r\n"
        for cut in range(len(data)):
            self.assertEqual(self.read(data[:cut], data[cut:]), [1, [([1], 2)], 3])

    def test_back_to_fast(self) -> None:
        """What the slow reader finished is not read by it any longer."""
        reader = RespReader()
        reader.feed(b"|1\r\n+a\r\n")
        self.assertIsNotNone(reader._slow)
        self.assertEqual(reader.feed(b"+b\r\n:2\r\n"), [2])
        self.assertIsNone(reader._slow)
        self.assertEqual(reader.feed(b":3\r\n"), [3])

    def test_garbage(self) -> None:
        """Bad bytes end the stream for good, after what stands before them."""
        reader = RespReader()
        self.assertEqual(reader.feed(b":1\r\n:2\r\nHTTP/1.1 400\r\n"), [1, 2])
        self.assertIsInstance(reader.error, RedisProtocolError)
        self.assertEqual(reader.feed(b":3\r\n"), [])

    def test_holds_little(self) -> None:
        """A stream that is never between two messages is not kept whole."""
        self.patch(resp, "HELD_LIMIT", 1000)
        reader = RespReader()
        found: list[Any] = []
        stream = blob(b"$", b"x\r\ny" * 5) * 2000
        largest = 0
        for start in range(0, len(stream), 97):
            found += reader.feed(stream[start : start + 97])
            largest = max(largest, reader._held_size)
        self.assertEqual(found, [b"x\r\ny" * 5] * 2000)
        self.assertLess(largest, 2000)

    def test_no_data(self) -> None:
        """Being fed nothing in the middle of a message changes nothing."""
        data = b"%1\r\n*0\r\n:1\r\n"
        self.assertEqual(self.read(data[:1], b"", data[1:]), [[([], 1)]])

    def test_searching_in_vain(self) -> None:
        """A large message that ends at no line's end keeps its beginning."""
        self.patch(resp, "HELD_LIMIT", 4)
        data = b"*2\r\n:1\r\n%1\r\n*0\r\n:1\r\n"
        self.assertEqual(
            self.read(data[:6], data[6:8], data[8:16], data[16:]), [[1, [([], 1)]]]
        )

    @given(st.lists(messages, max_size=6).map(b"".join), st.data())
    def test_like_the_plain_reader(self, stream: bytes, data: st.DataObject) -> None:
        """Whatever the cuts and the limits, it reads what the plain reader reads."""
        limit = data.draw(st.sampled_from([8, resp.HELD_LIMIT]))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
        reader, plain, found = RespReader(), PlainReader(), []
        self.patch(resp, "HELD_LIMIT", limit)
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            found += reader.feed(stream[start:end])
        expected = plain.feed(stream)
        self.assertIsNone(reader.error)
        self.assertEqual(comparable(found), comparable(expected))

    @given(st.lists(messages, max_size=4).map(b"".join))
    def test_every_byte_like_the_plain_reader(self, stream: bytes) -> None:
        """The same where each byte of any kind of message comes by itself."""
        reader, plain = RespReader(), PlainReader()
        bytes_of = [stream[place : place + 1] for place in range(len(stream))]
        found = [message for each in bytes_of for message in reader.feed(each)]
        slowly = [message for each in bytes_of for message in plain.feed(each)]
        whole = comparable(PlainReader().feed(stream))
        self.assertEqual((reader.error, plain.error), (None, None))
        self.assertEqual(comparable(found), whole)
        self.assertEqual(comparable(slowly), whole)

    @given(st.lists(st.binary(max_size=30)))
    def test_anything(self, chunks: list[bytes]) -> None:
        """No bytes make it raise."""
        reader = RespReader()
        for chunk in chunks:
            failed = reader.error is not None
            found = reader.feed(chunk)
            self.assertFalse(failed and found)


class Colour(IntEnum):
    """A number that prints as a name."""

    RED = 3


class Metres(float):
    """A number that prints with its unit."""

    def __repr__(self) -> str:
        return "a length"


class EncodeCommandTests(SynchronousTestCase):
    """Commands as bytes."""

    def parts(self, *args: Any) -> list[bytes]:
        [command] = PlainReader().feed(encode_command(args))
        parts: list[bytes] = command
        return parts

    def test_types(self) -> None:
        """Bytes are kept, text is UTF-8, numbers are their shortest text."""
        self.assertEqual(
            self.parts("SET", b"a\r\n\x00", "é", -5, 2**70, 0.1, 1e22, ""),
            [
                b"SET",
                b"a\r\n\x00",
                "é".encode(),
                b"-5",
                b"1180591620717411303424",
                b"0.1",
                b"1e+22",
                b"",
            ],
        )

    def test_kin(self) -> None:
        """Kinds of bytes and of numbers are what they stand for."""
        self.assertEqual(
            self.parts("X", Colour.RED, Metres(1.5), bytearray(b"b"), memoryview(b"m")),
            [b"X", b"3", b"1.5", b"b", b"m"],
        )

    def test_refused(self) -> None:
        """Anything else is refused by its place and value."""
        for bad in (True, None, ["a"], object()):
            with self.assertRaisesRegex(TypeError, "^argument 1 is "):
                encode_command(("GET", bad))  # type: ignore[arg-type]

    def test_no_text(self) -> None:
        """Nothing, and text that has no bytes, is refused."""
        for args in ((), ("GET", "\ud800")):
            with self.assertRaises(ValueError):
                encode_command(args)

    @given(st.lists(st.binary(), min_size=1))
    def test_round_trip(self, args: list[bytes]) -> None:
        """What is encoded is what the server reads."""
        self.assertEqual(self.parts(*args), args)
