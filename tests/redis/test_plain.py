"""
Tests for L{sockhost.redis._plain}: the whole protocol, by the book.
"""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisProtocolError, RedisReplyError
from sockhost.redis._plain import PlainReader
from sockhost.redis.resp import Push
from sockhost.redis.values import Limits


def read(data: bytes) -> list[Any]:
    """Read what must be a whole and right stream."""
    reader = PlainReader()
    messages = reader.feed(data)
    assert reader.error is None, reader.error
    assert reader.clean
    return messages


class PlainReaderTests(SynchronousTestCase):
    """Each type, and each way to be wrong."""

    def test_scalars(self) -> None:
        """Each scalar type has its value."""
        data = (
            b"+OK\r\n:-5\r\n$3\r\na\r\n\r\n$0\r\n\r\n_\r\n$-1\r\n*-1\r\n#t\r\n#f\r\n"
            b"=7\r\ntxt:a\r\n\r\n(-1234567890123456789012\r\n"
        )
        self.assertEqual(
            read(data),
            [
                b"OK",
                -5,
                b"a\r\n",
                b"",
                None,
                None,
                None,
                True,
                False,
                b"a\r\n",
                b"-1234567890123456789012",
            ],
        )

    def test_doubles(self) -> None:
        """Doubles keep their value, their sign and their infinity."""
        values = read(b",3.5\r\n,-0\r\n,inf\r\n,-inf\r\n,5e-324\r\n,10\r\n,nan\r\n")
        self.assertEqual(
            values[:1] + values[2:6], [3.5, math.inf, -math.inf, 5e-324, 10]
        )
        self.assertEqual(math.copysign(1, values[1]), -1)
        self.assertTrue(math.isnan(values[6]))

    def test_integer_limits(self) -> None:
        """Integers reach to the limits of 64 bits and not beyond."""
        self.assertEqual(
            read(b":9223372036854775807\r\n:-9223372036854775808\r\n"),
            [2**63 - 1, -(2**63)],
        )

    def test_aggregates(self) -> None:
        """Arrays, sets, maps and pushes nest."""
        data = b"*2\r\n~1\r\n:1\r\n%1\r\n+k\r\n*0\r\n>2\r\n+a\r\n_\r\n"
        array, push = read(data)
        self.assertEqual(array, [[1], {b"k": []}])
        self.assertEqual(push, [b"a", None])
        self.assertIs(type(push), Push)

    def test_errors_are_values(self) -> None:
        """Errors are values, at the top and nested, in a line or in a blob."""
        line, array = read(b"-WRONGTYPE no \xff\r\n*2\r\n!7\r\nERR a b\r\n:1\r\n")
        self.assertIsInstance(line, RedisReplyError)
        self.assertEqual((line.code, str(line)), ("WRONGTYPE", "WRONGTYPE no \ufffd"))
        self.assertIsInstance(array[0], RedisReplyError)
        self.assertEqual((str(array[0]), array[1]), ("ERR a b", 1))

    def test_attributes(self) -> None:
        """Attributes are left out wherever they stand."""
        attribute = b"|1\r\n+a\r\n*1\r\n+b\r\n"
        data = attribute + b":5\r\n*2\r\n" + attribute + b":1\r\n:2\r\n|0\r\n:3\r\n"
        self.assertEqual(read(data), [5, [1, 2], 3])

    def test_unhashable_keys(self) -> None:
        """A map whose key is a list is a list of pairs."""
        self.assertEqual(read(b"%1\r\n*1\r\n:1\r\n:2\r\n:3\r\n"), [[([1], 2)], 3])

    def test_garbage(self) -> None:
        """Each kind of bad bytes ends the stream, after what stands before it."""
        for bad in (
            b"@foo\r\n",
            b"x",
            b"*-2\r\n",
            b"$-2\r\n",
            b"*1_0\r\n",
            b":9223372036854775808\r\n",
            b": 1\r\n",
            b":\r\n",
            b"#foobar\r\n",
            b"_nil\r\n",
            b",1.2.3\r\n",
            b",\r\n",
            b",1e\r\n",
            b"(1.5\r\n",
            b"$1\r\nab\r\n",
            b"=2\r\nab\r\n",
        ):
            reader = PlainReader()
            self.assertEqual(reader.feed(b":1\r\n" + bad + b":2\r\n"), [1], bad)
            self.assertIsInstance(reader.error, RedisProtocolError)
            self.assertEqual(reader.feed(b":3\r\n"), [])

    def test_depth(self) -> None:
        """Nesting is followed to a limit."""
        self.assertEqual(len(read(b"*1\r\n" * Limits().depth + b":1\r\n")), 1)
        reader = PlainReader()
        reader.feed(b"*1\r\n" * (Limits().depth + 1))
        self.assertIsNotNone(reader.error)

    def test_every_cut(self) -> None:
        """It does not matter where the stream is cut."""
        data = b"*2\r\n$2\r\na\r\r\n%1\r\n|1\r\n+x\r\n+y\r\n+k\r\n,1.5\r\n>1\r\n#t\r\n"
        whole = read(data)
        for cut in range(len(data) + 1):
            reader = PlainReader()
            self.assertEqual(reader.feed(data[:cut]) + reader.feed(data[cut:]), whole)

    def test_clean(self) -> None:
        """It says whether something is under way, without bytes held too."""
        reader = PlainReader()
        reader.feed(b"*2\r\n:1\r\n")
        self.assertFalse(reader.clean)
        self.assertEqual(reader.feed(b":2\r\n"), [[1, 2]])
        self.assertTrue(reader.clean)

    @given(st.lists(st.binary(max_size=20)))
    def test_anything(self, chunks: list[bytes]) -> None:
        """No bytes make it raise, and an error is for ever."""
        reader = PlainReader()
        for chunk in chunks:
            failed = reader.error is not None
            messages = reader.feed(chunk)
            self.assertFalse(failed and messages)
