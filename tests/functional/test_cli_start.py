"""
The commands for a running host load nothing that takes time, however they go
on: that is how they start in less than 150 ms.
"""

from __future__ import annotations

import os
import sys

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.utils import getProcessOutputAndValue

from sockhost.cli.command import sockhost
from tests.control.test_api import CLIENT
from tests.functional.test_control import ControlTestCase, reactor

HEAVY = ("twisted", "zope", "attr", "cattrs", "klein", "rich", "automat", "asyncio")
SCRIPT = (
    "import sys; from sockhost.cli import main\n"
    "try: main()\n"
    f"finally: print([name for name in {HEAVY} if name in sys.modules])"
)
NO_CLIENTS = ("run", "check")
"""The commands that are hosts themselves, and load what a host does."""
DONE = {"start": None, "stop": None, "restart": None, "reload": True, "kick": None}
CHANGES = {"added": ["kv"], "removed": [], "changed": [], "unchanged": []}


class Echo(Protocol):
    """Gives everything back, and so every frame."""

    def dataReceived(self, data: bytes) -> None:
        """Write it."""
        assert self.transport is not None
        self.transport.write(data)


class StartTests(ControlTestCase):
    """Each command, as far as it goes."""

    timeout = 120

    def setUp(self) -> None:
        """Have a host with metrics."""
        super().setUp()
        self.server.stop()
        self.server.exposition = lambda _status: ("text/plain", b"a 1\n")
        self.server.start()

    async def light(self, *arguments: str) -> None:
        """The command ends well, and has loaded nothing heavy."""
        out, err, status = await getProcessOutputAndValue(
            sys.executable, ["-c", SCRIPT, *arguments], env=self.environment()
        )
        self.assertEqual((status, out.splitlines()[-1]), (0, b"[]"), (arguments, err))

    async def test_commands(self) -> None:
        """All of them do what they are for."""
        self.host.at_once.update(DONE, reconfigure=CHANGES)
        self.host.connected["kv"] = [CLIENT]
        self.write_log("w", "a line\n")
        path = os.path.join(self.run_dir, "echo.sock")
        port = reactor.listenUNIX(path, Factory.forProtocol(Echo))
        self.addCleanup(port.stopListening)
        lines = [
            *(["status"], ["status", "--json"], ["status", "kv"]),
            *([verb, "kv"] for verb in ("start", "stop", "restart", "reload")),
            *(["clients", "kv"], ["kick", "kv", "2.7"], ["logs", "kv"], ["metrics"]),
            *(["send", path, "hello"], ["send", path, "--json", "hello"]),
            *(["reconfigure"], ["reopen-logs"], ["shutdown"]),
        ]
        for line in lines:
            await self.light(*line)
        tried = {line[0] for line in lines} | {"events", *NO_CLIENTS}
        self.assertEqual(tried, set(sockhost.commands))

    async def test_stream(self) -> None:
        """So does one that goes on until the host stops."""
        light = Deferred.fromCoroutine(self.light("events"))
        await self.until(lambda: self.host.notifiers)
        await self.server.stop()
        await light

    async def test_help(self) -> None:
        """So do the words about each."""
        for name in sockhost.commands:
            await self.light(name, "--help")
