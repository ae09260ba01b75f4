"""Tests of cutting logs into lines."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.control.logs import MAX_LINE, LineSplitter


class LineSplitterTests(SynchronousTestCase):
    """Lines come out as they went in, wherever the bytes were cut."""

    @given(
        st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"))),
        st.lists(st.integers(0, 500)),
    )
    def test_any_cut(self, lines: list[str], cuts: list[int]) -> None:
        """Any cut gives the same lines."""
        data = "".join(line + "\n" for line in lines).encode()
        told: list[str] = []
        splitter = LineSplitter(told.append)
        places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        for start, end in pairwise(places):
            splitter.feed(data[start:end])
        self.assertEqual(told, lines)

    def test_unfinished(self) -> None:
        """A line is told when it has ended."""
        told: list[str] = []
        splitter = LineSplitter(told.append)
        splitter.feed(b"a")
        self.assertEqual(told, [])
        splitter.feed(b"b\n")
        self.assertEqual(told, ["ab"])

    def test_endless(self) -> None:
        """A line without an end does not grow without bound."""
        told: list[str] = []
        splitter = LineSplitter(told.append)
        splitter.feed(b"x" * (MAX_LINE + 1))
        splitter.feed(b"y\n")
        self.assertEqual([len(line) for line in told], [MAX_LINE + 1, 1])

    def test_not_text(self) -> None:
        """Bytes that are not text do not stop the log."""
        told: list[str] = []
        LineSplitter(told.append).feed(b"\xff\n")
        self.assertEqual(told, ["\N{REPLACEMENT CHARACTER}"])
