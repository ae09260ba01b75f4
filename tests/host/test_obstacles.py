# -*- test-case-name: tests.host.test_obstacles -*-
"""
Tests for L{sockhost.host.order}: units that cannot start, or may not yet.
"""

from __future__ import annotations

from sockhost.config import RestartPolicy
from sockhost.interfaces import UnitFailed, UnitLost
from sockhost.status import State
from tests.host.test_fakes import unit_config
from tests.host.test_order import OrderCase


class ObstacleTests(OrderCase):
    """Who cannot start, and what it says."""

    def test_failed(self) -> None:
        """A requirement that failed is named with its reason."""
        self.add(unit_config("a"), unit_config("b", "a"))
        self.order.want(["b"])
        self.units["a"].fail(UnitLost("exit code 3"))
        self.assertEqual(
            self.reason("b"),
            "requires a, which is failed: exit code 3; restart = never",
        )
        self.assertEqual(self.state("b"), State.DOWN)

    def test_quarantined(self) -> None:
        """So is one whose configuration is bad."""
        self.quarantine("a")
        self.add(unit_config("b", "a"))
        self.order.want(["b"])
        self.assertEqual(
            self.reason("b"), "requires a, which is quarantined: its table is bad"
        )

    def test_chain(self) -> None:
        """The reason goes back to where it began."""
        self.quarantine("a")
        self.add(unit_config("b", "a"), unit_config("c", "b"))
        self.order.want(["c"])
        self.assertEqual(
            self.reason("c"),
            "requires b, which requires a, which is quarantined: its table is bad",
        )

    def test_each_is_looked_at_once(self) -> None:
        """What a long chain lacks is found by a look at each, not at each way."""
        self.quarantine("u0")
        for index in range(1, 50):
            self.add(unit_config(f"u{index}", f"u{index - 1}"))
        self.order.want(["u49"])
        self.assertTrue(self.order.decided("u49"))
        self.assertIn("requires u0, which is quarantined", self.reason("u49") or "")

    def test_many_ways(self) -> None:
        """Layers of units that all require all below cost a look at each."""
        self.add(unit_config("a0"), unit_config("b0"))
        for index in range(1, 40):
            below = (f"a{index - 1}", f"b{index - 1}")
            self.add(unit_config(f"a{index}", *below), unit_config(f"b{index}", *below))
        self.order.want(["a39", "b39"])
        self.assertEqual(self.running(), {"a0", "b0"})

    def test_stopped(self) -> None:
        """A requirement that somebody stops meanwhile is not waited for."""
        self.add(unit_config("a"), unit_config("b", "a"))
        self.order.want(["b"])
        self.keepers["a"].stop("ann").addErrback(lambda _: None)
        self.units["a"].stopped()
        self.assertEqual(self.reason("b"), "requires a, which was told to stay down")
        self.assertTrue(self.order.decided("b"))

    def test_decided(self) -> None:
        """Decided is who is up, has been given up on, or cannot start."""
        self.add(unit_config("a"), unit_config("b", "a"), unit_config("c"))
        self.order.want(["b", "c"])
        decided = self.order.decided
        self.assertEqual([decided(n) for n in "abc"], [False, False, False])
        self.units["c"].ready()
        self.assertEqual([decided(n) for n in "abc"], [False, False, True])
        self.units["a"].fail(UnitLost("gone"))
        self.assertEqual([decided(n) for n in "abc"], [True, True, True])

    def test_mended(self) -> None:
        """Who waits starts by itself when the requirement is mended."""
        self.add(unit_config("a"), unit_config("b", "a"))
        self.order.want(["b"])
        self.units["a"].fail(UnitLost("gone"))
        starting = self.keepers["a"].start()
        self.assertEqual(self.reason("b"), "waits for a")
        self.units["a"].ready()
        self.successResultOf(starting)
        self.assertEqual(self.running(), {"a", "b"})

    def test_up_is_left_alone(self) -> None:
        """A unit that runs goes on when its requirement fails."""
        self.add(unit_config("a"), unit_config("b", "a"))
        self.order.want(["b"])
        self.units["a"].ready()
        self.units["b"].ready()
        self.units["a"].lose(UnitLost("gone"))
        self.assertEqual(self.state("b"), State.UP)
        self.assertEqual(self.units["b"].calls, ["start"])

    def test_started_by_another(self) -> None:
        """One that came up all the same waits no more, nor does who requires it."""
        self.add(unit_config("a"), unit_config("b", "a"), unit_config("c", "b"))
        self.keepers["b"].start()
        self.order.want(["b", "c"])
        self.keepers["a"].stop()
        self.units["a"].stopped()
        self.units["b"].ready()
        self.assertFalse(self.order.waits("b"))
        self.assertEqual(self.state("c"), State.STARTING)

    def test_own_error(self) -> None:
        """What goes wrong in a start stays with the keeper."""
        self.add(unit_config("a"))
        self.order.want(["a"])
        self.units["a"].fail(ValueError("a defect"))
        self.assertEqual(self.state("a"), State.FAILED)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.flushLoggedErrors(UnitFailed), [])


class HoldBackTests(OrderCase):
    """Who is lost together with what it requires."""

    def setUp(self) -> None:
        super().setUp()
        self.add(unit_config("a"), unit_config("b", "a", policy=RestartPolicy()))
        self.order.want(["b"])
        self.units["a"].ready()
        self.units["b"].ready()

    def test_waits(self) -> None:
        """It waits for the requirement instead of trying in vain."""
        self.units["a"].lose(UnitLost("gone"))
        self.units["b"].lose(UnitLost("its server is gone"))
        self.assertEqual(self.state("b"), State.DOWN)
        self.assertIn("requires a, which is failed", str(self.reason("b")))
        self.clock.advance(1000)
        self.assertEqual(self.units["b"].calls, ["start"])

    def test_tried_when_it_is_there(self) -> None:
        """It is tried at once when the requirement is up again."""
        self.keepers["a"].stop().addErrback(lambda _: None)
        self.units["a"].stopped()
        self.units["b"].lose(UnitLost("its server is gone"))
        self.assertEqual(self.reason("b"), "requires a, which was told to stay down")
        starting = self.keepers["a"].start()
        self.assertEqual(self.reason("b"), "waits for a")
        self.units["a"].ready()
        self.successResultOf(starting)
        self.assertEqual(self.units["b"].calls, ["start", "start"])
        self.assertEqual(self.keepers["b"].restarts, 1)

    def test_requirement_is_there(self) -> None:
        """Who is lost for a reason of its own is tried as its policy says."""
        self.units["b"].lose(UnitLost("its own fault"))
        self.assertEqual(self.state("b"), State.BACKOFF)
        self.clock.advance(0)
        self.assertEqual(self.units["b"].calls, ["start", "start"])

    def test_stopped_meanwhile(self) -> None:
        """Who is told to stop while it waits is not tried any more."""
        self.units["a"].lose(UnitLost("gone"))
        self.units["b"].lose(UnitLost("its server is gone"))
        self.order.forget("b")
        self.successResultOf(self.keepers["b"].stop())
        starting = self.keepers["a"].start()
        self.units["a"].ready()
        self.successResultOf(starting)
        self.assertEqual(self.state("b"), State.DOWN)
