# -*- test-case-name: tests.benchmarks.test_chaos -*-
"""
Tests for L{benchmarks.chaos}: that it sees what it is there to see.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.chaos import Client, Cut, Rest, Silence, _at_rest


class RestTests(SynchronousTestCase):
    """What a host has when nothing is under way."""

    def rest(self, *children: int) -> tuple[Rest, int]:
        """Look at a host that has so many children, and at last always the same;
        give what was found, and how often it was looked."""
        left, looks = list(children), list[int]()
        host: Any = None

        def look(_host: object) -> Rest:
            looks.append(left.pop(0) if len(left) > 1 else left[0])
            return Rest(10, looks[-1])

        return _at_rest(host, look, lambda _: None), len(looks)

    def test_at_once(self) -> None:
        """It is believed when it has stayed the same for a while."""
        self.assertEqual(self.rest(5), (Rest(10, 5), 20))

    def test_command_under_way(self) -> None:
        """A command that runs and ends meanwhile does not count."""
        for children in ((6, 6, 5), (5, 5, 6, 6, 5)):
            found, looks = self.rest(*children)
            self.assertEqual(found, Rest(10, 5))
            self.assertEqual(looks, len(children) - 1 + 20)

    def test_never(self) -> None:
        """A host that never rests is looked at for no longer than so."""
        _, looks = self.rest(*([5, 6] * 500))
        self.assertEqual(looks, 300)


class _Scripted(Client):
    """A client whose answers a test gives."""

    answer: Callable[[str], str]

    def _ask(self, text: str) -> str:
        return self.answer(text)


class ClientTests(SynchronousTestCase):
    """Tests for L{Client}, which judges every answer."""

    def client(self, *answers: str | Exception) -> _Scripted:
        """A client that gets these answers, and then stops."""
        stop = threading.Event()
        client = _Scripted("nowhere", 3, 0.0, stop)
        left = list(answers)

        def answer(text: str) -> str:
            given = left.pop(0)
            if not left:
                stop.set()
            if isinstance(given, Exception):
                raise given
            return given

        client.answer = answer
        client.run()
        return client

    def test_good(self) -> None:
        """An acknowledged write that is read back is as it should be."""
        client = self.client("ok", "3/1")
        self.assertEqual(client.acknowledged, [1])
        self.assertEqual(client.problems, [])

    def test_error(self) -> None:
        """An error is no problem, and acknowledges nothing."""
        client = self.client("error: there is no connection")
        self.assertEqual((client.acknowledged, client.errors), ([], 1))
        self.assertEqual(client.problems, [])

    def test_cut(self) -> None:
        """A connection that ends is no problem, and acknowledges nothing."""
        client = self.client(Cut())
        self.assertEqual((client.acknowledged, client.cuts), ([], 1))
        self.assertEqual(client.problems, [])

    def test_foreign_reply(self) -> None:
        """A value of another client is a problem."""
        client = self.client("ok", "4/1")
        self.assertEqual(client.problems, ["client 3 was answered '4/1'"])

    def test_lost_write(self) -> None:
        """An acknowledged write that is not there is a problem."""
        client = self.client("ok", "error: no such key")
        self.assertEqual(client.problems, ["client3:1 was acknowledged and is gone"])

    def test_silence(self) -> None:
        """An answer that does not come is a problem."""
        client = self.client(Silence())
        self.assertEqual(
            client.problems, ["client 3 had no answer 15 s after the last kill"]
        )
