# -*- test-case-name: tests.test_status -*-
"""
Tests for L{sockhost.status}.
"""

from __future__ import annotations

import json
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import describe
from sockhost.status import (
    Event,
    Exit,
    Goal,
    HostStatus,
    Phase,
    State,
    UnitStatus,
    to_json,
)

ENDED = Exit(at=990.5, code=None, signal="SIGKILL", asked_by="cli uid 0", reason="bye")
UNIT = UnitStatus(
    name="kv",
    kind="socket",
    goal=Goal.UP,
    state=State.BACKOFF,
    since=1000.0,
    last_exit=ENDED,
    restarts=3,
    next_try=1001.5,
    reason="it is gone",
    after=("store",),
    details={"path": "/run/kv.sock", "peers": [1, 2]},
)
HOST = HostStatus(
    name="main",
    version="0.1",
    pid=17,
    phase=Phase.READY,
    started=900.0,
    config="/etc/sockhost.toml",
    run_dir="/run/sockhost",
    control="/run/sockhost/control.sock",
    problems=("a sentence",),
    units=(UNIT,),
)
EVENT = Event(at=1000.0, event="state", unit="kv", fields={"state": "up"})
VALUES: list[Any] = [ENDED, UNIT, HOST, EVENT]


class ToJSONTests(SynchronousTestCase):
    """What the control API and the command line show."""

    def test_names(self) -> None:
        """The keys are the names of the attributes, all and no others."""
        for value in VALUES:
            names = [one.name for one in attrs.fields(type(value))]
            self.assertEqual(list(to_json(value)), names)

    def test_keys(self) -> None:
        """The keys are these: scripts rely on them, so they only become more."""
        self.assertEqual(
            {type(value).__name__: " ".join(to_json(value)) for value in VALUES},
            {
                "Exit": "at code signal asked_by reason",
                "UnitStatus": "name kind goal state since last_exit restarts next_try "
                "reason description after requires uses details",
                "HostStatus": "name version pid phase started config run_dir control "
                "problems units",
                "Event": "at event unit fields",
            },
        )

    def test_documented(self) -> None:
        """The documentation of each class says what each key means."""
        for value in VALUES:
            described = {doc.key: doc.doc for doc in describe(type(value))}
            for key in to_json(value):
                self.assertTrue(described[key], (type(value), key))

    def test_writable(self) -> None:
        """C{json} writes it, and it reads back as it was."""
        for value in VALUES:
            made = to_json(value)
            self.assertEqual(json.loads(json.dumps(made)), made)

    def test_words(self) -> None:
        """An enumeration is its word, and an ordinary string."""
        made = to_json(UNIT)
        self.assertEqual((made["goal"], made["state"]), ("up", "backoff"))
        self.assertEqual(to_json(HOST)["phase"], "ready")
        for word in (made["goal"], made["state"], to_json(HOST)["phase"]):
            self.assertIs(type(word), str)

    def test_nested(self) -> None:
        """Tuples are lists, and values within values are objects too."""
        made = to_json(HOST)
        self.assertEqual(made["problems"], ["a sentence"])
        unit = made["units"][0]
        self.assertEqual(unit["after"], ["store"])
        self.assertEqual(unit["last_exit"]["signal"], "SIGKILL")
        self.assertEqual(unit["details"], {"path": "/run/kv.sock", "peers": [1, 2]})

    def test_absent(self) -> None:
        """What is not there is C{None}, not missing."""
        made = to_json(
            UnitStatus(
                name="kv", kind="socket", goal=Goal.DOWN, state=State.DOWN, since=1.0
            )
        )
        for key in ("last_exit", "next_try", "reason"):
            self.assertIsNone(made[key])
        self.assertEqual((made["requires"], made["details"]), ([], {}))


class WordTests(SynchronousTestCase):
    """The words of the enumerations, which scripts rely on."""

    def test_states(self) -> None:
        """The states are those that the documentation lists."""
        self.assertEqual(
            [str(state) for state in State],
            [
                "down",
                "starting",
                "up",
                "stopping",
                "backoff",
                "failed",
                "done",
                "quarantined",
            ],
        )

    def test_goals_and_phases(self) -> None:
        """A unit has two goals, and a host three phases."""
        self.assertEqual([str(goal) for goal in Goal], ["up", "down"])
        self.assertEqual(
            [str(phase) for phase in Phase], ["starting", "ready", "stopping"]
        )

    def test_frozen(self) -> None:
        """A status is how it was, and stays so."""
        with self.assertRaises(attrs.exceptions.FrozenInstanceError):
            UNIT.restarts = 4  # type: ignore[misc]
