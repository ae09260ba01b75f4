"""
Tests for L{sockhost.redis.monitor}: the commands that a server is given.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    RedisConnectionError,
    RedisProtocolError,
    RedisReplyError,
)
from sockhost.redis.connection import RedisConnection
from sockhost.redis.mailbox import Overflow
from sockhost.redis.monitor import (
    Monitor,
    MonitoredCommand,
    MonitorListener,
    monitor,
    parse_line,
    start_monitoring,
    stop_monitoring,
)
from tests.redis.fakes import Wire

LINE = b'1339518083.107412 [0 127.0.0.1:60866] "keys" "*"'
NAMED = {7: b"\\a", 8: b"\\b", 9: b"\\t", 10: b"\\n", 13: b"\\r"}


def quoted(value: bytes) -> bytes:
    """Write an argument as the server does."""
    shown = b""
    for code in value:
        if code in b'\\"':
            shown += b"\\%c" % code
        elif code in NAMED:
            shown += NAMED[code]
        else:
            shown += b"%c" % code if 32 <= code < 127 else b"\\x%02x" % code
    return b'"%s"' % shown


class LineTests(SynchronousTestCase):
    """L{parse_line}."""

    def test_plain(self) -> None:
        """A line has a time, a database, an address and arguments."""
        expected = MonitoredCommand(
            1339518083.107412, 0, "127.0.0.1:60866", (b"keys", b"*")
        )
        self.assertEqual(parse_line(LINE), expected)

    def test_addresses(self) -> None:
        """Addresses are of IPv4, IPv6, Unix sockets of any name, and scripts."""
        for address in ("[::1]:6379", "unix:/run/a b] c/v.sock", "lua", "unix:"):
            line = b'1.5 [15 %s] "GET" "a"' % address.encode()
            command = parse_line(line)
            self.assertEqual((command.db, command.address), (15, address))
            self.assertEqual(command.args, (b"GET", b"a"))

    def test_quoted(self) -> None:
        """Quotes, spaces and backslashes in arguments are theirs."""
        line = rb'1.0 [0 lua] "SET" "a \"b\" c" "\\" "] \"x\"" ""'
        args = (b"SET", b'a "b" c', b"\\", b'] "x"', b"")
        self.assertEqual(parse_line(line).args, args)

    @given(st.lists(st.binary(), min_size=1))
    def test_any_argument(self, args: list[bytes]) -> None:
        """Whatever the arguments are, they are read as they were."""
        line = b"1.0 [0 127.0.0.1:1] " + b" ".join(map(quoted, args))
        self.assertEqual(parse_line(line).args, tuple(args))

    def test_no_line(self) -> None:
        """What is no line is refused."""
        for line in (
            b"",
            b"OK",
            b'1.0 [0 a] "GET',
            b"1.0 [0 a]",
            LINE + b'"',
            b"x" * 99,
        ):
            with self.assertRaises(RedisProtocolError):
                parse_line(line)


class StateTests(SynchronousTestCase):
    """L{start_monitoring}: the state of a connection."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.connection = RedisConnection(self.clock)
        self.wire = Wire(self.clock, self.connection)
        self.lines: list[bytes] = []

    def test_before_and_after(self) -> None:
        """
        What was sent before MONITOR, and what is sent after it, is answered by
        its own reply, however they come.
        """
        before = self.connection.execute("GET", "a")
        started = start_monitoring(self.connection, self.lines.append)
        after = self.connection.execute("PING")
        self.clock.advance(0)
        line = b"+" + LINE + b"\r\n"
        self.wire.send(b"$1\r\nx\r\n+OK\r\n" + line + b"+PONG\r\n" + line + line)
        self.assertEqual(self.successResultOf(before), b"x")
        self.assertIsNone(self.successResultOf(started))
        self.assertEqual(self.successResultOf(after), b"PONG")
        self.assertEqual(self.lines, [LINE] * 3)
        late = self.connection.execute("GET", "b")
        self.wire.send(line + b"-ERR no\r\n" + line)
        self.failureResultOf(late, RedisReplyError)
        self.assertEqual(len(self.lines), 5)

    def test_not_before_ok(self) -> None:
        """A reply that looks like a line is a reply until MONITOR is answered."""
        before = self.connection.execute("ECHO", LINE)
        start_monitoring(self.connection, self.lines.append)
        self.wire.send(b"+" + LINE + b"\r\n+OK\r\n")
        self.assertEqual(self.successResultOf(before), LINE)
        self.assertEqual(self.lines, [])

    def test_refused(self) -> None:
        """Where the server refuses, the state is not entered."""
        started = start_monitoring(self.connection, self.lines.append)
        self.wire.send(b"-NOPERM no\r\n")
        self.failureResultOf(started, RedisReplyError)
        self.assertIsNone(self.connection.on_message)

    def test_left(self) -> None:
        """After RESET a reply that looks like a line is a reply again."""
        start_monitoring(self.connection, self.lines.append)
        line = b"+" + LINE + b"\r\n"
        self.wire.send(b"+OK\r\n" + line)
        self.connection.protocol = 3
        left = stop_monitoring(self.connection)
        after = self.connection.execute("ECHO", LINE)
        self.clock.advance(0)
        self.wire.send(line + b"+RESET\r\n" + line)
        self.assertIsNone(self.successResultOf(left))
        self.assertEqual(self.successResultOf(after), LINE)
        self.assertEqual(len(self.lines), 2)
        self.assertEqual(self.connection.protocol, 2)

    def test_not_left(self) -> None:
        """A server that does not know how goes on to tell lines."""
        start_monitoring(self.connection, self.lines.append)
        line = b"+" + LINE + b"\r\n"
        left = self.connection.execute("PING")
        self.wire.send(b"+OK\r\n")
        refused = stop_monitoring(self.connection)
        self.clock.advance(0)
        self.wire.send(b"+PONG\r\n-ERR unknown command\r\n" + line)
        self.successResultOf(left)
        self.failureResultOf(refused, RedisReplyError)
        self.assertEqual(self.lines, [LINE])


class MonitorTests(SynchronousTestCase):
    """L{Monitor}."""

    def start(
        self,
        listener: MonitorListener | None = None,
        max_buffered: int = 10,
        overflow: Overflow = Overflow.DROP_OLDEST,
    ) -> Monitor:
        self.clock = Clock()
        self.connection = RedisConnection(self.clock)
        self.wire = Wire(self.clock, self.connection)
        starting: Deferred[Monitor] = Deferred.fromCoroutine(
            monitor(
                {"": lambda: succeed(self.connection)},
                listener,
                max_buffered,
                overflow,
            )
        )
        self.wire.send(b"+OK\r\n")
        return self.successResultOf(starting)

    def send(self, *numbers: int) -> None:
        for number in numbers:
            self.wire.send(b'+1.0 [0 lua] "%d"\r\n' % number)

    def test_iterate(self) -> None:
        """Commands are iterated over until it is closed."""
        new = self.start()
        self.send(1, 2)
        closing = new.close()
        self.send(3)
        self.clock.advance(0)
        self.successResultOf(closing)
        heard = Deferred.fromCoroutine(self.collect(new))
        self.assertEqual(self.successResultOf(heard), [b"1", b"2"])

    async def collect(self, new: Monitor) -> list[bytes]:
        return [command.args[0] async for command in new]

    def test_lost(self) -> None:
        """A loss ends it with the reason."""
        new = self.start()
        self.send(1)
        self.wire.lose()
        self.successResultOf(new.next())
        self.failureResultOf(new.next(), RedisConnectionError)

    def test_when_ended(self) -> None:
        """Who has a callback is told of the loss too, and of no loss after a close."""
        new = self.start(lambda command: None)
        ended, cancelled = new.when_ended(), new.when_ended()
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.assertNoResult(ended)
        self.wire.lose()
        self.assertIsInstance(self.successResultOf(ended), RedisConnectionError)
        later = self.successResultOf(new.when_ended())
        self.assertIsInstance(later, RedisConnectionError)
        new = self.start(lambda command: None)
        ended = new.when_ended()
        self.assertNoResult(new.close())
        self.clock.advance(0)
        self.assertIsNone(self.successResultOf(ended))

    def test_several(self) -> None:
        """Of several servers each command has its node, and one loss is the end."""
        clock = Clock()
        connections = {node: RedisConnection(clock) for node in ("a:1", "b:2")}
        wires = {node: Wire(clock, each) for node, each in connections.items()}
        borrows = {
            node: lambda each=each: succeed(each) for node, each in connections.items()
        }
        starting = Deferred.fromCoroutine(
            monitor(borrows, None, 10, Overflow.DROP_OLDEST)
        )
        for wire in wires.values():
            wire.send(b"+OK\r\n")
        new = self.successResultOf(starting)
        wires["b:2"].send(b'+1.0 [0 lua] "x"\r\n')
        self.assertEqual(self.successResultOf(new.next()).node, "b:2")
        wires["a:1"].lose()
        self.assertTrue(wires["b:2"].aborted)
        self.failureResultOf(new.next(), RedisConnectionError)

    def test_lost_at_the_start(self) -> None:
        """One that is lost while another is connected to leaves neither."""
        clock = Clock()
        first, second = RedisConnection(clock), RedisConnection(clock)
        wires = [Wire(clock, each) for each in (first, second)]
        connecting: Deferred[RedisConnection] = Deferred()
        borrows = {"a:1": lambda: succeed(first), "b:2": lambda: connecting}
        starting = Deferred.fromCoroutine(
            monitor(borrows, None, 10, Overflow.DROP_OLDEST)
        )
        wires[0].send(b"+OK\r\n")
        wires[0].lose()
        connecting.callback(second)
        failure = self.failureResultOf(starting, RedisConnectionError)
        self.assertIn("lost", str(failure.value))
        self.assertTrue(wires[1].aborted)

    def test_listener(self) -> None:
        """What a listener raises is logged; the next command comes all the same."""
        heard: list[Any] = []

        async def listener(command: MonitoredCommand) -> None:
            heard.append(command.args)
            raise ZeroDivisionError

        self.start(listener)
        self.send(1, 2)
        self.assertEqual(heard, [(b"1",), (b"2",)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_sync_listener_fails(self) -> None:
        """A plain listener that raises neither ends it nor takes a reply."""

        def listener(command: MonitoredCommand) -> None:
            raise ZeroDivisionError

        self.start(listener)
        self.send(1)
        reply = self.connection.execute("PING")
        self.wire.send(b"+PONG\r\n")
        self.assertEqual(self.successResultOf(reply), b"PONG")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_bounded(self) -> None:
        """No more than the limit are kept; the others are counted."""
        new = self.start(max_buffered=2)
        self.send(1, 2, 3)
        self.assertEqual(self.successResultOf(new.next()).args, (b"2",))
        self.assertEqual(new.dropped, 1)

    def test_pause(self) -> None:
        """With back-pressure the connection is not read while it is full."""
        new = self.start(max_buffered=2, overflow=Overflow.PAUSE)
        self.send(1, 2)
        self.assertEqual(self.wire.producerState, "paused")
        self.successResultOf(new.next())
        self.assertEqual(self.wire.producerState, "producing")

    def test_refused(self) -> None:
        """The connection of one that does not come about is ended."""
        clock = Clock()
        connection = RedisConnection(clock)
        wire = Wire(clock, connection)
        starting = Deferred.fromCoroutine(
            monitor({"": lambda: succeed(connection)}, None, 1, Overflow.PAUSE)
        )
        wire.send(b"-NOPERM no\r\n")
        self.failureResultOf(starting, RedisReplyError)
        self.assertTrue(wire.aborted)
