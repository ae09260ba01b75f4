"""
Tests for L{sockhost.redis.greeting}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisReplyError
from sockhost.redis.connection import RedisConnection
from sockhost.redis.greeting import Greeting, greet
from tests.redis.fakes import HELLO, Wire


class GreetTests(SynchronousTestCase):
    """What is said, and to which answers."""

    def setUp(self) -> None:
        clock = Clock()
        self.connection = RedisConnection(clock)
        self.wire = Wire(clock, self.connection)

    def greet(self, greeting: Greeting) -> Deferred[None]:
        return Deferred.fromCoroutine(greet(self.connection, greeting))

    def test_plain(self) -> None:
        """With nothing to say, one command is enough."""
        greeted = self.greet(Greeting())
        self.assertEqual(self.wire.sent(), [[b"HELLO", b"3"]])
        self.wire.send(HELLO)
        self.successResultOf(greeted)
        self.assertEqual(self.connection.server_version, "9.1.2")
        self.assertEqual(self.connection.protocol, 3)

    def test_everything(self) -> None:
        """User, password and name go with the first command, then the database."""
        greeted = self.greet(
            Greeting(username="u", password="", client_name="me", db=2)
        )
        self.assertEqual(
            self.wire.sent(),
            [[b"HELLO", b"3", b"AUTH", b"u", b"", b"SETNAME", b"me"]],
        )
        self.wire.send(HELLO)
        self.assertEqual(self.wire.sent(), [[b"SELECT", b"2"]])
        self.assertNoResult(greeted)
        self.wire.send(b"+OK\r\n")
        self.successResultOf(greeted)

    def test_old_server(self) -> None:
        """A server that knows no HELLO is greeted in its own way."""
        for refusal in (b"-ERR unknown command `HELLO`\r\n", b"-NOPROTO no\r\n"):
            greeted = self.greet(Greeting(password="p", client_name="me", db=1))
            self.wire.clear()
            said = []
            for reply in (refusal, b"+OK\r\n", b"+OK\r\n", b"+OK\r\n"):
                self.wire.send(reply)
                said += self.wire.sent()
            self.assertEqual(
                said,
                [[b"AUTH", b"p"], [b"CLIENT", b"SETNAME", b"me"], [b"SELECT", b"1"]],
            )
            self.successResultOf(greeted)
            self.assertEqual(self.connection.protocol, 2)

    def test_old_server_with_user(self) -> None:
        """A user is named to an old server too."""
        self.greet(Greeting(username="u", password="p"))
        self.wire.clear()
        self.wire.send(b"-ERR unknown command 'HELLO'\r\n")
        self.assertEqual(self.wire.sent(), [[b"AUTH", b"u", b"p"]])

    def test_old_server_plain(self) -> None:
        """An old server is told nothing where there is nothing to say."""
        greeted = self.greet(Greeting())
        self.wire.clear()
        self.wire.send(b"-ERR unknown command 'HELLO'\r\n")
        self.assertEqual(self.wire.sent(), [])
        self.successResultOf(greeted)
        self.assertIsNone(self.connection.server_version)

    def test_refused(self) -> None:
        """Any other refusal is passed on."""
        greeted = self.greet(Greeting(password="wrong"))
        self.wire.send(b"-WRONGPASS invalid username-password pair\r\n")
        failure = self.failureResultOf(greeted, RedisReplyError)
        self.assertEqual(failure.value.code, "WRONGPASS")

    def test_secret(self) -> None:
        """The password does not show."""
        self.assertNotIn("secret", repr(Greeting(password="secret")))
