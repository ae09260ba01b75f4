# -*- test-case-name: tests.config.test_shipped -*-
"""
What is said of bad tables of the kinds that ship, word by word.
"""

from __future__ import annotations

from sockhost.plugins import kinds
from tests.config.test_kinds import ConfigCase

KINDS = kinds()
EXPECTED = "expected a path of at most 107 bytes for a Unix socket, and this one has"


class LongPathTests(ConfigCase):
    """Paths that are too long for a Unix socket, whose end is at 107 bytes."""

    def told(self, kind: str, text: str) -> list[str]:
        """Get what is wrong with a unit of a kind."""
        return self.problems(f'[unit.a]\nkind = "{kind}"\n{text}', KINDS)

    def test_process(self) -> None:
        """A process is not ready when something accepts at such a path."""
        path = "x" * 108
        start = 'argv = ["prog"]\nready = { connect = "unix:'
        self.assertEqual(
            self.told("process", f'{start}{path}" }}\n'),
            [f'unit.a.ready.connect = "unix:{path[:53]}…: {EXPECTED} 108'],
        )
        self.assertEqual(self.told("process", f'{start}{path[1:]}" }}\n'), [])

    def test_process_elsewhere(self) -> None:
        """It is the whole path that counts, from the directory of the program."""
        path = "x" * 60
        text = f'argv = ["prog"]\ncwd = "/{path}"\nready = {{ connect = "unix:'
        self.assertEqual(
            self.told("process", f'{text}{path}" }}\n'),
            [f'unit.a.ready = {{ connect = "unix:{path[:41]}…: {EXPECTED} 122'],
        )
        self.assertEqual(self.told("process", f'{text}/{path}" }}\n'), [])

    def test_socket(self) -> None:
        """A socket is not made at such a path, nor connected to."""
        path = "é" * 54
        expected = [f'unit.a.path = "{path}": {EXPECTED} 108']
        text = f'path = "{path}"\n'
        self.assertEqual(self.told("socket", f'{text}handler = "m:C"\n'), expected)
        self.assertEqual(self.told("socket-client", text), expected)
