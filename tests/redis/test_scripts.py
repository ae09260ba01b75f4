"""
Scripts and functions.
"""

from __future__ import annotations

import hashlib

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import MaybeExecuted, RedisReplyError
from sockhost.redis.scripts import Library, Script
from sockhost.testing.redis import MemoryRedis

NOSCRIPT = RedisReplyError("NOSCRIPT No matching script.")
NOT_FOUND = RedisReplyError("ERR Function not found")


class ScriptTests(SynchronousTestCase):
    """Scripts."""

    def setUp(self) -> None:
        self.server = MemoryRedis(Clock())
        self.client = self.server.client()
        self.script = Script("return KEYS[1]")

    def names(self) -> list[bytes]:
        """The commands that the server has got."""
        return [command[0] for command in self.server.received]

    def test_digest(self) -> None:
        """Its digest is the one that the server makes."""
        wanted = hashlib.sha1(b"return KEYS[1]").hexdigest()
        self.assertEqual(self.script.digest, wanted)

    def test_known(self) -> None:
        """A script that the server knows is run by its digest."""
        self.server.answer("EVALSHA", b"k")
        done = self.script.run(self.client, ["k"], [1])
        self.assertEqual(self.successResultOf(done), b"k")
        self.assertEqual(self.names(), [b"EVALSHA"])

    def test_unknown(self) -> None:
        """A script that it does not know is run by its text."""
        self.server.answer("EVALSHA", NOSCRIPT)
        self.server.answer("EVAL", b"k")
        # What can be gone through once must do for both.
        done = self.script.run(self.client, iter(["k"]), iter([1]))
        self.assertEqual(self.successResultOf(done), b"k")
        self.assertEqual(
            self.server.received[1], [b"EVAL", b"return KEYS[1]", b"1", b"k", b"1"]
        )

    def test_error(self) -> None:
        """An error of the script is the caller's, and not tried again."""
        self.server.answer("EVALSHA", RedisReplyError("ERR in the script"))
        self.failureResultOf(self.script.run(self.client), RedisReplyError)
        self.assertEqual(self.names(), [b"EVALSHA"])

    def test_lost(self) -> None:
        """A script whose reply was lost is not run again."""
        self.server.answer("EVALSHA", 1)
        self.server.lose_reply()
        self.failureResultOf(self.script.run(self.client), MaybeExecuted)
        self.assertEqual(self.names(), [b"EVALSHA"])

    def test_read_only(self) -> None:
        """One that only reads is run so that replicas run it."""
        script = Script("return 1", read_only=True)
        self.server.answer("EVALSHA_RO", NOSCRIPT)
        self.server.answer("EVAL_RO", 1)
        self.assertEqual(self.successResultOf(script.run(self.client)), 1)

    def test_of(self) -> None:
        """A text is as good as a script."""
        self.assertEqual(Script.of("return KEYS[1]"), self.script)
        self.assertIs(Script.of(self.script), self.script)


class LibraryTests(SynchronousTestCase):
    """Functions."""

    def setUp(self) -> None:
        self.server = MemoryRedis(Clock())
        self.client = self.server.client()
        self.library = Library("#!lua name=sums\n-- code")

    def test_name(self) -> None:
        """Its name is in its code."""
        self.assertEqual(self.library.name, "sums")
        with self.assertRaises(ValueError):
            Library("-- no name")

    def test_loaded(self) -> None:
        """A function that is there is called."""
        self.server.answer("FCALL", 3)
        called = self.client.call(self.library, "add", ["k"], [1])
        self.assertEqual(self.successResultOf(called), 3)
        self.assertEqual(len(self.server.received), 1)

    def test_not_loaded(self) -> None:
        """One that is not there is loaded and called."""
        self.server.answer("FCALL_RO", NOT_FOUND, 3)
        self.server.answer("FUNCTION", b"sums")
        called = self.client.call(self.library, "add", read_only=True)
        self.assertEqual(self.successResultOf(called), 3)
        self.assertEqual(
            self.server.received[1],
            [b"FUNCTION", b"LOAD", b"REPLACE", self.library.code],
        )

    def test_not_in_it(self) -> None:
        """One that the library does not have either is an error."""
        self.server.answer("FCALL", NOT_FOUND, NOT_FOUND)
        self.server.answer("FUNCTION", b"sums")
        called = self.client.call(self.library, "nothing")
        self.failureResultOf(called, RedisReplyError)

    def test_error(self) -> None:
        """Another error is the caller's."""
        self.server.answer("FCALL", RedisReplyError("ERR in the function"))
        self.failureResultOf(self.client.call(self.library, "add"), RedisReplyError)
        self.assertEqual(len(self.server.received), 1)
