"""
The promised life of a host, seen from outside, with real processes.
"""

from __future__ import annotations

import os
import signal
import socket
from itertools import product
from pathlib import Path

from twisted.internet.threads import deferToThread

from tests.functional.hosts import HostCase, alive, children, descendants, pause, state

SLEEPER = """
    [unit.sleeper]
    kind = "process"
    argv = ["/bin/sleep", "1000"]
"""

BAD = """
    [unit.sleeper]
    kind = "process"
    argv = "sleep"
"""

HOOKS = """
    import time
    from pathlib import Path
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.internet.task import deferLater

    HERE = Path(__file__).parent

    def note(text):
        with open(HERE / "notes", "a") as notes:
            notes.write(text + "\\n")

    class Noting:
        def startup(self):
            note("startup")
        def reconfigure(self):
            note("reconfigure")
        def reopen_logs(self):
            note("reopen_logs")
        async def shutdown(self):
            note("shutdown")
            await deferLater(reactor, 0.5, lambda: None)
            note("shutdown ended")

    class Failing(Noting):
        def startup(self):
            raise RuntimeError("no luck")

    class Slow(Noting):
        def startup(self):
            note("startup")
            return Deferred()

    class Waiting(Noting):
        def wait(self):
            return deferLater(reactor, 0.2, lambda: None)

    class WaitFailing(Noting):
        def wait(self):
            return deferLater(reactor, 0.2, lambda: 1 / 0)
"""


def hooked(name: str) -> str:
    """A configuration with hooks."""
    return f'[host]\nlifecycle = "hooks:{name}"\n' + SLEEPER.replace("    ", "")


def fetch(path: str) -> bytes:
    """Get the front page of whoever speaks HTTP on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as browser:
        browser.settimeout(10)
        browser.connect(path)
        browser.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return b"".join(iter(lambda: browser.recv(65536), b""))


def greet(port: int) -> bytes:
    """Log in to an IRC server, and get what it says to that."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as user:
        user.sendall(b"PASS password\r\nNICK user\r\nUSER user 0 * :user\r\n")
        said = b""
        while b" 001 " not in said and b"PRIVMSG" not in said:
            more = user.recv(65536)
            if not more:
                break
            said += more
        return said


class ExitStatusTests(HostCase):
    """What the host exits with, under C{twistd} and without it."""

    async def both(self, *args: str) -> list[tuple[int, str]]:
        """Run both ways, one after the other, to the end."""
        found = []
        for start in (self.twistd, self.sockhost_run):
            running = start(*args)
            found.append((await running.ends(), running.output))
        return found

    async def test_configuration(self) -> None:
        """A file that cannot be used is 78, with every problem told."""
        self.write("sockhost.toml", "[host]\nrun_dri = 'x'\n[unit.a]\nkind = 'no'\n")
        for status, output in await self.both():
            self.assertEqual(status, 78, output)
            self.assertIn("host.run_dri", output)
            self.assertIn("unit.a.kind", output)
        self.assertFalse(self.run_dir.exists())

    async def test_strict(self) -> None:
        """A bad unit is 78 with C{--strict}."""
        self.write("sockhost.toml", BAD)
        for status, output in await self.both("--strict"):
            self.assertEqual(status, 78, output)

    async def test_usage(self) -> None:
        """A wrong command line is 64."""
        self.write("sockhost.toml", SLEEPER)
        for status, output in await self.both("--no-such-option"):
            self.assertEqual(status, 64, output)

    async def test_locked(self) -> None:
        """A run directory that is taken is 73, told with the owner."""
        self.write("sockhost.toml", SLEEPER)
        first = self.twistd()
        await first.says("ready; steer it")
        before = sorted(os.listdir(self.run_dir))
        for status, output in await self.both():
            self.assertEqual(status, 73, output)
            self.assertIn(
                f"a host already runs here: process {first.pid} holds", output
            )
        self.assertEqual(sorted(os.listdir(self.run_dir)), before)
        self.assertEqual((await self.unit("sleeper"))["state"], "up")

    async def test_startup_fails(self) -> None:
        """A startup hook that fails is 70."""
        self.write("sockhost.toml", hooked("Failing"))
        self.write("hooks.py", HOOKS)
        for status, output in await self.both():
            self.assertEqual(status, 70, output)
            self.assertIn("RuntimeError: no luck", output)
        self.assertFalse((self.directory / "notes").exists())

    async def test_wait_hook(self) -> None:
        """The end of the wait hook is a clean end, its failure is 1."""
        self.write("hooks.py", HOOKS)
        for name, expected in (("Waiting", 0), ("WaitFailing", 1)):
            self.write("sockhost.toml", hooked(name))
            for status, output in await self.both():
                self.assertEqual(status, expected, output)

    async def test_watched_pid(self) -> None:
        """The end of the watched process is 69."""
        self.write("sockhost.toml", SLEEPER)
        for start in (self.twistd, self.sockhost_run):
            watched = self.spawn(["/bin/sleep", "1000"])
            running = start("--watch-pid", str(watched.pid))
            await running.says("ready; steer it")
            watched.signal("KILL")
            self.assertEqual(await running.ends(), 69, running.output)

    async def test_watched_pid_while_starting(self) -> None:
        """It is so while the host starts, and when there is no such process."""
        self.write("hooks.py", HOOKS)
        self.write("sockhost.toml", hooked("Slow"))
        watched = self.spawn(["/bin/sleep", "1000"])
        running = self.twistd("--watch-pid", str(watched.pid))
        while not (self.directory / "notes").exists():
            await pause(0.05)
        pid = str(watched.pid)
        watched.signal("KILL")
        self.assertEqual(await running.ends(), 69, running.output)
        self.assertEqual(await self.twistd("--watch-pid", pid).ends(), 69)

    async def test_wait_for(self) -> None:
        """A unit that was waited for and failed is 75; one that is done is 0."""
        for argv, expected in (("/bin/true", 0), ("/bin/false", 75)):
            self.write(
                "sockhost.toml",
                f"""
                [host]
                wait_for = ["job"]
                [unit.job]
                kind = "process"
                argv = ["{argv}"]
                oneshot = true
                restart = "on-failure"
                budget = 1
                """,
            )
            for status, output in await self.both():
                self.assertEqual(status, expected, output)

    async def test_terminated(self) -> None:
        """A signal to stop is a clean end, after which nothing is left."""
        self.write("sockhost.toml", SLEEPER)
        for start, name in product(
            (self.twistd, self.sockhost_run), ("TERM", "INT", "QUIT")
        ):
            running = start()
            await running.says("ready; steer it")
            children = descendants(running.pid)
            self.assertEqual(len(children), 1)
            running.signal(name)
            self.assertEqual(await running.ends(), 0, running.output)
            self.assertIn("shutting down: SIG", running.output)
            self.assertFalse(any(alive(pid) for pid in children))
            self.assertFalse((self.run_dir / "sockhost.pid").exists())
            self.assertFalse((self.run_dir / "control.sock").exists())


class ReadyTests(HostCase):
    """Who is told when all is ready."""

    def pipe(self) -> tuple[int, int]:
        """A pipe, closed after the test."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        return reading, writing

    async def test_startup_fd(self) -> None:
        """4 zero bytes when ready, the end when the host has ended."""
        self.write("sockhost.toml", SLEEPER)
        reading, writing = self.pipe()
        running = self.twistd("--startup-fd", "9", fds={9: writing})
        os.close(writing)
        os.set_blocking(reading, False)
        self.assertRaises(BlockingIOError, os.read, reading, 100)
        await running.says("ready; steer it")
        self.assertEqual(os.read(reading, 100), bytes(4))
        self.assertRaises(BlockingIOError, os.read, reading, 100)
        running.signal("KILL")
        await running.ends()
        # The sleeper lives on, and does not hold the descriptor.
        self.assertEqual(os.read(reading, 100), b"")

    async def test_failed_start_tells_nothing(self) -> None:
        """A startup that fails closes the descriptor, and says nothing."""
        self.write("sockhost.toml", hooked("Failing"))
        self.write("hooks.py", HOOKS)
        reading, writing = self.pipe()
        running = self.twistd("--startup-fd", "9", fds={9: writing})
        os.close(writing)
        await running.ends()
        self.assertEqual(os.read(reading, 100), b"")

    async def test_stopped_while_starting(self) -> None:
        """A stop during the startup hook tells nobody that all is ready."""
        self.write("sockhost.toml", hooked("Slow"))
        self.write("hooks.py", HOOKS)
        reading, writing = self.pipe()
        running = self.twistd("--startup-fd", "9", fds={9: writing})
        os.close(writing)
        while not (self.directory / "notes").exists():
            await pause(0.02)
        self.assertEqual((await self.ask("GET", "/host"))["phase"], "starting")
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0, running.output)
        self.assertEqual(os.read(reading, 100), b"")
        self.assertEqual((self.directory / "notes").read_text(), "startup\n")

    async def test_systemd(self) -> None:
        """systemd is told of ready, reloading and stopping; children are not."""
        self.write("sockhost.toml", SLEEPER)
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(told.close)
        address = str(self.directory / "notify")
        told.bind(address)
        told.setblocking(False)
        running = self.twistd(env={"NOTIFY_SOCKET": address})
        await running.says("ready; steer it")
        [child] = descendants(running.pid)
        self.assertEqual(told.recv(100), b"READY=1")
        environment = Path(f"/proc/{child}/environ").read_bytes()
        self.assertNotIn(b"NOTIFY_SOCKET", environment)
        await self.ask("POST", "/reconfigure")
        self.assertTrue(told.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC="))
        self.assertEqual(told.recv(100), b"READY=1")
        running.signal("TERM")
        await running.ends()
        self.assertEqual(told.recv(100), b"STOPPING=1")


class TapTests(HostCase):
    """Other people's twistd plugins inside the host."""

    async def test_web_and_words(self) -> None:
        """Twisted's own taps run, and a bad one costs only itself."""
        self.write("www/index.html", "hello from a tap\n")
        listen = f"unix:{self.run_dir}/web.sock"
        self.write(
            "sockhost.toml",
            f"""
            [unit.web]
            kind = "tap"
            tap = "web"
            args = ["--listen", "{listen}", "--path", "www"]

            [unit.words]
            kind = "tap"
            tap = "words"
            args = ["--irc-port", "tcp:0:interface=127.0.0.1",
                    "--auth", "memory:user:password"]

            [unit.wrong]
            kind = "tap"
            tap = "web"
            args = ["--no-such-option"]
            """,
        )
        running = self.twistd()
        await running.says("ready; steer it")
        states = {u["name"]: u["state"] for u in await self.ask("GET", "/units")}
        self.assertEqual(
            states, {"web": "up", "words": "up", "wrong": "quarantined"}, running.output
        )
        port = int(running.output.split("IRCFactory starting on ")[1].split()[0])
        greeting = await deferToThread(greet, port)
        self.assertIn(b"001 user :connected to Twisted IRC", greeting)
        page = await deferToThread(fetch, listen[5:])
        self.assertTrue(page.endswith(b"hello from a tap\n"), page)
        await self.ask("POST", "/units/web/restart")
        self.assertEqual((await self.unit("web"))["state"], "up")
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0)

    async def test_exception(self) -> None:
        """A plugin that raises when it makes its service costs only itself."""
        self.write(
            "twisted/plugins/raising.py",
            """
            from twisted.application.service import ServiceMaker
            raising = ServiceMaker("r", "raising_module", "Raises.", "raising")
            """,
        )
        self.write(
            "raising_module.py",
            """
            from twisted.python.usage import Options
            def makeService(options):
                raise ZeroDivisionError("a defect of the plugin")
            """,
        )
        raising = '[unit.raising]\nkind = "tap"\ntap = "raising"\n'
        self.write("sockhost.toml", raising + SLEEPER.replace("    ", ""))
        running = self.twistd(env={"PYTHONPATH": str(self.directory)})
        await running.says("ready; steer it")
        unit = await self.unit("raising")
        self.assertEqual(unit["state"], "quarantined")
        self.assertEqual(unit["reason"], "cannot be made: a defect of the plugin")
        self.assertIn("ZeroDivisionError", running.output)
        self.assertEqual((await self.unit("sleeper"))["state"], "up")


class OrphanTests(HostCase):
    """What the children of the host leave behind."""

    async def test_no_zombies(self) -> None:
        """A grandchild that leaves its unit is buried when it ends."""
        self.write(
            "sockhost.toml",
            """
            [unit.forker]
            kind = "process"
            argv = ["/bin/sh", "-c", "setsid sleep 1000 & exec sleep 1000"]
            """,
        )
        running = self.twistd()
        await running.says("ready; steer it")
        child = (await self.unit("forker"))["details"]["pid"]
        [grandchild] = await self.own_session(child)
        os.kill(child, signal.SIGKILL)
        await self.until("forker", restarts=1, state="up")
        while grandchild not in children(running.pid):
            self.assertTrue(alive(grandchild))
            await pause(0.02)
        os.kill(grandchild, signal.SIGKILL)
        while state(grandchild) != "X":
            await pause(0.02)

    async def own_session(self, child: int) -> list[int]:
        """Wait for a process below a child that has a session of its own."""
        while True:
            found = [pid for pid in descendants(child) if os.getsid(pid) == pid]
            if found:
                return found
            await pause(0.02)
