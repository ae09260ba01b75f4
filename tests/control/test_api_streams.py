"""Tests of the routes of the control API that keep a response open, and of logs."""

from __future__ import annotations

import json
import os
from tempfile import TemporaryDirectory

from zope.interface.verify import verifyObject

from sockhost.control.api import _Tell
from sockhost.interfaces import INotifier
from sockhost.status import Event, State, to_json
from tests.control.case import APITestCase


class EventTests(APITestCase):
    """The stream of events."""

    def test_interface(self) -> None:
        """What is subscribed to the host is a notifier."""
        self.assertTrue(verifyObject(INotifier, _Tell(None)))  # type: ignore[arg-type]

    def test_events(self) -> None:
        """Each event is told as it happens, by the keys of its class."""
        reader = self.control.begin("GET", "/events")
        self.assertIn(b"text/event-stream", reader.received())
        self.assertIn(b": open\n\n", reader.received())
        event = Event(at=5.0, event="state", unit="kv", fields={"state": State.UP})
        self.host.publish(event)
        (told,) = reader.events()
        self.assertEqual(json.loads(told), to_json(event))

    def test_gone(self) -> None:
        """A reader that goes away leaves nothing."""
        reader = self.control.begin("GET", "/events")
        self.assertEqual(len(self.host.notifiers), 1)
        reader.lose()
        self.assert_nothing_left()

    def test_gone_while_full(self) -> None:
        """So does one that goes away while something waits for it."""
        reader = self.control.begin("GET", "/events")
        reader.producer().pauseProducing()
        self.host.publish(Event(at=5.0, event="ready"))
        reader.lose()
        self.assert_nothing_left()

    def test_end(self) -> None:
        """When the host stops the response is finished, and not broken off."""
        reader = self.control.begin("GET", "/events")
        self.control.api.end_streams()
        self.assertTrue(reader.received().endswith(b"0\r\n\r\n"))
        reader.lose()
        self.assert_nothing_left()

    def test_subscription_fails(self) -> None:
        """A host that takes no subscription is an error like any other."""
        self.host.refuses_subscribers = True
        reader = self.control.begin("GET", "/events")
        reader.lose()
        self.assert_nothing_left()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class LogTests(APITestCase):
    """The log of a unit."""

    def setUp(self) -> None:
        """Have a log."""
        super().setUp()
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.host.log_dir = directory.name
        self.write("w", "a\nb\nc\n")

    def write(self, mode: str, text: str) -> None:
        """Write to the log."""
        with open(self.host.log_path("kv"), mode) as log:
            log.write(text)

    def test_tail(self) -> None:
        """The last lines are plain text."""
        answer = self.control.ask("GET", "/units/kv/logs?lines=2")
        self.assertEqual(answer.body, b"b\nc\n")
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertEqual(self.control.ask("GET", "/units/kv/logs").body, b"a\nb\nc\n")

    def test_none(self) -> None:
        """A unit that has not written anything has an empty log."""
        self.assertEqual(self.control.ask("GET", "/units/store/logs").body, b"")

    def test_cannot_be_read(self) -> None:
        """What stands in the place of a log and is none is told, followed or not."""
        path = self.host.log_path("store")
        os.mkdir(path)
        for query in ("", "?follow=1"):
            answer = self.control.ask("GET", f"/units/store/logs{query}")
            self.assertEqual(answer.status, 409)
            self.assertIn(
                f"{path} cannot be read: Is a directory", answer.body.decode()
            )

    def test_bad_lines(self) -> None:
        """The number of lines is a number."""
        self.assertEqual(self.control.ask("GET", "/units/kv/logs?lines=x").status, 400)

    def test_follow(self) -> None:
        """Following begins with the last lines and goes on with those added."""
        reader = self.control.begin("GET", "/units/kv/logs?lines=1&follow=1")
        self.write("a", "d\ne")
        self.control.clock.advance(1)
        self.write("a", "f\n")
        self.control.clock.advance(1)
        self.assertEqual(reader.events(), ["c", "d", "ef"])
        reader.lose()
        self.assert_nothing_left()

    def test_long_tail(self) -> None:
        """A reader that asks for much at once is not cut off for it."""
        self.write("w", ("x" * 999 + "\n") * 3000)
        reader = self.control.connect()
        reader.send("GET", "/units/kv/logs?lines=3000&follow=1")
        self.assertEqual(len(reader.events()), 3000)
        reader.lose()

    def test_unfinished_line(self) -> None:
        """A last line that is not finished yet is told once, when it is."""
        self.write("a", "beg")
        reader = self.control.begin("GET", "/units/kv/logs?lines=1&follow=1")
        self.write("a", "un\n")
        self.control.clock.advance(1)
        self.assertIn(b"data: begun\n", reader.received())
        reader.lose()
