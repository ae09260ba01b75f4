"""
The host that users run in their tests, with real sockets and processes.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from sockhost.host import ExitStatus
from sockhost.interfaces import ConfigError
from sockhost.processes.child import live_pids
from sockhost.processes.orphans import reap_all_orphans
from sockhost.status import State
from sockhost.testing.host import running_host
from tests.functional.traces import children, without_collector

reactor: Any = _reactor

ECHO = """
[unit.echo]
kind = "socket"
path = "{run_dir}/echo.sock"
handler = "echo_for_a_test:Echo"
"""
MODULE = """
class Echo:
    def __init__(self, host, prefix=""):
        self.prefix = prefix.encode()

    def received(self, client, frame):
        return self.prefix + frame
"""
FILES = {"echo_for_a_test.py": MODULE}


class _Inner:
    """Stands in for a test case whose end the test brings about."""

    def __init__(self) -> None:
        self.cleanups: list[tuple[Callable[..., Any], Any, Any]] = []

    def addCleanup(self, f: Callable[..., Any], /, *args: Any, **how: Any) -> None:
        """Remember it."""
        self.cleanups.append((f, args, how))

    async def end(self) -> None:
        """Do what trial does when a test has ended."""
        while self.cleanups:
            f, args, how = self.cleanups.pop()
            await maybeDeferred(f, *args, **how)


def traces() -> object:
    """What a host could leave in its process."""
    # Orphans of earlier tests may have come to this process.
    reap_all_orphans(live_pids)
    descriptors = len(os.listdir("/proc/self/fd"))
    return children(), descriptors, threading.active_count(), list(sys.path)


class RunningHostTests(TestCase):
    """Tests for L{running_host}."""

    timeout = 100

    def setUp(self) -> None:
        """Count what is open."""
        without_collector(self)

    async def test_framing(self) -> None:
        """A socket of any framing can be spoken to; an unknown one is refused."""
        host = await running_host(self, ECHO + 'framing = "line"', FILES)
        client = await host.connect("echo.sock", framing="line")
        self.assertEqual(await client.request(b"hello"), b"hello")
        await client.close()
        with self.assertRaisesRegex(ValueError, "netstring"):
            host.connect("echo.sock", framing="lines")

    async def test_echo(self) -> None:
        """A handler that is written beside the configuration answers."""
        host = await running_host(self, ECHO, FILES)
        client = await host.connect("echo.sock")
        self.assertEqual(await client.request(b"hello"), b"hello")
        await client.close()
        self.assertEqual(await host.stop(), ExitStatus.CLEAN)

    async def test_stop_again(self) -> None:
        """It can be stopped more than once, and says each time how it ended."""
        host = await running_host(self, ECHO, FILES)
        both = [host.stop(), host.stop()]
        self.assertEqual([await each for each in both], [ExitStatus.CLEAN] * 2)
        self.assertEqual(await host.stop(), ExitStatus.CLEAN)
        self.assertEqual(await host.ended(), ExitStatus.CLEAN)

    async def test_config_error(self) -> None:
        """A bad configuration is told as what it is, and leaves nothing."""
        before = traces()
        case = _Inner()
        try:
            await running_host(case, ECHO.replace("handler", "handlr"), FILES)
        except ConfigError as error:
            self.assertIn("did you mean", str(error))
        else:
            self.fail("it was taken")
        await case.end()
        self.assertEqual(traces(), before)

    async def test_quarantine(self) -> None:
        """If it need not be strict, a bad unit leaves the others alone."""
        config = ECHO + '[unit.bad]\nkind = "process"\nargv = []\n'
        host = await running_host(self, config, FILES, strict=False)
        states = {each.name: each.state for each in host.host.status().units}
        self.assertEqual(states, {"echo": State.UP, "bad": State.QUARANTINED})

    async def test_not_ready(self) -> None:
        """A host that ends instead of being ready fails the test, and says why."""
        config = '[host]\nlifecycle = "hooks_for_a_test:Hooks"\n' + ECHO
        hooks = "class Hooks:\n    def startup(self):\n        raise OSError('no')\n"
        files = {**FILES, "hooks_for_a_test.py": hooks}
        try:
            await running_host(self, config, files)
        except AssertionError as error:
            self.assertIn("did not become ready", str(error))
        else:
            self.fail("it became ready")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    async def test_nothing_left(self) -> None:
        """When the test ends, no process, descriptor, thread or file is left."""
        sleeper = '[unit.sleeper]\nkind = "process"\nargv = ["/bin/sleep", "60"]\n'
        # Twisted keeps some things for good after the first time.
        warm = _Inner()
        await (await running_host(warm, ECHO + sleeper, FILES)).connect("echo.sock")
        await warm.end()
        await deferLater(reactor, 0.05)
        before, case = traces(), _Inner()
        host = await running_host(case, ECHO + sleeper, FILES)
        self.assertNotEqual(traces(), before)
        client = await host.connect("echo.sock")
        await client.request(b"hello")
        self.assertIn("echo_for_a_test", sys.modules)
        await case.end()
        await client.close()
        # What ends is seen to end within a moment.
        for _ in range(500):
            if traces() == before:
                break
            await deferLater(reactor, 0.02)
        self.assertEqual(traces(), before)
        self.assertFalse(host.directory.exists())
        self.assertNotIn("echo_for_a_test", sys.modules)

    async def test_modules_are_forgotten(self) -> None:
        """The next test may have a module of the same name."""
        for answer in (b"old", b"new"):
            case = _Inner()
            text = MODULE.replace("self.prefix + frame", repr(answer))
            host = await running_host(case, ECHO, {"echo_for_a_test.py": text})
            client = await host.connect("echo.sock")
            self.assertEqual(await client.request(b"?"), answer)
            await case.end()

    async def test_two_hosts(self) -> None:
        """Two hosts in a test are two, and the end of one is not the other's."""
        other = ECHO + 'options = { prefix = "other " }\n'
        first, second = (
            await running_host(self, ECHO, FILES),
            await running_host(self, other, FILES),
        )
        self.assertNotEqual(first.host.run_dir, second.host.run_dir)
        one, two = await first.connect("echo.sock"), await second.connect("echo.sock")
        self.assertEqual(await one.request(b"hello"), b"hello")
        self.assertEqual(await two.request(b"hello"), b"other hello")
        await first.stop()
        self.assertEqual(await two.request(b"again"), b"other again")

    async def test_reconfigure(self) -> None:
        """The configuration can be changed while the host runs."""
        host = await running_host(self, ECHO, FILES)
        host.write_config(ECHO + 'options = { prefix = "new " }\n')
        changes = await host.host.reconfigure("the test")
        self.assertEqual(list(changes["changed"]), ["echo"])
        await host.host.start("echo", "the test")
        client = await host.connect("echo.sock")
        self.assertEqual(await client.request(b"hello"), b"new hello")

    def test_a_deferred(self) -> Deferred[None]:
        """It suits tests that return a Deferred as well."""
        running = running_host(self, ECHO, FILES)
        return running.addCallback(
            lambda host: self.assertTrue(os.path.exists(host.path("echo.sock")))
        )
