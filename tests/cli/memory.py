"""
The command line against the control API of a fake host, without sockets: each
request goes to the real API over a connection in memory.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from sockhost.cli import reach
from sockhost.cli.command import run
from sockhost.control.client import ControlClient, HostNotRunning, HostSilent, refusal
from tests.control.wire import MemoryConnection, MemoryControl, parse


@frozen
class Outcome:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str


def invoke(*arguments: str) -> Outcome:
    """Run the command in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        status = run(arguments)
    out.flush()
    err.flush()
    written = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return Outcome(int(status), *written)


class MemoryClient(ControlClient):
    """
    A client whose host is in this process.  A host that does not answer at
    once is silent, and one at another path than C{here} is not running.
    """

    control: MemoryControl
    here = "run/control.sock"

    def _begin(self, method: str, path: str) -> MemoryConnection:
        if self.path != self.here:
            raise HostNotRunning(self.path, "there is no such socket")
        return self.control.begin(method, path)

    def read(self, method: str, path: str) -> bytes:
        """Have one request answered."""
        connection = self._begin(method, path)
        answered = connection.received()
        connection.lose()
        if not answered:
            raise HostSilent("the host is silent")
        answer = parse(answered)
        if answer.status >= 400:
            raise refusal(answer.status, answer.body)
        return answer.body

    def stream(self, path: str) -> Iterator[str]:
        """Be told of what is there, then see the stream break off."""
        connection = self._begin("GET", path)
        if b"event-stream" not in connection.received():
            answer = parse(connection.received())
            raise refusal(answer.status, answer.body)
        self.control.clock.advance(1)
        yield from connection.events()
        connection.lose()
        raise HostNotRunning(self.path, "it went away")


class CommandTestCase(SynchronousTestCase):
    """Has a fake host for the command line to find."""

    def setUp(self) -> None:
        """Make the host."""
        self.control = MemoryControl()
        self.host = self.control.host

        class Client(MemoryClient):
            control = self.control

        self.patch(reach, "ControlClient", Client)
        self.client = Client
        self.patch(os, "environ", {})

    def refused(self, status: int, *arguments: str) -> str:
        """Run a command that fails; it prints nothing but one line of errors."""
        outcome = invoke(*arguments)
        self.assertEqual((outcome.status, outcome.out), (status, ""))
        self.assertTrue(outcome.err.startswith("sockhost: "), outcome.err)
        self.assertEqual(outcome.err.count("\n"), 1)
        return outcome.err
