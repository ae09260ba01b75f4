"""
Tests for L{sockhost.redis.unit}: new configurations.
"""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError  # noqa: A004

from sockhost.interfaces import MaybeExecuted, RedisConnectionError, RedisError
from tests.redis.test_unit import CONFIG, UnitCase


class ReloadTests(UnitCase):
    """New configurations for a running unit."""

    def test_limits(self) -> None:
        """Limits change without a new connection."""
        wire = self.up()
        new = evolve(CONFIG, wait=0.0)
        self.assertTrue(self.successResultOf(self.unit.reload(new)))
        self.assertTrue(self.client.connected)
        wire.lose()
        self.failureResultOf(self.client.execute("A"), RedisConnectionError)

    def test_reconnect(self) -> None:
        """A new place: the old is drained, commands wait, the client stays."""
        old = self.up()
        sent = self.client.execute("A")
        reloading = self.unit.reload(evolve(CONFIG, url="unix:///run/w.sock"))
        waiting = self.client.execute("B")
        old.send(b":1\r\n")
        self.reactor.advance(0)
        self.assertEqual(self.successResultOf(sent), 1)
        self.assertEqual(self.reactor.unixClients[-1][0], "/run/w.sock")
        new = self.server.greet()
        self.assertTrue(self.successResultOf(reloading))
        self.assertEqual(new.sent()[-1], [b"B"])
        self.assertNoResult(waiting)
        self.assertEqual(self.losses, [])

    def test_nobody_there(self) -> None:
        """Where the new place does not answer, the unit is lost."""
        self.up()
        reloading = self.unit.reload(evolve(CONFIG, url="unix:///run/w.sock"))
        self.reactor.advance(0)
        self.server.refuse(ConnectionRefusedError())
        self.assertTrue(self.successResultOf(reloading))
        self.assertEqual(len(self.losses), 1)
        self.assert_nothing_left()

    def test_no_credentials(self) -> None:
        """Where nobody says as whom to connect, the unit is lost."""

        def away() -> tuple[None, str]:
            raise OSError("the vault is away")

        self.up()
        reloading = self.unit.reload(evolve(CONFIG, credentials=away))
        self.reactor.advance(0)
        self.assertTrue(self.successResultOf(reloading))
        [loss] = self.losses
        self.assertIn("the vault is away", str(loss.value))
        self.assert_nothing_left()

    def test_cancelled_while_draining(self) -> None:
        """A change that is given up leaves no unit that only seems to be up."""
        old = self.up()
        sent = self.client.execute("A")
        reloading = self.unit.reload(evolve(CONFIG, url="unix:///run/w.sock"))
        reloading.cancel()
        self.assertEqual(self.losses, [])
        self.reactor.advance(0)
        self.failureResultOf(reloading, CancelledError)
        self.failureResultOf(sent, MaybeExecuted)
        self.assertTrue(old.aborted)
        self.assertEqual(len(self.losses), 1)
        self.assert_nothing_left()

    def test_cancelled_while_connecting(self) -> None:
        """So it is where the new connection was being made already."""
        self.up()
        reloading = self.unit.reload(evolve(CONFIG, url="unix:///run/w.sock"))
        self.reactor.advance(0)
        new = self.server.accept()
        reloading.cancel()
        self.reactor.advance(0)
        self.failureResultOf(reloading, CancelledError)
        self.assertTrue(new.aborted)
        self.assertEqual(len(self.losses), 1)
        self.assert_nothing_left()

    def test_bad(self) -> None:
        """A configuration that cannot be used changes nothing."""
        self.up()
        new = evolve(CONFIG, password_env="SOCKHOST_TEST_UNSET", wait=0.0)
        self.failureResultOf(self.unit.reload(new), RedisError)
        self.assertTrue(self.client.connected)

    def test_stop_meanwhile(self) -> None:
        """A stop during the change leaves nothing."""
        self.up()
        reloading = self.unit.reload(evolve(CONFIG, url="unix:///run/w.sock"))
        self.reactor.advance(0)
        self.successResultOf(self.unit.stop())
        self.failureResultOf(reloading, CancelledError)
        self.assert_nothing_left()

    def test_stop_while_draining(self) -> None:
        """A stop before the old connection is drained makes no new one."""
        old = self.up()
        self.client.execute("A")
        reloading = self.unit.reload(evolve(CONFIG, url="unix:///run/w.sock"))
        stopping = self.unit.stop()
        old.send(b":1\r\n")
        self.reactor.advance(0)
        self.successResultOf(stopping)
        self.failureResultOf(reloading, CancelledError)
        self.assertEqual(self.server.attempts, 1)
        self.assert_nothing_left()
