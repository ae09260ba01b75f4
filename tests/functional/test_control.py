"""
Tests of the control API on a real socket, and of the command as a process.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
from tempfile import TemporaryDirectory
from typing import Any, cast
from unittest import SkipTest

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from sockhost.control.server import ControlServer
from sockhost.interfaces import PathInUse, UnitFailed
from sockhost.status import Event
from tests.control.fakes import FakeHost

reactor: Any = _reactor

NOBODY = 65534


class _Watched(ProcessProtocol):
    """A process that runs for a while."""

    def __init__(self) -> None:
        self.out = b""
        self.err = b""
        self.ended: Deferred[int | None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.out += data

    def errReceived(self, data: bytes) -> None:
        self.err += data

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(reason.value.exitCode)  # type: ignore[union-attr]

    async def shows(self, text: bytes) -> None:
        """Wait until it has printed this."""
        while text not in self.out:
            await pause()

    def kill(self) -> Deferred[int | None]:
        """Leave nothing of it, if the test has not."""
        if not self.ended.called:
            cast(Any, self.transport).signalProcess("KILL")
        return self.ended


def spawn(test: TestCase, *arguments: str, **environment: str) -> tuple[_Watched, Any]:
    """Run a module beside a test."""
    watched = _Watched()
    line = [sys.executable, "-m", *arguments]
    env = {**os.environ, **environment}
    process = reactor.spawnProcess(watched, sys.executable, line, env=env)
    test.addCleanup(watched.kill)
    return watched, process


async def pause(seconds: float = 0.02) -> None:
    """Let other things happen."""
    await deferLater(reactor, seconds, lambda: None)


class ControlTestCase(TestCase):
    """Has a control server, and runs commands against it."""

    timeout = 100

    def setUp(self) -> None:
        """Serve a fake host."""
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.run_dir = directory.name
        self.path = os.path.join(self.run_dir, "control.sock")
        self.host = FakeHost(
            reactor=reactor, run_dir=self.run_dir, log_dir=self.run_dir
        )
        self.server = ControlServer(self.host, reactor, self.path)
        self.server.start()
        self.addCleanup(self.server.stop)

    async def command(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command to its end: exit status, output, errors."""
        out, err, status = await getProcessOutputAndValue(
            sys.executable, ["-m", "sockhost", *arguments], env=self.environment()
        )
        return status, out.decode(), err.decode()

    def spawn(self, *arguments: str) -> tuple[_Watched, Any]:
        """Run the command beside the test."""
        return spawn(self, "sockhost", *arguments, SOCKHOST_RUN_DIR=self.run_dir)

    def environment(self) -> dict[str, str]:
        """Have the command find the host."""
        return {**os.environ, "SOCKHOST_RUN_DIR": self.run_dir}

    def write_log(self, mode: str, text: str) -> None:
        """Write to the log of kv."""
        with open(self.host.log_path("kv"), mode) as log:
            log.write(text)

    async def until(self, is_so: Any) -> None:
        """Wait until something is so."""
        while not is_so():
            await pause()


class SocketTests(ControlTestCase):
    """The socket and who may use it."""

    def test_mode(self) -> None:
        """Only the host's own user can connect at all."""
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_in_use(self) -> None:
        """A second server on the path is refused and costs the first nothing."""
        second = ControlServer(self.host, reactor, self.path)
        self.assertRaises(PathInUse, second.start)
        self.assertTrue(os.path.exists(self.path))

    async def test_stop(self) -> None:
        """When the server has stopped the path and every connection are gone."""
        idle = socket.socket(socket.AF_UNIX)
        self.addCleanup(idle.close)
        idle.connect(self.path)
        status, _, _ = await self.command("status")
        self.assertEqual(status, 0)
        await self.server.stop()
        self.assertFalse(os.path.exists(self.path))
        idle.settimeout(5)
        self.assertEqual(idle.recv(1), b"")
        status, _, err = await self.command("status")
        self.assertEqual(status, 69)
        self.assertIn(f"no host answers on {self.path}: there is no such socket", err)

    async def test_other_user(self) -> None:
        """A user who gets past the mode of the socket is refused all the same."""
        if os.geteuid() != 0:
            raise SkipTest("only root can become another user")
        os.chmod(self.path, 0o666)
        os.chmod(self.run_dir, 0o755)
        # Imported as root: that user may not be able to read the package.
        script = (
            "import os, sys; from sockhost.cli.command import run;"
            f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY});"
            "sys.exit(run(sys.argv[1:]))"
        )
        for arguments in (["status"], ["stop", "kv"]):
            out, err, status = await getProcessOutputAndValue(
                sys.executable, ["-c", script, *arguments], env=self.environment()
            )
            self.assertEqual((status, out), (1, b""))
            self.assertIn(b"user 65534 may not use this host", err)
        self.assertEqual(self.host.calls, [])


class CommandTests(ControlTestCase):
    """The command as a process."""

    async def test_status(self) -> None:
        """The table has no colours when it is not read by a person."""
        status, out, err = await self.command("status")
        self.assertEqual((status, err), (0, ""))
        self.assertIn("kv     socket  up    up ", out)

    async def test_full_output(self) -> None:
        """An output that is full is told in one line; one that is closed is nothing."""
        for arguments, wanted in (
            ("status >/dev/full", (1, "No space left on device")),
            ("--help >/dev/full", (1, "No space left on device")),
            ("status >&-", (0, "")),
        ):
            line = f"{sys.executable} -m sockhost {arguments}"
            _, err, status = await getProcessOutputAndValue(
                "/bin/sh", ["-c", line], env=self.environment()
            )
            self.assertEqual(status, wanted[0], err)
            self.assertIn(wanted[1], err.decode())
            self.assertNotIn("Traceback", err.decode())

    async def test_asked_by(self) -> None:
        """The host learns who asks from the kernel."""
        self.host.at_once["stop"] = None
        status, out, _ = await self.command("stop", "kv")
        self.assertEqual((status, out), (0, "kv: stopped, up\n"))
        self.assertRegex(self.host.calls[0].asked_by, rf"^uid {os.geteuid()} pid \d+$")

    async def test_refused(self) -> None:
        """A refusal is one line, without a traceback."""
        self.host.at_once["start"] = UnitFailed("exit code 1")
        answer = await self.command("start", "kv")
        self.assertEqual(answer, (1, "", "sockhost: kv: exit code 1\n"))

    async def test_timed_out(self) -> None:
        """A unit that takes longer than one waits has status 75."""
        status, _, err = await self.command("start", "kv", "--timeout", "0.1")
        self.assertEqual(
            (status, err),
            (75, "sockhost: kv: start is not done after 0.1 s; it goes on\n"),
        )

    async def test_interrupted_wait(self) -> None:
        """Ctrl-C during a wait is quiet, and the work goes on."""
        watched, process = self.spawn("restart", "kv")
        await self.until(lambda: self.host.calls)
        process.signalProcess(signal.SIGINT)
        self.assertEqual(await watched.ended, 130)
        self.assertEqual((watched.out, watched.err), (b"", b""))
        self.assertFalse(self.host.calls[0].done.called)

    async def test_follow(self) -> None:
        """Following shows what is added, through a rotation, until Ctrl-C."""
        self.write_log("w", "one\ntwo\n")
        watched, process = self.spawn("logs", "kv", "-f", "-n", "1")
        await watched.shows(b"two\n")
        self.write_log("a", "three\n")
        os.rename(self.host.log_path("kv"), self.host.log_path("kv") + ".1")
        self.write_log("w", "four\n")
        await watched.shows(b"four\n")
        process.signalProcess(signal.SIGINT)
        self.assertEqual(await watched.ended, 130)
        self.assertEqual((watched.out, watched.err), (b"two\nthree\nfour\n", b""))

    async def test_follow_much(self) -> None:
        """A log that is longer than what may wait for a reader comes whole."""
        self.write_log("w", "".join(f"{n:0999}\n" for n in range(4000)))
        watched, process = self.spawn("logs", "kv", "-f", "-n", "4000")
        await watched.shows(f"{3999:0999}\n".encode())
        self.assertEqual(watched.out.count(b"\n"), 4000)
        process.signalProcess(signal.SIGINT)
        await watched.ended

    async def test_nobody_reads(self) -> None:
        """A reader that has had enough ends the command without a word."""
        self.write_log("w", "".join(f"{n}\n" for n in range(200_000)))
        line = f"{sys.executable} -m sockhost logs kv -n 200000 | head -n 1"
        out, err, status = await getProcessOutputAndValue(
            "/bin/sh", ["-c", line], env=self.environment()
        )
        self.assertEqual((status, out, err), (0, b"0\n", b""))

    async def test_events(self) -> None:
        """Events are shown as they happen, until the host stops."""
        watched, _ = self.spawn("events")
        await self.until(lambda: self.host.notifiers)
        self.host.publish(Event(at=1.0, event="state", unit="kv", fields={"a": 1}))
        await watched.shows(b" kv state a=1\n")
        await self.server.stop()
        self.assertEqual(await watched.ended, 0)
        self.assertEqual((watched.err, self.host.notifiers), (b"", []))

    async def test_slow_reader(self) -> None:
        """A client that does not read is cut off, and costs nothing after that."""
        reader = socket.socket(socket.AF_UNIX)
        self.addCleanup(reader.close)
        reader.connect(self.path)
        reader.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        await self.until(lambda: self.host.notifiers)
        event = Event(at=1.0, event="state", unit="kv", fields={"x": "y" * 1000})
        for _ in range(100):
            for _ in range(100):
                self.host.publish(event)
            await pause(0)
        await self.until(lambda: not self.host.notifiers)


class HostProcessTests(TestCase):
    """A host that is a process of its own."""

    timeout = 100

    async def start(self) -> tuple[str, _Watched, Any]:
        """Start a host."""
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        watched, process = spawn(self, "tests.functional._control_host", directory.name)
        while not os.path.exists(os.path.join(directory.name, "control.sock")):
            await pause()
        return directory.name, watched, process

    async def test_shutdown(self) -> None:
        """With --wait the command ends when the process of the host has."""
        run_dir, host, _ = await self.start()
        out, err, status = await getProcessOutputAndValue(
            sys.executable,
            ["-m", "sockhost", "--run-dir", run_dir, "shutdown", "--wait"],
            env=os.environ,
        )
        self.assertEqual((status, out, err), (0, b"", b""))
        self.assertEqual(await host.ended, 0)

    async def test_killed(self) -> None:
        """Whoever follows a host that is killed is told, with status 69."""
        run_dir, host, process = await self.start()
        with open(os.path.join(run_dir, "kv.log"), "w") as log:
            log.write("one\n")
        watched, _ = spawn(self, "sockhost", "--run-dir", run_dir, "logs", "kv", "-f")
        await watched.shows(b"one\n")
        process.signalProcess(signal.SIGKILL)
        await host.ended
        self.assertEqual(await watched.ended, 69)
        self.assertIn(b"the connection was closed", watched.err)
