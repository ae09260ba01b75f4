# -*- test-case-name: tests.control.test_logs -*-
"""
The lines of a log, made of bytes that come cut at any place.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

MAX_LINE = 64 * 1024
"""A line that has not ended after so many bytes is handed on in pieces."""


@define
class LineSplitter:
    """
    Bytes in, lines out.

    @ivar on_line: is called with each complete line, without its end.
    """

    on_line: Callable[[str], object]
    _rest: bytes = field(init=False, default=b"")

    def feed(self, data: bytes) -> None:
        """Take bytes from the log."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._rest) > MAX_LINE:
            self._tell(self._rest)
            self._rest = b""

    def _tell(self, line: bytes) -> None:
        self.on_line(line.decode("utf-8", "replace"))
