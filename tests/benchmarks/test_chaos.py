# -*- test-case-name: tests.benchmarks.test_chaos -*-
"""
Tests for L{benchmarks.chaos}: that it sees what it is there to see.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.chaos import Client, Cut, Silence


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
