"""
The bytes that the Redis server in memory answers with.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisReplyError
from sockhost.redis.resp import RespReader
from sockhost.testing.redis.replies import encode_reply
from sockhost.testing.redis.table import Scored, Status


class RepliesTests(SynchronousTestCase):
    """Values as bytes."""

    def both(self, value: Any) -> tuple[Any, Any]:
        """What is read of them in RESP2, and in RESP3."""
        (old,) = RespReader().feed(encode_reply(value, 2))
        (new,) = RespReader().feed(encode_reply(value, 3))
        return old, new

    def test_values(self) -> None:
        """Each value is what the protocol has for it."""
        for value, old, new in (
            (None, None, None),
            (True, 1, True),
            (7, 7, 7),
            (1.5, b"1.5", 1.5),
            (float("inf"), b"inf", float("inf")),
            ("text", b"text", b"text"),
            (Status(b"OK"), b"OK", b"OK"),
            ({b"a": 1}, [b"a", 1], {b"a": 1}),
            (Scored([(b"a", 1.0)]), [b"a", b"1"], [[b"a", 1.0]]),
            ([None, [b"x"]], [None, [b"x"]], [None, [b"x"]]),
        ):
            self.assertEqual(self.both(value), (old, new))

    def test_error(self) -> None:
        """An error is one, also within a list."""
        (value,) = self.both([RedisReplyError("ERR no")])[:1]
        self.assertIsInstance(value[0], RedisReplyError)

    def test_unfit(self) -> None:
        """What no reply can be made of is refused."""
        with self.assertRaises(TypeError):
            encode_reply(object())
