"""
The tests that hiredis and hiredis-py have for their readers and packers, held
against both of ours, and what ours must do beyond.  Each is named for what
hiredis calls it.
"""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    RedisDenied,
    RedisLoading,
    RedisMaxClients,
    RedisProtocolError,
    RedisReplyError,
)
from sockhost.redis import resp
from sockhost.redis._plain import PlainReader
from sockhost.redis.resp import Limits, Push, RespReader, encode_command, pack_plainly

LONGEST = (1 << 63) - 1


def readers(limits: Limits = Limits()) -> list[Any]:  # noqa: B008
    """One of each reader."""
    return [RespReader(limits), PlainReader(limits)]


def shown(value: Any) -> str:
    """Like C{repr}, also of what is nested too deep for it."""
    depth = 0
    while type(value) is list and len(value) == 1:
        value, depth = value[0], depth + 1
    return f"{depth} {value!r}"


class _Case(SynchronousTestCase):
    def read(self, data: bytes, limits: Limits = Limits()) -> Any:  # noqa: B008
        """What both readers make of one message, whole and cut at each byte."""
        values = []
        for reader in readers(limits):
            values.append(reader.feed(data))
            self.assertIsNone(reader.error)
        for reader in readers(limits):
            cut = [message for byte in data for message in reader.feed(bytes([byte]))]
            self.assertIsNone(reader.error)
            values.append(cut)
        first = values[0]
        for other in values:
            self.assertEqual(shown(other), shown(first))
        [message] = first
        return message

    def refuse(self, data: bytes, limits: Limits = Limits()) -> str:  # noqa: B008
        """Neither reader takes it; say why, and that this is for good."""
        for reader in readers(limits):
            self.assertEqual(reader.feed(data), [], data)
            self.assertIsInstance(reader.error, RedisProtocolError, data)
            error = reader.error
            self.assertEqual(reader.feed(b"+OK\r\n"), [])
            self.assertIs(reader.error, error)
        return str(error)


class HiredisReaderTests(_Case):
    """hiredis, test.c: the reply parsing tests."""

    def test_error_handling_in_reply_parser(self) -> None:
        """A message that begins as none does."""
        self.assertIn("@", self.refuse(b"@foo\r\n"))

    def test_memory_cleanup_in_reply_parser(self) -> None:
        """The same within an array that has begun well."""
        self.refuse(b"*2\r\n$5\r\nhello\r\n@foo\r\n")

    def test_set_error_when_array_nested_more_than_the_limit(self) -> None:
        """128 deep is read; as deep as the limit is; one more is not."""
        self.read(b"*1\r\n" * 128 + b":1\r\n")
        self.read(b"*1\r\n" * 1024 + b":1\r\n")
        self.refuse(b"*1\r\n" * 1025 + b":1\r\n")
        self.read(b"*1\r\n" * 7 + b":1\r\n", Limits(depth=7))
        self.refuse(b"*1\r\n" * 8 + b":1\r\n", Limits(depth=7))
        for reader in readers(Limits(depth=5000)):
            [message] = reader.feed(b"*1\r\n" * 4000 + b":1\r\n")
            self.assertEqual(len(message), 1)

    def test_correctly_parses_llong_max_and_min(self) -> None:
        """Integers of 64 bits are exact, and one more is too many."""
        self.assertEqual(self.read(b":%d\r\n" % LONGEST), LONGEST)
        self.assertEqual(self.read(b":%d\r\n" % (-LONGEST - 1)), -LONGEST - 1)
        self.refuse(b":%d\r\n" % (LONGEST + 1))
        self.refuse(b":%d\r\n" % (-LONGEST - 2))
        self.refuse(b":\r\n")
        self.refuse(b":1x\r\n")

    def test_set_error_when_array_or_bulk_is_out_of_range(self) -> None:
        """Lengths below that of nil, and beyond what anybody has."""
        for kind in (b"*", b"$", b"%", b"~", b">", b"="):
            self.refuse(kind + b"-2\r\n")
            self.refuse(kind + b"9223372036854775808\r\n")
        self.refuse(b"*4294967296\r\n")
        self.refuse(b"%9223372036854775807\r\n")
        self.refuse(b"*4294967295\r\n")

    def test_maxelements(self) -> None:
        """The number of elements has a limit of its own."""
        limits = Limits(elements=3)
        self.assertEqual(self.read(b"*3\r\n:1\r\n:2\r\n:3\r\n", limits), [1, 2, 3])
        self.refuse(b"*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n", limits)
        self.refuse(b"%4\r\n" + b":1\r\n:2\r\n" * 4, limits)
        self.refuse(b"*?\r\n" + b":1\r\n" * 8, limits)

    def test_bulk_limit(self) -> None:
        """So has the length of a string, of a line, and of one in pieces."""
        limits = Limits(bulk=5)
        self.assertEqual(self.read(b"$5\r\nabcde\r\n", limits), b"abcde")
        self.refuse(b"$6\r\nabcdef\r\n", limits)
        self.refuse(b"+abcdef\r\n", limits)
        self.refuse(b"+" + b"a" * 100, limits)
        self.refuse(b"$?\r\n;3\r\nabc\r\n;3\r\ndef\r\n;0\r\n", limits)

    def test_works_when_a_single_newline_is_covered_by_two_calls(self) -> None:
        """A line end that is cut in two."""
        for reader in readers():
            self.assertEqual(reader.feed(b"$1\r\na\r"), [])
            self.assertEqual(reader.feed(b"\n+OK\r"), [b"a"])
            self.assertEqual(reader.feed(b"\n"), [b"OK"])

    def test_do_not_reset_state_after_protocol_error(self) -> None:
        """A protocol error stays."""
        self.refuse(b"x")

    def test_dont_do_empty_allocation_for_empty_multi_bulk(self) -> None:
        """Empty aggregates."""
        for kind, empty in ((b"*", []), (b"~", []), (b"%", {})):
            self.assertEqual(self.read(kind + b"0\r\n"), empty)
        self.assertEqual(self.read(b">0\r\n"), Push())

    def test_can_parse_resp3_verbatim_strings(self) -> None:
        """The format is left out."""
        self.assertEqual(self.read(b"=10\r\ntxt:LOLWUT\r\n"), b"LOLWUT")
        self.refuse(b"=3\r\ntxt\r\n")

    def test_can_parse_resp3_push(self) -> None:
        """A push is of a type of its own, at every length."""
        push = self.read(b">3\r\n$6\r\nLOLWUT\r\n:42\r\n+ok\r\n")
        self.assertIs(type(push), Push)
        self.assertEqual(push, [b"LOLWUT", 42, b"ok"])
        self.assertEqual(type(self.read(b">1\r\n+x\r\n")), Push)

    def test_can_parse_resp3_doubles(self) -> None:
        """Doubles are exact, and their oddities are kept."""
        for text, value in (
            (b"3.14159265358979323846", math.pi),
            (b"inf", math.inf),
            (b"-inf", -math.inf),
            (b"5e-324", 5e-324),
            (b"1.7976931348623157e+308", 1.7976931348623157e308),
            (b"1", 1.0),
        ):
            self.assertEqual(self.read(b"," + text + b"\r\n"), value)
        for text in (b"nan", b"-nan", b"NaN"):
            self.assertTrue(math.isnan(self.read(b"," + text + b"\r\n")))
        self.assertEqual(math.copysign(1, self.read(b",-0.0\r\n")), -1.0)
        self.assertEqual(self.read(b"*1\r\n,3.14\r\n"), [3.14])

    def test_set_error_on_invalid_resp3_double(self) -> None:
        """What is no double."""
        for text in (b"", b"1.2.3", b"1e", b"1,5", b"3.14x", b"1\x002", b"1_0", b" 1"):
            self.refuse(b"," + text + b"\r\n")

    def test_correctly_parses_resp3_nil_and_bool(self) -> None:
        """Nil, true and false; and what is neither."""
        self.assertIsNone(self.read(b"_\r\n"))
        self.assertIs(self.read(b"#t\r\n"), True)
        self.assertIs(self.read(b"#f\r\n"), False)
        for bad in (b"_nil\r\n", b"#foobar\r\n", b"#\r\n"):
            self.refuse(bad)

    def test_can_parse_resp3_map_set_attribute_bignum(self) -> None:
        """Maps, sets, attributes and big numbers."""
        self.assertEqual(self.read(b"%1\r\n+a\r\n:1\r\n"), {b"a": 1})
        self.assertEqual(self.read(b"~2\r\n+a\r\n+b\r\n"), [b"a", b"b"])
        self.assertEqual(self.read(b"|1\r\n+ttl\r\n:3600\r\n+a\r\n"), b"a")
        digits = b"3492890328409238509324850943850943825024385"
        self.assertEqual(self.read(b"(" + digits + b"\r\n"), digits)
        self.refuse(b"(12x\r\n")

    def test_can_parse_streamed_replies(self) -> None:
        """Strings in pieces, and aggregates without a count (not in hiredis)."""
        self.assertEqual(self.read(b"$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n"), b"Hello")
        self.assertEqual(self.read(b"$?\r\n;0\r\n"), b"")
        self.assertEqual(self.read(b"*?\r\n:1\r\n*?\r\n.\r\n.\r\n"), [1, []])
        self.assertEqual(self.read(b"%?\r\n+a\r\n:1\r\n.\r\n"), {b"a": 1})
        self.assertEqual(self.read(b"~?\r\n:1\r\n.\r\n"), [1])
        for bad in (
            b".\r\n",
            b"*1\r\n.\r\n",
            b"%?\r\n+a\r\n.\r\n",
            b";1\r\na\r\n",
            b"$?\r\n+a\r\n",
            b"*?\r\n.x\r\n",
        ):
            self.refuse(bad)


class HiredisPyTests(_Case):
    """hiredis-py, test_reader.py and test_pack.py."""

    def test_error_strings_that_are_no_utf8(self) -> None:
        """An error is text whatever its bytes are."""
        error = self.read(b"-ERR \xff\xfe\r\n")
        self.assertIsInstance(error, RedisReplyError)
        self.assertEqual(error.code, "ERR")

    def test_errors_in_nested_multi_bulk(self) -> None:
        """Errors are values where they stand; blob errors too."""
        one, [two] = self.read(b"*2\r\n-ERR a\r\n*1\r\n!7\r\nERR b c\r\n")
        self.assertEqual((str(one), str(two)), ("ERR a", "ERR b c"))

    def test_typed_errors(self) -> None:
        """Errors that a program must tell apart are of types of their own."""
        for text, kind in (
            (b"ERR max number of clients reached", RedisMaxClients),
            (b"LOADING dataset", RedisLoading),
            (b"-DENIED protected", RedisDenied),
            (b"DENIED protected", RedisDenied),
            (b"NOAUTH first", RedisDenied),
            (b"WRONGPASS no", RedisDenied),
            (b"NOPERM no", RedisDenied),
            (b"ERR other", RedisReplyError),
        ):
            self.assertIs(type(self.read(b"-" + text + b"\r\n")), kind)

    def test_unhashable_map_keys(self) -> None:
        """A map whose key is a list loses nothing, and the reader goes on."""
        self.assertEqual(self.read(b"%1\r\n*1\r\n:1\r\n:2\r\n"), [([1], 2)])
        reader = RespReader()
        reader.feed(b"%1\r\n*1\r\n:1\r\n:2\r\n")
        self.assertEqual(reader.feed(b"+OK\r\n"), [b"OK"])

    def test_status_and_bulk_and_binary(self) -> None:
        """Bytes are what was sent, NULs and line ends among them."""
        data = bytes(range(256)) + b"\r\n$5\r\n|*~"
        self.assertEqual(self.read(b"$%d\r\n%s\r\n" % (len(data), data)), data)

    def test_attribute_is_no_reply(self) -> None:
        """An attribute never shifts what follows it, anywhere."""
        inner = b"*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n"
        self.assertEqual(self.read(inner), [1, 2])
        reader = RespReader()
        self.assertEqual(
            reader.feed(b":1\r\n|1\r\n+a\r\n+b\r\n:2\r\n:3\r\n"), [1, 2, 3]
        )

    def test_pack(self) -> None:
        """Both packers make the same of everything, and refuse the same."""
        commands: list[tuple[Any, ...]] = [
            ("SET", "a", b"\x00\r\n"),
            ("SET", 1, 1.5, 2**128, -0.0),
            ("SET", memoryview(b"x"), bytearray(b"y"), "\xe9"),
            ("",),
        ]
        for args in commands:
            self.assertEqual(encode_command(args), pack_plainly(args))
        for bad in (None, True, object(), [1]):
            with self.assertRaises(TypeError):
                pack_plainly(("SET", bad))  # type: ignore[arg-type]
            with self.assertRaises(TypeError):
                encode_command(("SET", bad))  # type: ignore[arg-type]


class WithoutHiredisTests(SynchronousTestCase):
    """Where the library in C is missing."""

    def setUp(self) -> None:
        self.patch(resp, "hiredis", None)

    def test_reads(self) -> None:
        """The reader in Python does everything, and stays."""
        reader = RespReader()
        self.assertEqual(reader.feed(b"+a\r\n>1\r\n+p\r\n"), [b"a", Push([b"p"])])
        self.assertEqual(reader.feed(b"%1\r\n+a\r\n#f\r\n"), [{b"a": False}])
        reader.feed(b"@")
        self.assertIsInstance(reader.error, RedisProtocolError)


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-LONGEST - 1, LONGEST),
        st.floats(allow_nan=False),
        st.binary(max_size=20),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.binary(max_size=5), inner, max_size=3),
    ),
    max_leaves=12,
)


def written(value: Any, streamed: bool) -> bytes:
    """Write a value as a server would."""
    if value is None:
        return b"_\r\n"
    if isinstance(value, bool):
        return b"#t\r\n" if value else b"#f\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, float):
        return b",%s\r\n" % repr(value).encode()
    if isinstance(value, bytes):
        return _written_string(value, streamed)
    if isinstance(value, dict):
        items = [each for pair in value.items() for each in pair]
        return _written_aggregate(b"%", len(value), items, streamed)
    return _written_aggregate(b"*", len(value), value, streamed)


def _written_string(value: bytes, streamed: bool) -> bytes:
    if not streamed:
        return b"$%d\r\n%s\r\n" % (len(value), value)
    pieces = [value[at : at + 3] for at in range(0, len(value), 3)]
    body = b"".join(b";%d\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"$?\r\n" + body + b";0\r\n"


def _written_aggregate(
    kind: bytes, count: int, items: list[Any], streamed: bool
) -> bytes:
    body = b"".join(written(each, streamed) for each in items)
    if streamed:
        return kind + b"?\r\n" + body + b".\r\n"
    return kind + b"%d\r\n" % count + body


class AgreementTests(SynchronousTestCase):
    """The two readers, held against each other and against what was written."""

    @given(st.lists(st.tuples(values, st.booleans()), max_size=5), st.data())
    def test_round_trip(
        self, messages: list[tuple[Any, bool]], data: st.DataObject
    ) -> None:
        """Any values, streamed or not, cut anywhere, are read as they were."""
        stream = b"".join(written(value, streamed) for value, streamed in messages)
        cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
        for reader in readers():
            got: list[Any] = []
            for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
                got += reader.feed(stream[start:end])
            self.assertEqual(got, [value for value, _ in messages])
            self.assertIsNone(reader.error)

    @given(st.lists(values, min_size=1, max_size=3))
    def test_every_byte(self, messages: list[Any]) -> None:
        """A stream that comes byte by byte gives the same messages."""
        stream = b"".join(written(value, False) for value in messages)
        for reader in readers():
            got = [each for byte in stream for each in reader.feed(bytes([byte]))]
            self.assertEqual(got, messages)

    @given(st.binary(max_size=60), st.integers(0, 60))
    def test_garbage(self, stream: bytes, cut: int) -> None:
        """On any bytes they agree about the messages and about the end."""
        outcomes = []
        for reader in readers():
            got = reader.feed(stream[:cut]) + reader.feed(stream[cut:])
            outcomes.append((repr(got), reader.error is None))
        self.assertEqual(*outcomes)
