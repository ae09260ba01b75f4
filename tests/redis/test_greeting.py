"""
Tests for L{sockhost.redis.greeting}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import MaybeExecuted, RedisReplyError
from sockhost.redis.connection import RedisConnection
from sockhost.redis.greeting import Greeting, greet
from tests.redis.fakes import HELLO, INTRODUCED, Wire

LIBRARY = [[b"CLIENT", b"SETINFO", b"LIB-NAME"], [b"CLIENT", b"SETINFO", b"LIB-VER"]]
NO = b"-ERR unknown subcommand\r\n" * 2


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
        hello, *library = self.wire.sent()
        self.assertEqual(hello, [b"HELLO", b"3"])
        self.assertEqual([each[:3] for each in library], LIBRARY)
        self.wire.send(HELLO)
        self.successResultOf(greeted)
        self.assertEqual(self.connection.server_version, "9.1.2")
        self.assertEqual(self.connection.protocol, 3)
        self.assertIsNone(self.connection.client_id)

    def test_number(self) -> None:
        """The server says which of its clients the connection is."""
        greeted = self.greet(Greeting())
        self.wire.send(b"%1\r\n$2\r\nid\r\n:7\r\n" + INTRODUCED)
        self.successResultOf(greeted)
        self.assertEqual(self.connection.client_id, 7)

    def test_everything(self) -> None:
        """User, password and name go with the first command, then the database."""
        greeted = self.greet(
            Greeting(username="u", password="", client_name="me", db=2)
        )
        self.assertEqual(
            self.wire.sent()[0],
            [b"HELLO", b"3", b"AUTH", b"u", b"", b"SETNAME", b"me"],
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
            for reply in (refusal + NO, b"+OK\r\n", b"+OK\r\n", b"+OK\r\n"):
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
        self.wire.send(b"-ERR unknown command 'HELLO'\r\n" + NO)
        self.assertEqual(self.wire.sent(), [[b"AUTH", b"u", b"p"]])

    def test_old_server_plain(self) -> None:
        """An old server is told nothing where there is nothing to say."""
        greeted = self.greet(Greeting())
        self.wire.clear()
        self.wire.send(b"-ERR unknown command 'HELLO'\r\n" + NO)
        self.assertEqual(self.wire.sent(), [])
        self.successResultOf(greeted)
        self.assertIsNone(self.connection.server_version)

    def test_library_refused(self) -> None:
        """A server that will not hear of the library is used all the same."""
        greeted = self.greet(Greeting())
        self.wire.send(HELLO.removesuffix(INTRODUCED) + NO)
        self.successResultOf(greeted)
        self.assertTrue(self.connection.reusable)

    def test_read_only(self) -> None:
        """A replica of a cluster is told that it is read from."""
        self.greet(Greeting(read_only=True))
        self.wire.clear()
        self.wire.send(HELLO)
        self.assertEqual(self.wire.sent(), [[b"READONLY"]])

    def test_refused(self) -> None:
        """Any other refusal is passed on."""
        greeted = self.greet(Greeting(password="wrong"))
        self.wire.send(b"-WRONGPASS invalid username-password pair\r\n" + NO)
        failure = self.failureResultOf(greeted, RedisReplyError)
        self.assertEqual(failure.value.code, "WRONGPASS")

    def test_hung_up(self) -> None:
        """What a server says before it hangs up is the reason."""
        greeted = self.greet(Greeting())
        self.wire.send(b"-ERR max number of clients reached\r\n")
        self.assertNoResult(greeted)
        self.wire.lose()
        self.failureResultOf(greeted, RedisReplyError)

    def test_lost(self) -> None:
        """A server that hangs up without a word was maybe told something."""
        greeted = self.greet(Greeting())
        self.wire.lose()
        self.failureResultOf(greeted, MaybeExecuted)

    def test_secret(self) -> None:
        """The password does not show."""
        self.assertNotIn("secret", repr(Greeting(password="secret")))
